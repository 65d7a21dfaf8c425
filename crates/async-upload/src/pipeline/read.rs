//! Reading ahead: the parts of some files are fetched side by side and given out in order.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::memory::{BLOCK, Memory};
use crate::failure::{Failure, Patience};
use crate::source::{Body, Content, File, steady};

/// The length of one ranged request, in blocks.
pub const PART: usize = 8;
/// A file that cannot be read in parts and has more blocks than this is read through blocks that are
/// used over and over.
const MEMBER: usize = 4;

/// One piece of content, in order.
#[derive(Debug)]
pub struct Piece {
    /// Which of the files it is from.
    pub file: usize,
    /// The content.
    pub data: Bytes,
}

/// Pieces in order. Dropping it ends the reading.
#[derive(Debug)]
pub struct Ahead {
    parts: mpsc::Receiver<mpsc::UnboundedReceiver<Result<Piece, Failure>>>,
    current: Option<mpsc::UnboundedReceiver<Result<Piece, Failure>>>,
    planner: AbortHandle,
}

impl Ahead {
    /// The next piece; `None` at the end of the last file.
    pub async fn next(&mut self) -> Option<Result<Piece, Failure>> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(piece) = current.recv().await {
                    return Some(piece);
                }
                self.current = None;
            }
            self.current = Some(self.parts.recv().await?);
        }
    }
}

impl Ahead {
    /// The content of all files, one after the other.
    #[must_use]
    pub fn into_content(self) -> Content {
        futures::stream::unfold(self, |mut ahead| async move {
            let piece = ahead.next().await?;
            Some((piece.map(|piece| piece.data), ahead))
        })
        .boxed()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.planner.abort();
    }
}

/// Reads `files`, each from its start to its size, with up to `connections` requests at once.
///
/// Memory is taken in the order of the parts, so the part that is due next always has its own.
#[must_use]
pub fn ahead(files: Arc<[File]>, memory: Memory, connections: usize, patience: Patience) -> Ahead {
    // The part that is being given out has left the queue, so one less waits in it.
    let (queue, parts) = mpsc::channel(connections.max(2) - 1);
    let planner = tokio::spawn(async move {
        for part in files
            .iter()
            .enumerate()
            .flat_map(|(index, file)| parts_of(index, file, memory.blocks()))
        {
            let (sender, receiver) = mpsc::unbounded_channel();
            if queue.send(receiver).await.is_err() {
                return;
            }
            let Some(file) = files.get(part.file) else {
                return;
            };
            let content = part.open(&file.body, patience);
            let store = if part.recycle {
                Store::Own(memory.share(part.blocks).await)
            } else {
                Store::Reserved(memory.take(part.blocks).await)
            };
            tokio::spawn(fetch(part, content, store, sender));
        }
    });
    Ahead {
        parts,
        current: None,
        planner: planner.abort_handle(),
    }
}

/// How many blocks the content of `files` takes when it is in memory as a whole. `None` if some of
/// it can only be read through blocks that are used over and over.
#[must_use]
pub fn blocks(files: &[File]) -> Option<usize> {
    files
        .iter()
        .flat_map(|file| parts_of(0, file, usize::MAX))
        .try_fold(0_usize, |sum, part| {
            (!part.recycle).then(|| sum.saturating_add(part.blocks))
        })
}

/// A range of a file that one request fetches.
#[derive(Debug, Clone)]
struct Part {
    file: usize,
    start: u64,
    end: u64,
    blocks: usize,
    /// Its blocks are used over and over, because it is longer than they are.
    recycle: bool,
}

fn parts_of(index: usize, file: &File, available: usize) -> impl Iterator<Item = Part> + use<> {
    let size = file.size;
    let parallel = matches!(file.body, Body::Range { parallel: true, .. });
    let length = if parallel {
        (PART.min(available).max(1) * BLOCK) as u64
    } else {
        size.max(1)
    };
    (0..size.div_ceil(length)).map(move |number| {
        let start = number * length;
        let end = size.min(start + length);
        let whole = usize::try_from((end - start).div_ceil(BLOCK as u64)).unwrap_or(usize::MAX);
        let recycle = !parallel && whole > MEMBER;
        Part {
            file: index,
            start,
            end,
            // The other half is for what comes before and after it.
            blocks: if recycle {
                whole.min(MEMBER.max(available / 2))
            } else {
                whole
            },
            recycle,
        }
    })
}

impl Part {
    fn open(&self, body: &Body, patience: Patience) -> Content {
        match body {
            Body::Range { object, offset, .. } => steady(
                object.clone(),
                offset + self.start..offset + self.end,
                patience,
            ),
            Body::Member { archive, index } => archive.clone().read(*index),
            Body::Inline(data) => {
                futures::stream::once(std::future::ready(Ok(data.clone()))).boxed()
            }
        }
    }
}

/// Where a part's content goes.
enum Store {
    Reserved(super::memory::Reserved),
    Own(Memory),
}

impl Store {
    async fn block(&mut self) -> Option<super::memory::Block> {
        match self {
            Self::Reserved(reserved) => reserved.block(),
            Self::Own(memory) => memory.take(1).await.block(),
        }
    }
}

/// Fetches one part into blocks. Ends when nobody listens any more.
async fn fetch(
    part: Part,
    mut content: Content,
    mut store: Store,
    sender: mpsc::UnboundedSender<Result<Piece, Failure>>,
) {
    let give = |block: super::memory::Block| {
        sender
            .send(Ok(Piece {
                file: part.file,
                data: block.freeze(),
            }))
            .is_ok()
    };
    let mut left = part.end - part.start;
    let mut block = None;
    while let Some(data) = tokio::select! {
        data = content.next() => data,
        () = sender.closed() => return,
    } {
        let mut data = match data {
            Ok(data) => data,
            Err(failure) => {
                let _ = sender.send(Err(failure));
                return;
            }
        };
        let Some(rest) = left.checked_sub(data.len() as u64) else {
            let _ = sender.send(Err(changed("more")));
            return;
        };
        left = rest;
        while !data.is_empty() {
            if block.is_none() {
                block = store.block().await;
            }
            let Some(open) = &mut block else {
                // Cannot be: the blocks were counted from the length.
                let _ = sender.send(Err(changed("more")));
                return;
            };
            open.fill(&mut data);
            if open.is_full() && !block.take().is_none_or(give) {
                return;
            }
        }
    }
    if left > 0 {
        let _ = sender.send(Err(changed("less")));
        return;
    }
    block.filter(|block| !block.is_empty()).map(give);
}

fn changed(how: &str) -> Failure {
    Failure::lasting(
        format!("a file has {how} content than its source said"),
        "It changed while it was read; run the Job again when it is complete",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64, parallel: bool) -> File {
        #[derive(Debug)]
        struct Nothing;
        impl crate::source::Object for Nothing {
            fn read(self: Arc<Self>, _: std::ops::Range<u64>) -> Content {
                futures::stream::empty().boxed()
            }
            fn name(&self) -> String {
                "nothing".to_owned()
            }
        }
        File {
            path: "f".to_owned(),
            size,
            identity: None,
            sha256: None,
            body: Body::Range {
                object: Arc::new(Nothing),
                offset: 0,
                parallel,
            },
        }
    }

    #[test]
    fn parts_cover_a_file_of_any_size() {
        for size in [0, 1, 8 << 20, 90 << 30, (1 << 40) + 1] {
            let mut at = 0;
            for part in parts_of(0, &file(size, true), 31) {
                assert_eq!(part.start, at);
                assert!(part.blocks <= PART && part.end - part.start <= 8 << 20);
                at = part.end;
            }
            assert_eq!(at, size);
        }
    }

    #[test]
    fn what_is_read_in_one_go_leaves_half_of_the_memory() {
        let blocks = |size, available| {
            let part = parts_of(0, &file(size, false), available).next().unwrap();
            (part.blocks, part.recycle)
        };
        assert_eq!(blocks(90 << 30, 32), (16, true));
        assert_eq!(blocks(5 << 20, 32), (5, true));
        assert_eq!(blocks(3 << 20, 32), (3, false));
        assert_eq!(blocks(90 << 30, 6), (4, true));
    }

    #[test]
    fn only_what_fits_is_held() {
        let files = vec![file(3_000_000, true); 5];
        assert_eq!(blocks(&files), Some(15));
        assert_eq!(blocks(&[file(5 << 20, false)]), None);
        // Small files take a whole block each.
        assert_eq!(blocks(&vec![file(1, true); 100]), Some(100));
    }
}
