//! A web server that behaves in the ways that web servers do, and a hub.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use bytes::Bytes;

/// How a file is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// With ranges, an ETag and its length.
    Ranges,
    /// Always whole.
    Whole,
    /// Always whole, and without saying how long it is.
    Chunked,
    /// Compressed, whatever was asked for.
    Gzip,
    /// At another address.
    Redirect(&'static str),
    /// With ranges, and another ETag every time.
    Changing,
}

#[derive(Default)]
struct Served {
    files: Mutex<BTreeMap<String, (How, Bytes)>>,
    asked: Mutex<Vec<String>>,
}

/// A web server.
pub struct Web {
    pub address: String,
    served: Arc<Served>,
}

impl Web {
    /// Serves `content` at `path` (with a slash).
    pub fn serve(&self, path: &str, how: How, content: impl Into<Bytes>) {
        let mut files = self.served.files.lock().unwrap();
        files.insert(path.to_owned(), (how, content.into()));
    }

    /// Requests so far: path, and what they carried.
    pub fn asked(&self) -> Vec<String> {
        self.served.asked.lock().unwrap().clone()
    }
}

/// An empty web server.
pub async fn web() -> Web {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = Arc::new(Served::default());
    let app = Router::new().fallback(answer).with_state(served.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Web { address, served }
}

async fn answer(State(served): State<Arc<Served>>, request: Request) -> Response {
    let text = |name| {
        let value = request.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let path = request.uri().path().to_owned();
    served.asked.lock().unwrap().push(format!(
        "{path} authorization={} range={}",
        text(header::AUTHORIZATION).unwrap_or_default(),
        text(header::RANGE).unwrap_or_default()
    ));
    let found = served.files.lock().unwrap().get(&path).cloned();
    let Some((how, content)) = found else {
        return status(StatusCode::NOT_FOUND);
    };
    let answer = Response::builder();
    let total = content.len();
    match how {
        How::Redirect(target) => answer
            .status(302)
            .header(header::LOCATION, target)
            .body(Body::empty())
            .unwrap(),
        How::Whole => answer.body(Body::from(content)).unwrap(),
        How::Chunked | How::Gzip => {
            let pieces: Vec<Result<Bytes, std::io::Error>> = content
                .chunks(1000)
                .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                .collect();
            let mut answer = answer;
            if how == How::Gzip {
                answer = answer.header(header::CONTENT_ENCODING, "gzip");
            }
            answer
                .body(Body::from_stream(futures::stream::iter(pieces)))
                .unwrap()
        }
        How::Ranges | How::Changing => {
            let etag = match how {
                How::Changing => format!("\"{}\"", served.asked.lock().unwrap().len()),
                _ => "\"one\"".to_owned(),
            };
            if text(header::IF_MATCH).is_some_and(|wanted| wanted != etag) {
                return status(StatusCode::PRECONDITION_FAILED);
            }
            let range = text(header::RANGE).and_then(|range| {
                let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
                let start: usize = start.parse().ok()?;
                Some(
                    start
                        ..end
                            .parse::<usize>()
                            .map_or(total, |end| (end + 1).min(total)),
                )
            });
            match range {
                Some(range) if range.start < total => answer
                    .status(206)
                    .header(header::ETAG, etag)
                    .header(
                        header::CONTENT_RANGE,
                        format!("bytes {}-{}/{total}", range.start, range.end - 1),
                    )
                    .body(Body::from(content.slice(range)))
                    .unwrap(),
                Some(_) => answer
                    .status(416)
                    .header(header::CONTENT_RANGE, format!("bytes */{total}"))
                    .body(Body::empty())
                    .unwrap(),
                None => answer
                    .header(header::ETAG, etag)
                    .body(Body::from(content))
                    .unwrap(),
            }
        }
    }
}

fn status(status: StatusCode) -> Response {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .unwrap()
}
