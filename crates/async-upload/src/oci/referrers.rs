//! What refers to an image: signatures and notes, by the registry's own list or by a tag.

use bytes::Bytes;
use serde_json::{Value, json};

use super::client::{limited, success};
use super::{Descriptor, Repository, digest, media};
use crate::failure::Failure;

const LIMIT: usize = 8 << 20;

impl Repository {
    /// Everything that refers to the manifest `subject` (`sha256:…`).
    pub async fn referrers(&self, subject: &str) -> Result<Vec<Descriptor>, Failure> {
        let what = format!("listing what refers to {subject}");
        let own = self
            .shared
            .patience
            .retry(&what, || async {
                let url = self.url(&["referrers", subject]).await?;
                let response = self
                    .authorized(|| self.shared.reader.get(url.clone()))
                    .await?;
                if response.status().is_client_error() {
                    return Ok(None);
                }
                Ok(Some(limited(success(response).await?, LIMIT).await?))
            })
            .await?;
        let content = match own {
            Some(content) => Some(content),
            None => self
                .manifest(&fallback_tag(subject))
                .await?
                .map(|manifest| manifest.content),
        };
        Ok(content.map(|content| entries(&content)).unwrap_or_default())
    }

    /// Stores a manifest that names its `subject`, and makes it found: where the registry keeps no
    /// list, the list is a tag. Gives the digest of the manifest.
    pub async fn put_referrer(
        &self,
        subject: &Descriptor,
        mut manifest: Value,
    ) -> Result<Descriptor, Failure> {
        if let Some(manifest) = manifest.as_object_mut() {
            manifest.insert(
                "subject".to_owned(),
                json!({"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size}),
            );
        }
        let content = Bytes::from(manifest.to_string());
        let (stored, listed) = self
            .put_manifest(&digest(&content), media::MANIFEST, &content)
            .await?;
        let mut entry = Descriptor::new(media::MANIFEST, stored, content.len() as u64);
        for field in ["artifactType"] {
            if let Some(value) = manifest.get(field) {
                entry.rest.insert(field.to_owned(), value.clone());
            }
        }
        if let Some(Value::Object(annotations)) = manifest.get("annotations") {
            entry.annotations = annotations.clone();
        }
        if !listed {
            self.list_by_tag(&subject.digest, &entry).await?;
        }
        Ok(entry)
    }

    async fn list_by_tag(&self, subject: &str, entry: &Descriptor) -> Result<(), Failure> {
        let tag = fallback_tag(subject);
        let mut all = self
            .manifest(&tag)
            .await?
            .map(|manifest| entries(&manifest.content))
            .unwrap_or_default();
        if all.iter().any(|one| one.digest == entry.digest) {
            return Ok(());
        }
        all.push(entry.clone());
        let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": all});
        self.put_manifest(&tag, media::INDEX, &Bytes::from(index.to_string()))
            .await?;
        Ok(())
    }
}

/// `sha256:abc` as a tag: `sha256-abc`.
fn fallback_tag(digest: &str) -> String {
    digest.replace(':', "-")
}

fn entries(index: &[u8]) -> Vec<Descriptor> {
    #[derive(serde::Deserialize)]
    struct Index {
        #[serde(default)]
        manifests: Vec<Descriptor>,
    }
    serde_json::from_slice::<Index>(index)
        .map(|index| index.manifests)
        .unwrap_or_default()
}
