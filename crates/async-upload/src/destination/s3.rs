//! A model as the objects of a bucket: each file in parts that are held until they are stored.

mod parts;

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use reqwest::{Response, StatusCode};
use rusty_s3::actions::S3Action as _;
use url::form_urlencoded;

use self::parts::{Begun, Part, Upload};
use super::Context;
use super::turns::Turns;
use crate::failure::Failure;
use crate::http;
use crate::pipeline::hash::Hashing;
use crate::pipeline::layer;
use crate::pipeline::memory::BLOCK;
use crate::pipeline::read;
use crate::s3::Bucket;
use crate::settings::S3;
use crate::source::{File, Listing, relative};
use crate::transfer::{Error, ExtraFile, FileDigest, Outcome, Phase};

/// The smallest part.
const PART: u64 = 8 << 20;
/// How many parts an object may have.
const PARTS: u64 = 10_000;
/// How many files are on their way at once.
const FILES_AT_ONCE: usize = 4;
/// How long one part may take.
const PART_LIMIT: std::time::Duration = std::time::Duration::from_mins(10);
/// How many requests read one file.
const CONNECTIONS: usize = 4;
/// What an object was made of, as [`layer::key`] names it.
const KEY: &str = "x-amz-meta-modelops-upload-key";
/// The SHA-256 of the content; only objects that were stored in one request can carry it.
const SHA256: &str = "x-amz-meta-modelops-upload-sha256";

/// A model whose objects are in the bucket.
#[derive(Debug)]
pub struct Staged {
    bucket: Arc<Bucket>,
    place: S3,
    context: Context,
    /// Every file, sorted by path.
    pub files: Vec<FileDigest>,
}

/// Stores all files. With `resume`, what is on its way is never more than the next run may have to
/// send again, and parts that an earlier run has stored are kept.
pub async fn stage(
    place: &S3,
    listing: Listing,
    resume: bool,
    context: &Context,
) -> Result<Staged, Error> {
    context.meter.phase(Phase::Copy);
    let staged = async {
        let bucket = Arc::new(Bucket::new(place)?);
        let blocks = context.memory.blocks();
        let limit = blocks as u64 * BLOCK as u64 / 2;
        let mut longest = PART;
        for file in &listing.files {
            let part = part_length(file.size);
            longest = longest.max(part);
            if part > limit {
                return Err(Failure::lasting(
                    format!(
                        "{:?} has {} bytes, so its parts need more memory than there is",
                        file.path, file.size
                    ),
                    format!(
                        "Run with --memory-budget={}Mi",
                        (2 * part).div_ceil(1 << 20)
                    ),
                ));
            }
        }
        let at_once = at_once(blocks, longest, listing.sequential);
        let longest = listing.files.iter().map(|file| file.size).max();
        let turns = longest.filter(|_| resume).map(Turns::new);
        let sender = Sender {
            bucket: &bucket,
            place,
            context,
            share: blocks / at_once,
            turns: turns.as_ref(),
        };
        let mut files: Vec<FileDigest> = stream::iter(&listing.files)
            .map(|file| sender.file(file))
            .buffer_unordered(at_once)
            .try_collect()
            .await?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok((bucket, files))
    };
    let (bucket, files) = staged
        .await
        .map_err(|failure: Failure| failure.in_phase(Phase::Copy))?;
    Ok(Staged {
        bucket,
        place: place.clone(),
        context: context.clone(),
        files,
    })
}

/// How long the parts of an object of `size` bytes are.
fn part_length(size: u64) -> u64 {
    let needed = size.div_ceil(PARTS);
    // Whole blocks, so that no part needs a block more than its length.
    PART.max(needed.next_multiple_of(BLOCK as u64))
}

/// How many files are on their way at once: each has memory for a part that is being filled and one
/// that is being stored.
fn at_once(blocks: usize, part: u64, sequential: bool) -> usize {
    let part = usize::try_from(part.div_ceil(BLOCK as u64)).unwrap_or(usize::MAX);
    let fit = blocks / part.saturating_mul(2).max(1);
    let most = if sequential { 1 } else { FILES_AT_ONCE };
    fit.clamp(1, most)
}

/// The key of a file below the directory of the model.
fn key(place: &S3, path: &str) -> String {
    match place.key.trim_matches('/') {
        "" => path.to_owned(),
        directory => format!("{directory}/{path}"),
    }
}

struct Sender<'a> {
    bucket: &'a Arc<Bucket>,
    place: &'a S3,
    context: &'a Context,
    /// How many blocks of memory a file has for itself.
    share: usize,
    /// Whose turn it is. Without turns nothing is taken up again.
    turns: Option<&'a Turns>,
}

impl Sender<'_> {
    async fn file(&self, file: &File) -> Result<FileDigest, Failure> {
        let made_of = layer::key(std::slice::from_ref(file));
        let key = key(self.place, &file.path);
        if let Some(found) = self.there(&key, file, made_of.as_deref()).await? {
            return Ok(found);
        }
        let sha256 = self.send(file, &key, made_of.as_deref()).await?;
        Ok(FileDigest::of(file, Some(sha256)))
    }

    /// An object that was made of the same, with its hash as far as it is known. Where notes are not
    /// believed, the source is read for it, and the bucket must say that it has this content. One that
    /// encrypts does not say it.
    async fn there(
        &self,
        key: &str,
        file: &File,
        made_of: Option<&str>,
    ) -> Result<Option<FileDigest>, Failure> {
        let Some(made_of) = made_of else {
            return Ok(None);
        };
        let Some(response) = self.head(key).await? else {
            return Ok(None);
        };
        let header = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok());
        let same = header(KEY) == Some(made_of)
            && header(CONTENT_LENGTH.as_str()) == Some(&file.size.to_string());
        if !same {
            return Ok(None);
        }
        let noted = header(SHA256);
        let sha256 = if self.context.signed {
            let (sha256, etag) = self.read(file).await?;
            let there = header(ETAG.as_str()).unwrap_or_default();
            if there.trim_matches('"') != etag || noted.is_some_and(|noted| noted != sha256) {
                return Ok(None);
            }
            Some(sha256)
        } else {
            noted.map(str::to_owned)
        };
        self.context.meter.skipped(file.size);
        Ok(Some(FileDigest::of(file, sha256)))
    }

    /// Looks at an object. `None` if there is none, or if nobody may see it.
    async fn head(&self, key: &str) -> Result<Option<Response>, Failure> {
        let what = format!("looking for object {key:?}");
        let ask = || async {
            let credentials = self.bucket.credentials();
            let action = self.bucket.bucket.head_object(credentials, key);
            let request = self.bucket.request(&self.bucket.reader, &action);
            let response = request.send().await.map_err(http::broken)?;
            match response.status() {
                // Who may not list may not see what is missing.
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
                status if status.is_success() => Ok(Some(response)),
                _ => Err(http::refused(response).await),
            }
        };
        self.context.patience.retry(&what, ask).await
    }

    /// Whether an object is what these parts make. A bucket that encrypts may give it another `ETag`;
    /// then its note tells, where notes are believed.
    async fn is_joined(
        &self,
        key: &str,
        size: u64,
        etag: Option<&str>,
        made_of: Option<&str>,
    ) -> Result<bool, Failure> {
        let Some(response) = self.head(key).await? else {
            return Ok(false);
        };
        let header = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok());
        let there = header(ETAG.as_str()).map(|it| it.trim_matches('"'));
        let same = etag.is_some() && there == etag;
        let noted = !self.context.signed && made_of.is_some() && header(KEY) == made_of;
        Ok(header(CONTENT_LENGTH.as_str()) == Some(&size.to_string()) && (same || noted))
    }

    /// That an object carries the note of what it is made of. One that an earlier run has begun may
    /// carry another: the source has changed since.
    async fn is_made_of(&self, key: &str, made_of: Option<&str>) -> Result<(), Failure> {
        let Some(response) = self.head(key).await? else {
            return Ok(());
        };
        let note = response.headers().get(KEY).and_then(|it| it.to_str().ok());
        if note == made_of {
            return Ok(());
        }
        Err(Failure::passing(format!(
            "{key:?} was begun with another version of the file"
        )))
    }

    /// Reads a file. Gives its SHA-256 and the `ETag` of an object with this content.
    async fn read(&self, file: &File) -> Result<(String, String), Failure> {
        let mut ahead = self.ahead(file).await;
        let hashing = Hashing::start();
        let length = part_length(file.size);
        let (mut part, mut parts) = (Part::default(), Vec::new());
        while let Some(piece) = ahead.next().await {
            let data = piece?.data;
            hashing.add(data.clone());
            part.add(data);
            if part.length >= length && file.size > length {
                parts.push(std::mem::take(&mut part).md5().await?);
            }
        }
        if part.length > 0 || parts.is_empty() {
            parts.push(part.md5().await?);
        }
        Ok((
            hashing.finish().await?,
            parts::etag(&parts, file.size > length),
        ))
    }

    /// Reads a file, through memory of its own: parts that wait for the rest of their content must
    /// not hold what that rest needs.
    async fn ahead(&self, file: &File) -> read::Ahead {
        let memory = self.context.memory.share(self.share).await;
        let files = Arc::new([file.clone()]);
        read::ahead(files, memory, CONNECTIONS, self.context.patience)
    }

    /// Reads and stores a file. What was begun in vain is taken back.
    async fn send(&self, file: &File, key: &str, made_of: Option<&str>) -> Result<String, Failure> {
        let begun = Begun::default();
        let what = format!("sending {:?}", file.path);
        let sent = self
            .context
            .patience
            .retry(&what, || self.attempt(file, key, made_of, &begun));
        let sent = sent.await;
        if let (Err(_), Some(id)) = (&sent, begun.take()) {
            self.abort(key, &id).await;
        }
        sent
    }

    async fn attempt(
        &self,
        file: &File,
        key: &str,
        made_of: Option<&str>,
        begun: &Begun,
    ) -> Result<String, Failure> {
        let mut counted = self.context.meter.attempt();
        let hashing = Hashing::start();
        let mut ahead = self.ahead(file).await;
        let length = part_length(file.size);
        let mut part = Part::default();
        let mut upload: Option<Upload> = None;
        while let Some(piece) = ahead.next().await {
            let data = piece?.data;
            hashing.add(data.clone());
            counted.add(data.len() as u64);
            part.add(data);
            if part.length >= length && file.size > length {
                let upload = match &mut upload {
                    Some(upload) => upload,
                    None => upload.insert(self.open(key, made_of, begun).await?),
                };
                upload.send(self, std::mem::take(&mut part)).await?;
            }
        }
        let sha256 = hashing.finish().await?;
        if let Some(promised) = file.sha256.as_ref().filter(|promised| **promised != sha256) {
            return Err(Failure::passing(format!(
                "{:?} has SHA-256 {sha256}, and its source says {promised}",
                file.path
            )));
        }
        match upload {
            Some(mut upload) => {
                if part.length > 0 {
                    upload.send(self, part).await?;
                }
                counted.kept(upload.finish(self, file.size, made_of).await?);
                begun.take();
                self.is_made_of(key, made_of).await?;
            }
            None => self.put(key, part, made_of, &sha256).await?,
        }
        counted.succeed();
        Ok(sha256)
    }

    /// Stores an object in one request.
    async fn put(
        &self,
        key: &str,
        part: Part,
        made_of: Option<&str>,
        sha256: &str,
    ) -> Result<(), Failure> {
        let mut action = self
            .bucket
            .bucket
            .put_object(self.bucket.credentials(), key);
        let mut notes = vec![(SHA256, sha256)];
        notes.extend(made_of.map(|made_of| (KEY, made_of)));
        let turn = Turns::turn(self.turns, part.length);
        for (name, value) in &notes {
            action.headers_mut().insert(*name, *value);
        }
        self.context
            .patience
            .retry(&format!("storing {key:?}"), || async {
                let mut request = self.bucket.request(&self.bucket.sender, &action);
                for (name, value) in &notes {
                    request = request.header(*name, *value);
                }
                turn.wait().await;
                let request = request
                    .header(CONTENT_LENGTH, part.length)
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .timeout(PART_LIMIT)
                    .body(part.body(&turn));
                http::send(request).await.map(drop)
            })
            .await
    }
}

impl Staged {
    /// Adds `extra`. The objects are visible already.
    pub async fn commit(self, extra: Vec<ExtraFile>) -> Result<Outcome, Error> {
        self.context.meter.phase(Phase::Commit);
        let layers = self.files.len();
        let sender = Sender {
            bucket: &self.bucket,
            place: &self.place,
            context: &self.context,
            share: self.context.memory.blocks(),
            turns: None,
        };
        for file in extra {
            let stored = async {
                let path = relative(&file.path)?;
                let hashing = Hashing::start();
                let content = Bytes::from(file.content);
                hashing.add(content.clone());
                let sha256 = hashing.finish().await?;
                let mut part = Part::default();
                part.add(content);
                let key = key(&self.place, &path);
                sender.put(&key, part, None, &sha256).await
            };
            stored
                .await
                .map_err(|failure: Failure| failure.in_phase(Phase::Commit))?;
        }
        let now = self.context.meter.now();
        Ok(Outcome {
            uri: uri(&self.place),
            digest: None,
            manifests: Vec::new(),
            bytes: now.done,
            sent: now.done - now.skipped,
            layers,
            files: self.files,
        })
    }
}

/// The address that serving reads: `s3://bucket/key?endpoint=…&defaultRegion=…`.
fn uri(place: &S3) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(endpoint) = &place.endpoint {
        query.append_pair("endpoint", endpoint.as_str().trim_end_matches('/'));
    }
    if let Some(region) = &place.region {
        query.append_pair("defaultRegion", region);
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    let key = place.key.trim_matches('/');
    format!("s3://{}/{key}{mark}{query}", place.bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_bucket_key_endpoint_and_region() {
        let mut place = S3 {
            endpoint: Some("https://minio.example.com:9000".parse().unwrap()),
            bucket: "models".to_owned(),
            key: "/llama/v1/".to_owned(),
            region: Some("eu-west-1".to_owned()),
            credentials: None,
            addressing: crate::settings::Addressing::Auto,
            tls: crate::settings::Tls::default(),
        };
        assert_eq!(
            uri(&place),
            "s3://models/llama/v1?endpoint=https%3A%2F%2Fminio.example.com%3A9000\
             &defaultRegion=eu-west-1"
        );
        assert_eq!(key(&place, "a/b"), "llama/v1/a/b");
        (place.endpoint, place.region) = (None, None);
        assert_eq!(uri(&place), "s3://models/llama/v1");
    }

    #[test]
    fn ten_thousand_parts_are_enough() {
        for size in [0, 1, PART, 80 << 30, 5 << 40] {
            let length = part_length(size);
            assert!(size.div_ceil(length) <= PARTS, "{size}");
            assert_eq!(length % (1 << 20), 0);
        }
        // Up to 80 GB they stay as short as they can be.
        assert_eq!(part_length(80_000_000_000), PART);
        assert!(part_length(90_000_000_000) > PART);
        // Numbers of parts are 16 bits long.
        assert!(u16::try_from(PARTS).is_ok());
    }

    #[test]
    fn files_at_once_leave_each_other_their_memory() {
        assert_eq!(at_once(128, PART, false), 4);
        assert_eq!(at_once(128, PART, true), 1);
        // Four files of 600 GB: parts of 58 MiB.
        assert_eq!(at_once(128, part_length(600_000_000_000), false), 1);
        assert_eq!(at_once(16, PART, false), 1);
        assert_eq!(at_once(1, u64::MAX, false), 1);
    }
}
