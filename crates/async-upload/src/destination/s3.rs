//! A model as the objects of a bucket: each file in parts that are held until they are stored.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use reqwest::{Body, StatusCode};
use rusty_s3::actions::{CreateMultipartUpload, S3Action as _};
use tokio::task::JoinSet;
use url::form_urlencoded;

use super::Context;
use crate::failure::Failure;
use crate::http;
use crate::pipeline::hash::Hashing;
use crate::pipeline::layer;
use crate::pipeline::memory::BLOCK;
use crate::pipeline::read;
use crate::s3::{Bucket, not_xml, text};
use crate::settings::S3;
use crate::source::{File, Listing, relative};
use crate::transfer::{Error, ExtraFile, FileDigest, Outcome, Phase};

/// The smallest part.
const PART: u64 = 8 << 20;
/// How many parts an object may have.
const PARTS: u64 = 10_000;
/// How many files are on their way at once.
const FILES_AT_ONCE: usize = 4;
/// How many parts of one file are being stored while the next is read.
const PARTS_AT_ONCE: usize = 3;
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

/// Stores all files.
pub async fn stage(place: &S3, listing: Listing, context: &Context) -> Result<Staged, Error> {
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
        let sender = Sender {
            bucket: &bucket,
            place,
            context,
            share: blocks / at_once,
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
}

impl Sender<'_> {
    async fn file(&self, file: &File) -> Result<FileDigest, Failure> {
        let made_of = layer::key(std::slice::from_ref(file));
        let key = key(self.place, &file.path);
        let sha256 = match self.there(&key, file, made_of.as_deref()).await? {
            Some(sha256) => sha256,
            None => {
                self.context
                    .patience
                    .retry(&format!("sending {:?}", file.path), || {
                        self.attempt(file, &key, made_of.as_deref())
                    })
                    .await?
            }
        };
        Ok(FileDigest {
            path: file.path.clone(),
            size: file.size,
            sha256,
        })
    }

    /// The hash of an object that was made of the same. One in parts does not carry it: then the
    /// source is read for it, and nothing is sent.
    async fn there(
        &self,
        key: &str,
        file: &File,
        made_of: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let Some(made_of) = made_of else {
            return Ok(None);
        };
        let response = self
            .context
            .patience
            .retry(&format!("looking for object {key:?}"), || async {
                let action = self
                    .bucket
                    .bucket
                    .head_object(self.bucket.credentials(), key);
                let request = self.bucket.request(&self.bucket.reader, &action);
                let response = request.send().await.map_err(http::broken)?;
                match response.status() {
                    // Who may not list may not see what is missing.
                    StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
                    status if status.is_success() => Ok(Some(response)),
                    _ => Err(http::refused(response).await),
                }
            })
            .await?;
        let Some(response) = response else {
            return Ok(None);
        };
        let header = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok());
        let same = header(KEY) == Some(made_of)
            && header(CONTENT_LENGTH.as_str()) == Some(&file.size.to_string());
        if !same {
            return Ok(None);
        }
        let noted = header(SHA256);
        let believed = noted.filter(|_| self.context.notes_hold);
        let sha256 = match believed.or(file.sha256.as_deref()) {
            Some(sha256) => sha256.to_owned(),
            None => self.hash(file).await?,
        };
        if noted.is_some_and(|noted| noted != sha256) {
            return Ok(None);
        }
        self.context.meter.skipped(file.size);
        Ok(Some(sha256))
    }

    async fn hash(&self, file: &File) -> Result<String, Failure> {
        let mut ahead = self.ahead(file).await;
        let hashing = Hashing::start();
        while let Some(piece) = ahead.next().await {
            hashing.add(piece?.data);
        }
        hashing.finish().await
    }

    /// Reads a file, through memory of its own: parts that wait for the rest of their content must
    /// not hold what that rest needs.
    async fn ahead(&self, file: &File) -> read::Ahead {
        let memory = self.context.memory.share(self.share).await;
        let files = Arc::new([file.clone()]);
        read::ahead(files, memory, CONNECTIONS, self.context.patience)
    }

    /// Reads and stores a file, once. What was begun in vain is taken back.
    async fn attempt(
        &self,
        file: &File,
        key: &str,
        made_of: Option<&str>,
    ) -> Result<String, Failure> {
        let mut upload = None;
        let result = self.store(file, key, made_of, &mut upload).await;
        if let (Err(_), Some(upload)) = (&result, upload) {
            self.abort(key, &upload.id).await;
        }
        result
    }

    async fn store(
        &self,
        file: &File,
        key: &str,
        made_of: Option<&str>,
        upload: &mut Option<Upload>,
    ) -> Result<String, Failure> {
        let mut counted = self.context.meter.attempt();
        let hashing = Hashing::start();
        let mut ahead = self.ahead(file).await;
        let length = part_length(file.size);
        let mut part = Part::default();
        while let Some(piece) = ahead.next().await {
            let data = piece?.data;
            hashing.add(data.clone());
            counted.add(data.len() as u64);
            part.add(data);
            if part.length >= length && file.size > length {
                let upload = if let Some(upload) = upload.as_mut() {
                    upload
                } else {
                    self.sweep(key).await;
                    upload.insert(self.begin(key, made_of).await?)
                };
                upload.send(self, key, std::mem::take(&mut part)).await?;
            }
        }
        let sha256 = hashing.finish().await?;
        if let Some(promised) = file.sha256.as_ref().filter(|promised| **promised != sha256) {
            return Err(Failure::passing(format!(
                "{:?} has SHA-256 {sha256}, and its source says {promised}",
                file.path
            )));
        }
        match upload.as_mut() {
            Some(upload) => {
                if part.length > 0 {
                    upload.send(self, key, part).await?;
                }
                upload.finish(self, key).await?;
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
                let request = request
                    .header(CONTENT_LENGTH, part.length)
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .timeout(PART_LIMIT)
                    .body(part.body());
                http::send(request).await.map(drop)
            })
            .await
    }

    /// Ends what an earlier attempt has begun for this object and left: its parts cost money until
    /// somebody does. Nobody else writes this object at the same time, or they would overwrite each
    /// other anyway.
    async fn sweep(&self, key: &str) {
        let listed = async {
            let credentials = self.bucket.credentials();
            // The action for the list is not in the library: it is a GET of the bucket itself.
            let mut action = self.bucket.bucket.get_object(credentials, "");
            action.query_mut().insert("uploads", "");
            action.query_mut().insert("prefix", key);
            text(self.bucket.ask(&action).await?).await
        };
        match listed.await {
            Ok(list) => {
                for id in unfinished(&list, key) {
                    self.abort(key, &id).await;
                }
            }
            // Who may write need not be allowed to see this.
            Err(failure) => tracing::debug!("no list of unfinished uploads: {}", failure.cause),
        }
    }

    async fn abort(&self, key: &str, id: &str) {
        let credentials = self.bucket.credentials();
        let action = self
            .bucket
            .bucket
            .abort_multipart_upload(credentials, key, id);
        match self.bucket.ask(&action).await {
            Ok(_) => tracing::info!("an unfinished upload of {key:?} was ended"),
            Err(failure) => tracing::warn!(
                "an unfinished upload of {key:?} stays: {}; a lifecycle rule of the bucket can \
                 remove it",
                failure.cause
            ),
        }
    }

    async fn begin(&self, key: &str, made_of: Option<&str>) -> Result<Upload, Failure> {
        let mut action = self
            .bucket
            .bucket
            .create_multipart_upload(self.bucket.credentials(), key);
        if let Some(made_of) = made_of {
            action.headers_mut().insert(KEY, made_of);
        }
        self.context
            .patience
            .retry(&format!("beginning {key:?}"), || async {
                let mut request = self.bucket.request(&self.bucket.sender, &action);
                if let Some(made_of) = made_of {
                    request = request.header(KEY, made_of);
                }
                let answer = text(http::send(request.header(CONTENT_LENGTH, 0)).await?).await?;
                let answer = CreateMultipartUpload::parse_response(&answer)
                    .map_err(|error| not_xml(&error))?;
                Ok(Upload {
                    id: answer.upload_id().to_owned(),
                    begun: 0,
                    stored: Vec::new(),
                    sending: JoinSet::new(),
                })
            })
            .await
    }
}

/// The ids of the uploads of exactly this object in a list of them.
fn unfinished(list: &str, key: &str) -> Vec<String> {
    list.split("<Upload>")
        .skip(1)
        .filter(|upload| http::element(upload, "Key").is_some_and(|it| http::plain(it) == key))
        .filter_map(|upload| http::element(upload, "UploadId").map(http::plain))
        .collect()
}

/// How long one part may take.
const PART_LIMIT: std::time::Duration = std::time::Duration::from_mins(10);

/// Content of an object that is held until it is stored.
#[derive(Debug, Clone, Default)]
struct Part {
    pieces: Vec<Bytes>,
    length: u64,
}

impl Part {
    fn add(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        self.pieces.push(piece);
    }

    /// A body that can be made again.
    fn body(&self) -> Body {
        let pieces = self.pieces.clone();
        Body::wrap_stream(stream::iter(
            pieces.into_iter().map(Ok::<_, std::convert::Infallible>),
        ))
    }
}

/// An object on its way in parts.
#[derive(Debug)]
struct Upload {
    id: String,
    begun: u16,
    stored: Vec<(u16, String)>,
    sending: JoinSet<Result<(u16, String), Failure>>,
}

impl Upload {
    /// Begins to store a part, when one of those before it has made room.
    async fn send(&mut self, sender: &Sender<'_>, key: &str, part: Part) -> Result<(), Failure> {
        while self.sending.len() >= PARTS_AT_ONCE {
            self.join().await?;
        }
        self.begun += 1;
        let number = self.begun;
        let bucket = sender.bucket.clone();
        let patience = sender.context.patience;
        let (key, id) = (key.to_owned(), self.id.clone());
        self.sending.spawn(async move {
            patience
                .retry(&format!("storing part {number} of {key:?}"), || async {
                    let action = bucket
                        .bucket
                        .upload_part(bucket.credentials(), &key, number, &id);
                    let request = bucket
                        .request(&bucket.sender, &action)
                        .header(CONTENT_LENGTH, part.length)
                        .timeout(PART_LIMIT)
                        .body(part.body());
                    let response = http::send(request).await?;
                    let etag = response.headers().get(ETAG).and_then(|it| it.to_str().ok());
                    let etag = etag.ok_or_else(|| {
                        Failure::lasting(
                            "the server gives no ETag for a part",
                            "Check the endpoint; a proxy before it may remove headers",
                        )
                    })?;
                    Ok((number, etag.to_owned()))
                })
                .await
        });
        Ok(())
    }

    async fn join(&mut self) -> Result<(), Failure> {
        match self.sending.join_next().await {
            Some(Ok(stored)) => {
                self.stored.push(stored?);
                Ok(())
            }
            Some(Err(error)) => Err(Failure::passing(format!("a part ended early: {error}"))),
            None => Ok(()),
        }
    }

    /// Makes the parts an object.
    async fn finish(&mut self, sender: &Sender<'_>, key: &str) -> Result<(), Failure> {
        while !self.sending.is_empty() {
            self.join().await?;
        }
        self.stored.sort_unstable();
        let bucket = &sender.bucket;
        let etags = || self.stored.iter().map(|(_, etag)| etag.as_str());
        sender
            .context
            .patience
            .retry(&format!("finishing {key:?}"), || async {
                let action = bucket.bucket.complete_multipart_upload(
                    bucket.credentials(),
                    key,
                    &self.id,
                    etags(),
                );
                let request = bucket.request(&bucket.sender, &action);
                let body = action.body();
                let request = request.timeout(PART_LIMIT).body(body);
                let answer = text(http::send(request).await?).await?;
                // A failure can come with status 200, after the server has begun to answer.
                if answer.contains("<Error>") {
                    return Err(Failure::passing(format!(
                        "the server could not join the parts of {key:?}"
                    )));
                }
                Ok(())
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

    #[test]
    fn only_uploads_of_the_object_itself_are_ended() {
        let list = "<ListMultipartUploadsResult><Prefix>m/a</Prefix>\
            <Upload><Key>m/a&amp;b</Key><UploadId>1</UploadId></Upload>\
            <Upload><Key>m/a&amp;b.json</Key><UploadId>2</UploadId></Upload>\
            <Upload><UploadId>3&gt;</UploadId><Key>m/a&amp;b</Key></Upload>\
            </ListMultipartUploadsResult>";
        assert_eq!(unfinished(list, "m/a&b"), ["1", "3>"]);
        assert!(unfinished(list, "m/a").is_empty());
    }
}
