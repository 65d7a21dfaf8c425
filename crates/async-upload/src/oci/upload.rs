//! A blob on its way: in one request where the registry takes it so, in several or with its digest
//! first where it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};
use tokio::sync::mpsc;
use url::Url;

use super::Repository;
use super::client::{header, success};
use crate::failure::Failure;
use crate::http;
use crate::source::Content;

/// How long a registry may think about a blob that it has whole: some copy it to another store.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_mins(15);
/// How long sending may stand still.
const STALL_LIMIT: Duration = Duration::from_mins(2);
const OCTETS: &str = "application/octet-stream";
/// The first length of a request after one was too long.
const CHUNK: u64 = 64 << 20;
/// No server that takes models wants requests shorter than this.
const SMALLEST_CHUNK: u64 = 1 << 20;

/// How a registry takes a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In one request while it is read; a second one brings the digest.
    Stream,
    /// In requests of at most so many bytes; the last one brings the digest.
    Chunks(u64),
    /// In one request that begins with the digest.
    Whole,
}

/// What the refusals of a registry have taught, for all blobs of a run.
#[derive(Debug)]
pub(super) struct Lessons {
    /// The longest request that it takes, as far as is known.
    longest: AtomicU64,
    /// It takes no blob without its digest.
    no_patch: AtomicBool,
    /// It has taken one.
    patched: AtomicBool,
}

impl Default for Lessons {
    fn default() -> Self {
        Self {
            longest: AtomicU64::new(u64::MAX),
            no_patch: AtomicBool::new(false),
            patched: AtomicBool::new(false),
        }
    }
}

impl Lessons {
    /// How to send a blob of `length` bytes. With a known digest one request is enough.
    fn form(&self, length: u64, digest_known: bool) -> Form {
        let longest = self.longest.load(Ordering::Relaxed);
        if self.no_patch.load(Ordering::Relaxed) {
            Form::Whole
        } else if length > longest {
            Form::Chunks(longest)
        } else if digest_known {
            Form::Whole
        } else {
            Form::Stream
        }
    }

    /// Takes in why a blob of `length` bytes was refused in this form. `false` if no other form is
    /// left, or if the refusal has nothing to do with it.
    fn learn(&self, failure: &Failure, form: Form, length: u64) -> bool {
        let Some(status) = failure.refused else {
            return false;
        };
        let again = match (status, form) {
            (StatusCode::PAYLOAD_TOO_LARGE, form) => {
                let tried = match form {
                    Form::Chunks(longest) => longest,
                    Form::Stream | Form::Whole => length.min(4 * CHUNK),
                };
                let next = tried / 4;
                self.longest.fetch_min(next, Ordering::Relaxed);
                next >= SMALLEST_CHUNK && !self.no_patch.load(Ordering::Relaxed)
            }
            (_, Form::Whole) => false,
            (StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED, _) => true,
            (StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE, _) => {
                !self.patched.load(Ordering::Relaxed)
            }
            _ => false,
        };
        if again {
            if status != StatusCode::PAYLOAD_TOO_LARGE {
                self.no_patch.store(true, Ordering::Relaxed);
            }
            tracing::info!(
                "the registry does not take a blob of {length} bytes so ({form:?}: {status}); \
                 trying another way"
            );
        }
        again
    }
}

impl Repository {
    /// How to send a blob of `length` bytes whose digest is not known.
    #[must_use]
    pub fn form(&self, length: u64) -> Form {
        self.shared.lessons.form(length, false)
    }

    /// Whether a blob that was refused may be taken in another [form](Self::form).
    #[must_use]
    pub fn learn(&self, failure: &Failure, form: Form, length: u64) -> bool {
        self.shared.lessons.learn(failure, form, length)
    }

    /// Begins an upload.
    pub async fn begin(&self) -> Result<Upload, Failure> {
        let response = success(self.ask_upload(&[]).await?).await?;
        let least = header(response.headers(), "oci-chunk-min-length");
        Ok(Upload {
            location: location(&response)?,
            repository: self.clone(),
            sent: 0,
            least: least.and_then(|it| it.parse().ok()).unwrap_or_default(),
        })
    }

    /// Asks for a place for a blob.
    pub(super) async fn ask_upload(&self, query: &[(&str, &str)]) -> Result<Response, Failure> {
        let mut url = self.url(&["blobs", "uploads/"]).await?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.authorized(|| {
            let request = self.shared.reader.post(url.clone());
            request.header(CONTENT_LENGTH, 0)
        })
        .await
    }

    /// Stores a blob whose digest is known, in whichever form the registry takes it. Each attempt
    /// takes the content anew from `pieces`, when `turn` says so.
    pub async fn put_content(
        &self,
        digest: &str,
        length: u64,
        turn: impl AsyncFn(),
        pieces: impl Fn() -> Content,
    ) -> Result<(), Failure> {
        let what = format!("sending blob {digest} to {}", self.label());
        loop {
            let form = self.shared.lessons.form(length, true);
            let sent = self.shared.patience.retry(&what, || async {
                let mut upload = self.begin().await?;
                turn().await;
                match form {
                    Form::Chunks(longest) => {
                        upload.patch_in(pieces(), length, longest).await?;
                        upload.finish(digest, length).await
                    }
                    Form::Whole | Form::Stream => upload.put(digest, pieces(), length).await,
                }
            });
            match sent.await {
                Err(failure) if self.learn(&failure, form, length) => {}
                result => return result,
            }
        }
    }
}

/// A blob on its way.
#[derive(Debug)]
pub struct Upload {
    repository: Repository,
    location: Url,
    sent: u64,
    /// The registry wants all requests but the last to be at least so long.
    least: u64,
}

impl Upload {
    /// Sends all `length` bytes in one request.
    pub async fn patch(&mut self, pieces: Content, length: u64) -> Result<(), Failure> {
        let request = self.request(Method::PATCH, &self.location, length).await?;
        self.patched(request, pieces, length).await
    }

    /// Sends `length` bytes in requests of at most `longest`.
    pub async fn patch_in(
        &mut self,
        mut pieces: Content,
        length: u64,
        longest: u64,
    ) -> Result<(), Failure> {
        let longest = longest.max(self.least).max(1);
        let mut rest = Bytes::new();
        while self.sent < length {
            let size = longest.min(length - self.sent);
            let request = self
                .request(Method::PATCH, &self.location, size)
                .await?
                .header(
                    CONTENT_RANGE,
                    format!("{}-{}", self.sent, self.sent + size - 1),
                );
            let (queue, chunk) = mpsc::channel(1);
            let (cut, sent) = tokio::join!(
                cut(&mut pieces, &mut rest, size, queue),
                self.patched(request, as_content(chunk), size),
            );
            // The source's failure is the cause of the broken request, not the other way round.
            cut.and(sent)?;
        }
        Ok(())
    }

    /// Ends the upload: the registry compares what it got, `length` bytes, with `digest`.
    pub async fn finish(&self, digest: &str, length: u64) -> Result<(), Failure> {
        let told = self.told_to_store(digest).await;
        self.or_is_there(told, digest, length).await
    }

    async fn told_to_store(&self, digest: &str) -> Result<(), Failure> {
        let url = self.with_digest(digest);
        let ask = async || {
            let request = self.request(Method::PUT, &url, 0).await?;
            let request = request.timeout(ANSWER_LIMIT);
            request.send().await.map_err(http::broken)
        };
        let mut response = ask().await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            // The token ended while the content was on its way.
            self.repository.answer(response.headers()).await?;
            response = ask().await?;
        }
        stored(&success(response).await?, digest)
    }

    /// Sends a blob whose digest is known, in one request.
    pub async fn put(&self, digest: &str, pieces: Content, length: u64) -> Result<(), Failure> {
        let url = self.with_digest(digest);
        let request = self.request(Method::PUT, &url, length).await?;
        let told = match self.watched(request, pieces).await {
            Ok(response) => stored(&response, digest),
            Err(failure) => Err(failure),
        };
        self.or_is_there(told, digest, length).await
    }

    /// Whether the blob is there although its last answer was a failure that passes: the answer may
    /// have been lost, or a proxy did not wait for it.
    async fn or_is_there(
        &self,
        told: Result<(), Failure>,
        digest: &str,
        length: u64,
    ) -> Result<(), Failure> {
        match told {
            Err(failure) if failure.retriable => match self.repository.blob_size(digest).await {
                Ok(Some(there)) if there == length => Ok(()),
                _ => Err(failure),
            },
            told => told,
        }
    }

    /// A request of this upload, with credentials that hold for a while.
    async fn request(
        &self,
        method: Method,
        url: &Url,
        length: u64,
    ) -> Result<RequestBuilder, Failure> {
        self.repository.fresh().await?;
        let sender = &self.repository.shared.sender;
        let request = self.repository.at(sender, method, url).await;
        Ok(request
            .header(CONTENT_TYPE, OCTETS)
            .header(CONTENT_LENGTH, length))
    }

    async fn patched(
        &mut self,
        request: RequestBuilder,
        pieces: Content,
        length: u64,
    ) -> Result<(), Failure> {
        let response = self.watched(request, pieces).await?;
        self.sent += length;
        self.location = location(&response)?;
        let lessons = &self.repository.shared.lessons;
        lessons.patched.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Sends `pieces` and looks that they move.
    async fn watched(&self, request: RequestBuilder, pieces: Content) -> Result<Response, Failure> {
        let moved = Arc::new(AtomicU64::new(0));
        let failed = Arc::new(std::sync::Mutex::new(None));
        let (count, slot) = (moved.clone(), failed.clone());
        let body = pieces
            .inspect_ok(move |data| {
                count.fetch_add(data.len() as u64, Ordering::Relaxed);
            })
            .map_err(move |failure: Failure| {
                let text = failure.cause.clone();
                if let Ok(mut slot) = slot.lock() {
                    *slot = Some(failure);
                }
                std::io::Error::other(text)
            });
        let sending = request.body(Body::wrap_stream(body)).send();
        tokio::pin!(sending);
        let mut last = 0;
        let mut still = Duration::ZERO;
        let step = Duration::from_secs(5);
        let response = loop {
            tokio::select! {
                response = &mut sending => break response,
                () = tokio::time::sleep(step) => {
                    let now = moved.load(Ordering::Relaxed);
                    still = if now == last { still + step } else { Duration::ZERO };
                    last = now;
                    // With all sent the registry may take its time.
                    let limit = if Arc::strong_count(&moved) == 1 { ANSWER_LIMIT } else { STALL_LIMIT };
                    if still >= limit {
                        return Err(Failure::passing(format!(
                            "{} took nothing for {} s",
                            self.repository.registry(),
                            still.as_secs()
                        )));
                    }
                }
            }
        };
        // The source's failure is the cause of the broken connection, not the other way round.
        if let Some(failure) = failed.lock().ok().and_then(|mut slot| slot.take()) {
            return Err(failure);
        }
        let response = response.map_err(http::broken)?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            // It is over with the next attempt, which has a token.
            self.repository.answer(response.headers()).await?;
            return Err(Failure::passing("the registry wanted a new token"));
        }
        success(response).await.map_err(|mut failure| {
            failure.refused = Some(status);
            // From a registry that has taken others, this is an upload that it has forgotten.
            let gone = matches!(
                status,
                StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE
            );
            let lessons = &self.repository.shared.lessons;
            failure.retriable |= gone && lessons.patched.load(Ordering::Relaxed);
            failure
        })
    }

    fn with_digest(&self, digest: &str) -> Url {
        let mut url = self.location.clone();
        url.query_pairs_mut().append_pair("digest", digest);
        url
    }
}

/// Gives the next `size` bytes to `queue` and keeps what is left of a piece in `rest`.
async fn cut(
    pieces: &mut Content,
    rest: &mut Bytes,
    size: u64,
    queue: mpsc::Sender<Result<Bytes, Failure>>,
) -> Result<(), Failure> {
    let mut open = size;
    while open > 0 {
        let mut data = std::mem::take(rest);
        if data.is_empty() {
            data = match pieces.next().await {
                Some(Ok(data)) => data,
                Some(Err(failure)) => {
                    // Without this the registry would wait for the rest.
                    let _ = queue.send(Err(failure.clone())).await;
                    return Err(failure);
                }
                None => return Err(Failure::passing("the content ended early")),
            };
        }
        let fits = usize::try_from(open).unwrap_or(usize::MAX).min(data.len());
        *rest = data.split_off(fits);
        open -= data.len() as u64;
        if queue.send(Ok(data)).await.is_err() {
            // The request has ended, and knows why.
            return Ok(());
        }
    }
    Ok(())
}

/// Content that is in memory, as a stream that can be made again.
pub(super) fn in_memory(content: &[Bytes]) -> Content {
    stream::iter(content.to_vec()).map(Ok).boxed()
}

/// A channel as a stream.
pub(crate) fn as_content(pieces: mpsc::Receiver<Result<Bytes, Failure>>) -> Content {
    stream::unfold(pieces, |mut pieces| async move {
        Some((pieces.recv().await?, pieces))
    })
    .boxed()
}

fn stored(response: &Response, digest: &str) -> Result<(), Failure> {
    match header(response.headers(), "docker-content-digest") {
        Some(theirs) if theirs != digest => Err(Failure::passing(format!(
            "the registry stored {theirs} instead of {digest}"
        ))),
        _ => Ok(()),
    }
}

/// Where an upload goes on. Relative to the request in some registries.
fn location(response: &Response) -> Result<Url, Failure> {
    header(response.headers(), LOCATION.as_str())
        .and_then(|location| response.url().join(&location).ok())
        .ok_or_else(|| {
            Failure::lasting(
                format!(
                    "{} does not say where the upload goes on",
                    http::shown(response.url())
                ),
                "Check the registry's address",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Failure {
        let mut failure = Failure::lasting("no", "Look");
        failure.refused = StatusCode::from_u16(status).ok();
        failure
    }

    #[test]
    fn a_request_that_is_too_long_becomes_shorter_ones() {
        let lessons = Lessons::default();
        let length = 5 << 30;
        let mut forms = vec![lessons.form(length, false)];
        while lessons.learn(&refused(413), forms[forms.len() - 1], length) {
            forms.push(lessons.form(length, false));
        }
        let mega = 1 << 20;
        let chunks = [64, 16, 4, 1].map(|size| Form::Chunks(size * mega));
        assert_eq!(forms[0], Form::Stream);
        assert_eq!(forms[1..], chunks);
        // What is short enough goes as before.
        assert_eq!(lessons.form(1000, true), Form::Whole);
    }

    #[test]
    fn layers_that_are_refused_at_the_same_time_teach_once() {
        let lessons = Lessons::default();
        for _ in 0..4 {
            assert!(lessons.learn(&refused(413), Form::Stream, 1 << 30));
        }
        assert_eq!(lessons.form(1 << 30, false), Form::Chunks(64 << 20));
    }

    #[test]
    fn without_patch_the_digest_comes_first() {
        for status in [404, 405, 416, 501] {
            let lessons = Lessons::default();
            assert!(lessons.learn(&refused(status), Form::Stream, 9), "{status}");
            assert_eq!(lessons.form(9, false), Form::Whole);
            assert!(!lessons.learn(&refused(status), Form::Whole, 9), "{status}");
            // There is nothing left between too long and not at all.
            assert!(!lessons.learn(&refused(413), Form::Whole, 1 << 30));
            assert_eq!(lessons.form(1 << 30, false), Form::Whole);
        }
    }

    #[test]
    fn an_upload_that_is_forgotten_is_no_lesson() {
        let lessons = Lessons::default();
        lessons.patched.store(true, Ordering::Relaxed);
        assert!(!lessons.learn(&refused(404), Form::Stream, 9));
        assert!(!lessons.learn(&refused(403), Form::Stream, 9));
        assert!(!lessons.learn(&Failure::passing("broken"), Form::Stream, 9));
        assert_eq!(lessons.form(9, false), Form::Stream);
    }

    #[tokio::test]
    async fn pieces_are_cut_where_a_request_ends() {
        let content: Vec<Bytes> = [&b"abc"[..], b"", b"defgh", b"i"]
            .map(Bytes::from_static)
            .to_vec();
        let mut pieces = stream::iter(content).map(Ok).boxed();
        let mut rest = Bytes::new();
        let mut chunks = Vec::new();
        for size in [4, 4, 1] {
            let (queue, chunk) = mpsc::channel(9);
            cut(&mut pieces, &mut rest, size, queue).await.unwrap();
            let parts: Vec<Bytes> = as_content(chunk).try_collect().await.unwrap();
            chunks.push(String::from_utf8(parts.concat()).unwrap());
        }
        assert_eq!(chunks, ["abcd", "efgh", "i"]);
        assert!(pieces.next().await.is_none());
    }
}
