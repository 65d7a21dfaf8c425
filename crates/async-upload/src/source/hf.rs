//! A repository of a Hugging Face hub.

use std::sync::Arc;

use reqwest::header::LINK;
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use url::Url;

use super::web::Page;
use super::{Body, File, Listing, bookkeeping, relative};
use crate::failure::{Failure, Patience};
use crate::http::{self, Use};
use crate::settings::Hf;

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

/// A line of a listing.
#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

/// A large file: the hub knows the hash of its content.
#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

/// Lists the files of a revision; a branch is taken at the commit that it names now.
pub(super) async fn list(place: &Hf, patience: Patience) -> Result<Listing, Failure> {
    let client = http::client(&place.tls, Use::Read)?;
    let what = format!("listing hf://{}:{}", place.repository, place.revision);
    let ask = |url: Url| {
        let request = with_token(client.get(url), place);
        async move {
            let response = http::send(request).await?;
            let next = next_page(&response);
            let body = response.bytes().await.map_err(http::broken)?;
            Ok::<_, Failure>((body, next))
        }
    };
    let name: Vec<&str> = place.repository.split('/').collect();
    let start = address(
        place,
        &[&["api", "models"], &*name, &["revision", &place.revision]],
    )?;
    let (body, _) = patience.retry(&what, || ask(start.clone())).await?;
    let Revision { sha } = serde_json::from_slice(&body).map_err(|error| no_hub(place, &error))?;

    let mut page = address(place, &[&["api", "models"], &*name, &["tree", &sha]])?;
    page.set_query(Some("recursive=true"));
    let mut files = Vec::new();
    let mut next = Some(page);
    while let Some(page) = next {
        let (body, after) = patience.retry(&what, || ask(page.clone())).await?;
        let items: Vec<Item> =
            serde_json::from_slice(&body).map_err(|error| no_hub(place, &error))?;
        for item in items {
            if item.kind == "file" && !bookkeeping(&item.path) {
                files.push(file(place, &client, &name, &sha, item)?);
            }
        }
        next = after;
    }
    if files.is_empty() {
        return Err(Failure::lasting(
            format!("hf://{}:{} holds no file", place.repository, place.revision),
            "Check the name and the revision",
        ));
    }
    Ok(Listing {
        files,
        sequential: false,
    })
}

fn file(
    place: &Hf,
    client: &Client,
    name: &[&str],
    sha: &str,
    item: Item,
) -> Result<File, Failure> {
    let path = relative(&item.path)?;
    let parts: Vec<&str> = item.path.split('/').collect();
    let url = address(place, &[name, &["resolve", sha], &parts])?;
    let (size, sha256) = match item.lfs {
        Some(lfs) => (lfs.size, Some(lfs.oid)),
        None => (item.size, None),
    };
    Ok(File {
        path,
        size,
        identity: Some(format!("git {}", item.oid)),
        sha256,
        body: Body::Range {
            object: Arc::new(Page::of_hub(client.clone(), url, place.token.clone())),
            offset: 0,
            parallel: true,
        },
    })
}

fn address(place: &Hf, parts: &[&[&str]]) -> Result<Url, Failure> {
    let mut url = place.endpoint.clone();
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().extend(parts.iter().copied().flatten());
        }
        Err(()) => {
            return Err(Failure::lasting(
                format!("HF_ENDPOINT {}: no base of addresses", place.endpoint),
                "Give it as https://host",
            ));
        }
    }
    Ok(url)
}

fn with_token(request: RequestBuilder, place: &Hf) -> RequestBuilder {
    match &place.token {
        Some(token) => request.bearer_auth(token.reveal()),
        None => request,
    }
}

/// `Link: <address>; rel="next"`. Only on the same server: the token goes along.
fn next_page(response: &reqwest::Response) -> Option<Url> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let (address, _) = link
        .split(',')
        .find(|one| one.contains("rel=\"next\""))?
        .trim()
        .strip_prefix('<')?
        .split_once('>')?;
    let next = response.url().join(address).ok()?;
    (next.origin() == response.url().origin()).then_some(next)
}

fn no_hub(place: &Hf, error: &serde_json::Error) -> Failure {
    Failure::lasting(
        format!("{} does not answer as a hub: {error}", place.endpoint),
        "Check HF_ENDPOINT",
    )
}
