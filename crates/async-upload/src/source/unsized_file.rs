//! Files whose size the source does not tell: read once to know it, or kept in a directory.

use std::path::Path;

use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::dir::FileObject;
use super::{Body, Content, File};
use crate::failure::{Failure, Patience};
use crate::oci::hex;

/// How often a source may break off before its size is known: it cannot go on in the middle.
fn whole(body: &Body) -> Content {
    match body {
        Body::Range { object, offset, .. } => object.clone().read(*offset..u64::MAX),
        Body::Member { archive, index } => archive.clone().read(*index),
        Body::Inline(data) => futures::stream::once(std::future::ready(Ok(data.clone()))).boxed(),
    }
}

/// Finds out how long a file is by reading it. With `spool` it is kept there and read from there;
/// without, it is read again, and must then be the same.
pub(super) async fn settle(
    path: String,
    identity: Option<String>,
    body: Body,
    spool: Option<&Path>,
    patience: Patience,
) -> Result<File, Failure> {
    let place = spool.map(|dir| dir.join(format!("spool-{}", path.replace('/', "_"))));
    tracing::info!(
        "{path:?}: the server does not say how long it is, so it is {}",
        match &place {
            Some(place) => format!("kept in {}", place.display()),
            None => "read twice".to_owned(),
        }
    );
    let what = format!("reading {path:?} to know its size");
    let (size, sha256) = patience
        .retry(&what, || read(&body, place.as_deref()))
        .await?;
    let body = match place {
        None => body,
        Some(place) => Body::Range {
            object: FileObject::temporary(&place).await?,
            offset: 0,
            parallel: true,
        },
    };
    Ok(File {
        path,
        size,
        identity,
        sha256: Some(sha256),
        body,
    })
}

async fn read(body: &Body, place: Option<&Path>) -> Result<(u64, String), Failure> {
    let unwritable = |error: std::io::Error| {
        Failure::lasting(
            format!("--storage-path: {error}"),
            "Give a directory that can be written and has room for the model",
        )
    };
    let mut file = match place {
        Some(place) => {
            if let Some(parent) = place.parent() {
                tokio::fs::create_dir_all(parent)
                    .await
                    .map_err(unwritable)?;
            }
            Some(tokio::fs::File::create(place).await.map_err(unwritable)?)
        }
        None => None,
    };
    let mut content = whole(body);
    let mut hash = Sha256::new();
    let mut size = 0;
    while let Some(data) = content.next().await {
        let data = data?;
        size += data.len() as u64;
        hash.update(&data);
        if let Some(file) = &mut file {
            file.write_all(&data).await.map_err(unwritable)?;
        }
    }
    if let Some(mut file) = file {
        file.flush().await.map_err(unwritable)?;
    }
    Ok((size, hex(&hash.finalize())))
}
