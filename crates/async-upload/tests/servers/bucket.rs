//! A bucket called `models`, on a server that checks signatures, and what tests do with it.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use rusty_s3::{Credentials, Method, S3Action as _, UrlStyle};
use tempfile::TempDir;
use url::Url;

use super::{Server, client, free_port, start};

/// Whose bucket it is.
pub const KEY_ID: &str = "AKIATEST";
/// Signs requests to it. Its characters are those that must be encoded.
pub const SECRET: &str = "secret/key+with=signs";

const NAME: &str = "models";
const REGION: &str = "us-east-1";
/// Longer than any test takes.
const SIGNED_FOR: Duration = Duration::from_hours(1);

const ENVIRONMENT: [(&str, &str); 2] = [("ROOT_ACCESS_KEY", KEY_ID), ("ROOT_SECRET_KEY", SECRET)];

/// Starts a server with an empty bucket.
pub async fn bucket() -> Server {
    let dir = TempDir::new().unwrap();
    for name in ["objects", "metadata"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let store = dir.path().to_owned();
    let server = serve(dir, &store, &[]);
    let (bucket, owner) = place_of(&server.address);
    let url = bucket.create_bucket(&owner).sign(SIGNED_FOR);
    send(client().put(url)).await;
    server
}

/// Starts another server before the same bucket, as AWS has it: with TLS, the bucket's name in the
/// host, and for one region.
pub fn as_at_aws(bucket: &Server, certificate: &Path, key: &Path, region: &str) -> Server {
    let domain = format!("s3.{region}.amazonaws.com");
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let options = [
        "--cert",
        certificate,
        "--key",
        key,
        "--region",
        region,
        "--virtual-domain",
        &domain,
    ];
    serve(TempDir::new().unwrap(), bucket.dir.path(), &options)
}

fn serve(dir: TempDir, store: &Path, options: &[&str]) -> Server {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    // Metadata in files of their own: not every file system has extended attributes.
    let (metadata, objects) = (store.join("metadata"), store.join("objects"));
    let mut arguments = vec!["--port", &address, "--keep-alive"];
    arguments.extend(options);
    arguments.extend(["posix", "--sidecar", metadata.to_str().unwrap()]);
    arguments.push(objects.to_str().unwrap());
    let program = cluster::tools::s3().unwrap();
    start(port, dir, &program, &ENVIRONMENT, &arguments)
}

fn place_of(address: &str) -> (rusty_s3::Bucket, Credentials) {
    let endpoint: Url = format!("http://{address}").parse().unwrap();
    let bucket = rusty_s3::Bucket::new(endpoint, UrlStyle::Path, NAME, REGION).unwrap();
    (bucket, Credentials::new(KEY_ID, SECRET))
}

async fn send(request: reqwest::RequestBuilder) -> reqwest::Response {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    if status.is_success() {
        return answer;
    }
    panic!("{status}: {}", answer.text().await.unwrap_or_default());
}

/// Stores an object.
pub async fn put(address: &str, key: &str, content: Vec<u8>) {
    put_all(address, [(key.to_owned(), content)]).await;
}

/// Stores objects, some at a time.
pub async fn put_all(address: &str, objects: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let (bucket, owner) = place_of(address);
    let (bucket, owner, client) = (&bucket, &owner, &client());
    futures::stream::iter(objects)
        .for_each_concurrent(8, |(key, content)| async move {
            let url = bucket.put_object(Some(owner), &key).sign(SIGNED_FOR);
            send(client.put(url).body(content)).await;
        })
        .await;
}

/// Writes another content into an object and leaves the notes on it.
pub async fn forge(address: &str, key: &str, content: Vec<u8>) {
    let (bucket, owner) = place_of(address);
    let url = bucket.head_object(Some(&owner), key).sign(SIGNED_FOR);
    let there = send(client().head(url)).await;
    let notes = there.headers().iter();
    let notes = notes.filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"));
    let notes: Vec<_> = notes
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let mut action = bucket.put_object(Some(&owner), key);
    for (name, value) in &notes {
        action.headers_mut().insert(name.clone(), value.clone());
    }
    let mut request = client().put(action.sign(SIGNED_FOR)).body(content);
    for (name, value) in notes {
        request = request.header(name, value);
    }
    send(request).await;
}

/// Where an object can be read, for a while, without keys.
pub fn link(address: &str, key: &str) -> Url {
    let (bucket, owner) = place_of(address);
    bucket.get_object(Some(&owner), key).sign(SIGNED_FOR)
}

/// The content of an object.
pub async fn object(address: &str, key: &str) -> Vec<u8> {
    let answer = send(client().get(link(address, key))).await;
    answer.bytes().await.unwrap().to_vec()
}

/// Begins an object in parts and leaves it; gives the id of the upload.
pub async fn begin_parts(address: &str, key: &str) -> String {
    let (bucket, owner) = place_of(address);
    let action = bucket.create_multipart_upload(Some(&owner), key);
    let answer = send(client().post(action.sign(SIGNED_FOR))).await;
    let answer = answer.text().await.unwrap();
    elements(&answer, "UploadId").remove(0)
}

/// The ids of uploads that were begun and neither completed nor ended, sorted.
pub async fn unfinished(address: &str) -> Vec<String> {
    let (bucket, _) = place_of(address);
    let url = sign(Method::Get, bucket.base_url().clone(), &[("uploads", "")]);
    let answer = send(client().get(url)).await.text().await.unwrap();
    let mut ids = elements(&answer, "UploadId");
    ids.sort();
    ids
}

/// The texts of elements without attributes.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(&open).skip(1);
    let texts = parts.map(|part| part.split(&close).next().unwrap().to_owned());
    texts.collect()
}

/// Lets everybody list and read, without keys.
pub async fn open_to_all(address: &str) {
    let (bucket, _) = place_of(address);
    let policy = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:ListBucket", "s3:GetObject"],
            "Resource": [format!("arn:aws:s3:::{NAME}"), format!("arn:aws:s3:::{NAME}/*")],
        }],
    });
    let url = bucket.base_url().clone();
    let url = sign(Method::Put, url, &[("policy", "")]);
    send(client().put(url).json(&policy)).await;
}

/// Signs a request of the bucket's owner. `query` is decoded and sorted.
pub fn sign(method: Method, url: Url, query: &[(&str, &str)]) -> Url {
    rusty_s3::signing::sign(
        &jiff::Timestamp::now(),
        method,
        url,
        KEY_ID,
        SECRET,
        None,
        REGION,
        SIGNED_FOR.as_secs(),
        query.iter().copied(),
        std::iter::empty(),
    )
}
