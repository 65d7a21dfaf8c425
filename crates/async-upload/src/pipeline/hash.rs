//! Hashing beside reading and sending, on a thread of its own.

use std::sync::mpsc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::oci::hex;

/// A hash that is being made. What waits to be hashed is bounded by the memory that it is in.
#[derive(Debug)]
pub struct Hashing {
    queue: mpsc::Sender<Bytes>,
    result: JoinHandle<String>,
}

impl Hashing {
    /// Begins.
    #[must_use]
    pub fn start() -> Self {
        let (queue, pieces) = mpsc::channel::<Bytes>();
        let result = tokio::task::spawn_blocking(move || {
            let mut hash = Sha256::new();
            for piece in pieces {
                hash.update(&piece);
            }
            hex(&hash.finalize())
        });
        Self { queue, result }
    }

    /// Takes the next piece.
    pub fn add(&self, piece: Bytes) {
        // The other side ends only with this one; a panic there shows in `finish`.
        let _ = self.queue.send(piece);
    }

    /// The hash in lower-case hex.
    pub async fn finish(self) -> Result<String, Failure> {
        drop(self.queue);
        self.result
            .await
            .map_err(|error| Failure::passing(format!("hashing ended early: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_make_the_hash_of_the_whole() {
        let hashing = Hashing::start();
        hashing.add(Bytes::from_static(b"ab"));
        hashing.add(Bytes::from_static(b"c"));
        assert_eq!(
            hashing.finish().await.unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
