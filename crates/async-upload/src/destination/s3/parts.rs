//! An object on its way in parts. What an earlier run has stored of it is compared and kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use md5::{Digest as _, Md5};
use reqwest::header::{CONTENT_LENGTH, ETAG};
use reqwest::{Body, StatusCode};
use rusty_s3::actions::{CreateMultipartUpload, ListParts, S3Action as _};
use tokio::task::JoinSet;

use super::super::turns::{Turn, Turns};
use super::{KEY, PART_LIMIT, Sender};
use crate::failure::Failure;
use crate::http;
use crate::oci::{from_hex, hex};
use crate::s3::{not_xml, text};

/// How many parts of one file are being stored while the next is read.
const PARTS_AT_ONCE: usize = 3;

/// Content of an object that is held until it is stored.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    pieces: Vec<Bytes>,
    pub(super) length: u64,
}

impl Part {
    pub(super) fn add(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        self.pieces.push(piece);
    }

    /// A body that can be made again.
    pub(super) fn body(&self, turn: &Turn) -> Body {
        let pieces = turn.passing(self.pieces.clone());
        Body::wrap_stream(pieces.map(Ok::<_, std::convert::Infallible>))
    }

    /// What buckets call content by, unless they encrypt it: then nothing is the same.
    pub(super) async fn md5(&self) -> Result<[u8; 16], Failure> {
        let pieces = self.pieces.clone();
        let hash = tokio::task::spawn_blocking(move || {
            let all = pieces.iter();
            all.fold(Md5::new(), Md5::chain_update).finalize().into()
        });
        hash.await
            .map_err(|error| Failure::passing(format!("hashing ended early: {error}")))
    }
}

/// The `ETag` of an object whose parts have these hashes.
pub(super) fn etag(parts: &[[u8; 16]], in_parts: bool) -> String {
    match parts {
        [one] if !in_parts => hex(one),
        _ => format!("{}-{}", hex(&Md5::digest(parts.concat())), parts.len()),
    }
}

/// The id of the upload that the attempts for one object share.
#[derive(Debug, Default)]
pub(super) struct Begun(Mutex<Option<String>>);

impl Begun {
    /// The id; from now on there is none.
    pub(super) fn take(&self) -> Option<String> {
        self.slot().take()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object on its way in parts.
#[derive(Debug)]
pub(super) struct Upload {
    key: String,
    id: String,
    /// Length and `ETag` of the parts that were there before, by number.
    before: HashMap<u16, (u64, String)>,
    begun: u16,
    stored: Vec<(u16, String)>,
    /// Bytes of parts that were there before.
    kept: u64,
    sending: JoinSet<Result<Stored, Failure>>,
}

/// A part that the bucket has.
#[derive(Debug)]
struct Stored {
    number: u16,
    etag: String,
    /// Its length, if it was there before.
    kept: u64,
}

impl Sender<'_> {
    /// Goes on with the upload of an earlier attempt or an earlier run, or begins one. Nobody else
    /// writes this object at the same time, or they would overwrite each other anyway.
    pub(super) async fn open(
        &self,
        key: &str,
        made_of: Option<&str>,
        begun: &Begun,
    ) -> Result<Upload, Failure> {
        let own = begun.take();
        let mut ids = match &own {
            Some(id) => vec![id.clone()],
            None => self.unfinished(key).await,
        };
        let last = if self.turns.is_some() || own.is_some() {
            ids.pop()
        } else {
            None
        };
        // Parts cost money until somebody ends their upload.
        for id in ids {
            self.abort(key, &id).await;
        }
        let going_on = match last {
            Some(id) => self.parts(key, &id).await.map(|parts| (id, parts)),
            None => None,
        };
        let (id, before) = match going_on {
            Some(found) => found,
            None => (self.begin(key, made_of).await?, HashMap::new()),
        };
        *begun.slot() = Some(id.clone());
        Ok(Upload {
            key: key.to_owned(),
            id,
            before,
            begun: 0,
            stored: Vec::new(),
            kept: 0,
            sending: JoinSet::new(),
        })
    }

    /// The uploads of this object that were begun and not ended, the oldest first.
    async fn unfinished(&self, key: &str) -> Vec<String> {
        let listed = async {
            let credentials = self.bucket.credentials();
            // The action for the list is not in the library: it is a GET of the bucket itself.
            let mut action = self.bucket.bucket.get_object(credentials, "");
            action.query_mut().insert("uploads", "");
            action.query_mut().insert("prefix", key);
            text(self.bucket.ask(&action).await?).await
        };
        match listed.await {
            Ok(list) => unfinished(&list, key),
            Err(failure) => {
                // Who may write need not be allowed to see this.
                tracing::debug!("no list of unfinished uploads: {}", failure.cause);
                Vec::new()
            }
        }
    }

    /// The parts of an upload. `None` if it is gone, or nobody may see them.
    async fn parts(&self, key: &str, id: &str) -> Option<HashMap<u16, (u64, String)>> {
        let mut all = HashMap::new();
        let mut from = None;
        loop {
            let credentials = self.bucket.credentials();
            let mut action = ListParts::new(&self.bucket.bucket, credentials, key, id);
            if let Some(from) = from {
                action.set_part_number_marker(from);
            }
            let listed = async { text(self.bucket.ask(&action).await?).await };
            let listed = listed
                .await
                .and_then(|list| ListParts::parse_response(&list).map_err(|error| not_xml(&error)));
            match listed {
                Ok(page) => {
                    let parts = page.parts.into_iter();
                    all.extend(parts.map(|part| (part.number, (part.size, part.etag))));
                    from = page.next_part_number_marker;
                }
                Err(failure) => {
                    tracing::debug!("no list of the parts of {key:?}: {}", failure.cause);
                    return None;
                }
            }
            if from.is_none() {
                return Some(all);
            }
        }
    }

    /// Ends an upload.
    pub(super) async fn abort(&self, key: &str, id: &str) {
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

    /// Begins an upload and gives its id.
    async fn begin(&self, key: &str, made_of: Option<&str>) -> Result<String, Failure> {
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
                Ok(answer.upload_id().to_owned())
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

impl Upload {
    /// Begins to store a part, when one of those before it has made room.
    pub(super) async fn send(&mut self, sender: &Sender<'_>, part: Part) -> Result<(), Failure> {
        while self.sending.len() >= PARTS_AT_ONCE {
            self.join().await?;
        }
        self.begun += 1;
        let number = self.begun;
        let before = self.before.remove(&number);
        let bucket = sender.bucket.clone();
        let patience = sender.context.patience;
        let turn = Turns::turn(sender.turns, part.length);
        let (key, id) = (self.key.clone(), self.id.clone());
        self.sending.spawn(async move {
            if let Some((length, etag)) = before
                && length == part.length
                && etag.trim_matches('"') == hex(&part.md5().await?)
            {
                let kept = length;
                return Ok(Stored { number, etag, kept });
            }
            let put = || async {
                let credentials = bucket.credentials();
                let action = bucket.bucket.upload_part(credentials, &key, number, &id);
                turn.wait().await;
                let request = bucket
                    .request(&bucket.sender, &action)
                    .header(CONTENT_LENGTH, part.length)
                    .timeout(PART_LIMIT)
                    .body(part.body(&turn));
                let response = http::send(request).await?;
                let etag = response.headers().get(ETAG).and_then(|it| it.to_str().ok());
                let etag = etag.ok_or_else(|| {
                    Failure::lasting(
                        "the server gives no ETag for a part",
                        "Check the endpoint; a proxy before it may remove headers",
                    )
                })?;
                Ok(Stored {
                    number,
                    etag: etag.to_owned(),
                    kept: 0,
                })
            };
            let what = format!("storing part {number} of {key:?}");
            patience.retry(&what, put).await
        });
        Ok(())
    }

    async fn join(&mut self) -> Result<(), Failure> {
        match self.sending.join_next().await {
            Some(Ok(stored)) => {
                let Stored { number, etag, kept } = stored?;
                self.stored.push((number, etag));
                self.kept += kept;
                Ok(())
            }
            Some(Err(error)) => Err(Failure::passing(format!("a part ended early: {error}"))),
            None => Ok(()),
        }
    }

    /// Makes the parts an object of `size` bytes. Gives how many of them were there before.
    pub(super) async fn finish(
        &mut self,
        sender: &Sender<'_>,
        size: u64,
        made_of: Option<&str>,
    ) -> Result<u64, Failure> {
        while !self.sending.is_empty() {
            self.join().await?;
        }
        self.stored.sort_unstable();
        let bucket = &sender.bucket;
        let key = &self.key;
        let etags = || self.stored.iter().map(|(_, etag)| etag.as_str());
        let complete = || async {
            let credentials = bucket.credentials();
            let action =
                bucket
                    .bucket
                    .complete_multipart_upload(credentials, key, &self.id, etags());
            let request = bucket.request(&bucket.sender, &action);
            let body = action.body();
            let request = request.timeout(PART_LIMIT).body(body);
            let answer = request.send().await.map_err(http::broken)?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(false);
            }
            if !answer.status().is_success() {
                return Err(http::refused(answer).await);
            }
            // A failure can come with status 200, after the server has begun to answer.
            if text(answer).await?.contains("<Error>") {
                return Err(Failure::passing(format!(
                    "the server could not join the parts of {key:?}"
                )));
            }
            Ok(true)
        };
        let what = format!("finishing {key:?}");
        let told = sender.context.patience.retry(&what, complete).await?;
        // An upload ends when its parts are joined: the answer that said so may have been lost.
        let etag = self.etag();
        if !told
            && !sender
                .is_joined(key, size, etag.as_deref(), made_of)
                .await?
        {
            return Err(Failure::passing(format!(
                "somebody has ended the upload of {key:?}"
            )));
        }
        Ok(self.kept)
    }

    /// The `ETag` that the object will have, if those of the parts are what they are without
    /// encryption.
    fn etag(&self) -> Option<String> {
        let parts = self.stored.iter();
        let parts: Option<Vec<_>> = parts
            .map(|(_, etag)| from_hex(etag.trim_matches('"')))
            .collect();
        Some(etag(&parts?, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uploads_of_the_object_itself_are_meant() {
        let list = "<ListMultipartUploadsResult><Prefix>m/a</Prefix>\
            <Upload><Key>m/a&amp;b</Key><UploadId>1</UploadId></Upload>\
            <Upload><Key>m/a&amp;b.json</Key><UploadId>2</UploadId></Upload>\
            <Upload><UploadId>3&gt;</UploadId><Key>m/a&amp;b</Key></Upload>\
            </ListMultipartUploadsResult>";
        assert_eq!(unfinished(list, "m/a&b"), ["1", "3>"]);
        assert!(unfinished(list, "m/a").is_empty());
    }
}
