//! What a signature of a model says: the format of OpenSSF model signing 1.0.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
use crate::oci::from_hex;
use crate::transfer::FileDigest;

/// Where the signature is in the model.
pub const SIGNATURE_FILE: &str = "model.sig";

/// What the signature does not cover. A verifier reads this list from it.
const IGNORED: [&str; 6] = [
    SIGNATURE_FILE,
    ".cache",
    ".git",
    ".gitattributes",
    ".github",
    ".gitignore",
];

/// The name of the model in the signature: its directory in the image.
const NAME: &str = "models";

/// An in-toto statement about a model.
pub(super) struct Statement {
    /// As it is signed.
    pub(super) json: Vec<u8>,
    /// The digest of its subject, in hex: of the digests of all files, in the order of their names.
    pub(super) digest: String,
}

/// The statement about these files.
pub(super) fn statement(files: &[FileDigest]) -> Result<Statement, Failure> {
    let mut files: Vec<&FileDigest> = files.iter().filter(|file| covered(&file.path)).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut all = Sha256::new();
    let mut resources = Vec::with_capacity(files.len());
    for file in files {
        let sha256 = file.sha256.as_deref();
        let digest: [u8; 32] = sha256.and_then(from_hex).ok_or_else(|| {
            let cause = format!("{sha256:?} is no digest of {}", file.path);
            Failure::lasting(cause, "Report this as a defect")
        })?;
        all.update(digest);
        resources.push(json!({"name": file.path, "algorithm": "sha256", "digest": sha256}));
    }
    let digest = crate::oci::hex(&all.finalize());
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": digest}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": false,
                "ignore_paths": IGNORED,
            },
            "resources": resources,
        },
    });
    Ok(Statement {
        json: statement.to_string().into_bytes(),
        digest,
    })
}

/// Whether the signature covers a file: its path does not begin with an ignored one.
fn covered(path: &str) -> bool {
    !IGNORED.iter().any(|ignored| {
        path.strip_prefix(ignored)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn file(path: &str, content: &str) -> FileDigest {
        FileDigest {
            path: path.to_owned(),
            size: content.len() as u64,
            sha256: Some(crate::oci::hex(&Sha256::digest(content))),
        }
    }

    #[test]
    fn files_are_sorted_and_bookkeeping_is_left_out() {
        let files = [
            file("weights/b.bin", "b"),
            file(".gitattributes", "x"),
            file(".git/config", "x"),
            file("a.json", "a"),
            file(".gitlab", "c"),
            file("model.sig", "x"),
        ];
        let statement = statement(&files).unwrap();
        let json: Value = serde_json::from_slice(&statement.json).unwrap();
        let names: Vec<&str> = json["predicate"]["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|resource| resource["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, [".gitlab", "a.json", "weights/b.bin"]);
        assert_eq!(json["subject"][0]["digest"]["sha256"], statement.digest);
        let mut all = Sha256::new();
        for content in ["c", "a", "b"] {
            all.update(Sha256::digest(content));
        }
        assert_eq!(statement.digest, crate::oci::hex(&all.finalize()));
    }

    #[test]
    fn a_digest_that_is_none_is_refused() {
        for sha256 in [None, Some("xyz".to_owned())] {
            let mut wrong = file("a", "a");
            wrong.sha256 = sha256;
            assert!(statement(&[wrong]).is_err());
        }
    }
}
