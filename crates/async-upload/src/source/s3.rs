//! A model in a bucket: the objects under a key, or one object.

use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{ETAG, IF_MATCH, RANGE};
use rusty_s3::actions::ListObjectsV2;

use super::{Body, Content, File, Listing, Object, relative};
use crate::failure::{Failure, Patience};
use crate::http;
use crate::s3::{Bucket, not_xml, text};
use crate::settings::S3;

/// Lists the objects below `key/`, or the one called `key`. What only begins with the same letters
/// (`key-2/`) is another model.
pub(super) async fn list(place: &S3, patience: Patience) -> Result<Listing, Failure> {
    let bucket = Arc::new(Bucket::new(place)?);
    let key = place.key.trim_matches('/');
    let prefix = if key.is_empty() {
        String::new()
    } else {
        format!("{key}/")
    };
    let mut files = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = patience
            .retry(&format!("listing bucket {:?}", place.bucket), || {
                page(&bucket, &prefix, token.as_deref())
            })
            .await?;
        for object in page.contents {
            // A directory marker, not a file.
            if object.key.ends_with('/') {
                continue;
            }
            let path = relative(object.key.strip_prefix(&prefix).unwrap_or(&object.key))?;
            let Some(size) = object.size else {
                return Err(Failure::lasting(
                    format!(
                        "the server does not say how long object {:?} is",
                        object.key
                    ),
                    "Check the endpoint",
                ));
            };
            files.push(file(&bucket, object.key, path, size, object.etag));
        }
        token = page.next_continuation_token;
        if token.is_none() {
            break;
        }
    }
    if files.is_empty() && !key.is_empty() {
        files.extend(
            patience
                .retry(&format!("looking at object {key:?}"), || {
                    single(&bucket, key)
                })
                .await?,
        );
    }
    if files.is_empty() {
        return Err(Failure::lasting(
            format!(
                "bucket {:?} has no object {key:?} and none below {prefix:?}",
                place.bucket
            ),
            "Correct the source key; it is an object or a directory",
        ));
    }
    Ok(Listing {
        files,
        sequential: false,
    })
}

fn file(bucket: &Arc<Bucket>, key: String, path: String, size: u64, etag: Option<String>) -> File {
    File {
        path,
        size,
        identity: etag
            .as_ref()
            .map(|etag| format!("{} {} {size}", bucket.place, etag.trim_matches('"'))),
        sha256: None,
        body: Body::Range {
            object: Arc::new(S3Object {
                bucket: bucket.clone(),
                key,
                etag,
            }),
            offset: 0,
            parallel: true,
        },
    }
}

async fn page(
    bucket: &Bucket,
    prefix: &str,
    token: Option<&str>,
) -> Result<rusty_s3::actions::ListObjectsV2Response, Failure> {
    let mut action = bucket.bucket.list_objects_v2(bucket.credentials());
    if !prefix.is_empty() {
        action.with_prefix(prefix);
    }
    if let Some(token) = token {
        action.with_continuation_token(token);
    }
    let answer = text(bucket.ask(&action).await?).await?;
    ListObjectsV2::parse_response(&answer).map_err(|error| not_xml(&error))
}

/// The object called `key` itself, if there is one.
async fn single(bucket: &Arc<Bucket>, key: &str) -> Result<Option<File>, Failure> {
    let name = relative(key)?;
    let action = bucket.bucket.head_object(bucket.credentials(), key);
    let response = bucket
        .request(&bucket.reader, &action)
        .send()
        .await
        .map_err(http::broken)?;
    if response.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if !response.status().is_success() {
        return Err(http::refused(response).await);
    }
    let header = |name| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let size = header(reqwest::header::CONTENT_LENGTH)
        .and_then(|length| length.parse().ok())
        .ok_or_else(|| {
            Failure::lasting(
                format!("the server does not say how long object {key:?} is"),
                "Check the endpoint",
            )
        })?;
    let path = name.rsplit('/').next().unwrap_or(&name).to_owned();
    Ok(Some(file(bucket, key.to_owned(), path, size, header(ETAG))))
}

/// One object in one version.
#[derive(Debug)]
struct S3Object {
    bucket: Arc<Bucket>,
    key: String,
    etag: Option<String>,
}

impl Object for S3Object {
    fn read(self: Arc<Self>, range: Range<u64>) -> Content {
        futures::stream::once(async move {
            let action = self
                .bucket
                .bucket
                .get_object(self.bucket.credentials(), &self.key);
            let mut request = self
                .bucket
                .request(&self.bucket.reader, &action)
                .header(RANGE, http::range(&range));
            if let Some(etag) = &self.etag {
                request = request.header(IF_MATCH, etag);
            }
            let response = http::send(request).await?;
            Ok::<_, Failure>(http::body(http::partial(response, &range)?))
        })
        .try_flatten()
        .boxed()
    }

    fn name(&self) -> String {
        format!("object {:?}", self.key)
    }
}
