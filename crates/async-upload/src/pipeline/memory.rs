//! The memory that holds the model while it is under way: a fixed number of blocks, each used by
//! one reader at a time and given back when the last user lets go.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The size of a block, in bytes. Large enough that a block costs nothing beside its content,
/// small enough that a few of them keep a connection busy.
pub const BLOCK: usize = 1 << 20;

/// All blocks of a run.
#[derive(Debug, Clone)]
pub struct Memory {
    permits: Arc<Semaphore>,
    blocks: usize,
    /// The blocks of a share belong to another memory as long as anybody uses the share.
    _lender: Option<Arc<OwnedSemaphorePermit>>,
    /// Blocks that were used before. Taken from here first, so that the allocator's habits do not
    /// decide how much memory the process holds.
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Memory {
    /// As many blocks as fit in `budget` bytes, at least one.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        let blocks = usize::try_from(budget).unwrap_or(usize::MAX) / BLOCK;
        let blocks = blocks.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(blocks)),
            blocks,
            _lender: None,
            free: Arc::default(),
        }
    }

    /// Waits for `count` blocks and keeps them for one who uses them over and over. Without that,
    /// a reader that takes them one by one could wait behind those who wait for its content.
    pub async fn share(&self, count: usize) -> Self {
        let Reserved { permit, .. } = self.take(count).await;
        let blocks = permit.as_ref().map_or(1, OwnedSemaphorePermit::num_permits);
        Self {
            permits: Arc::new(Semaphore::new(blocks)),
            blocks,
            _lender: permit.map(Arc::new),
            free: self.free.clone(),
        }
    }

    /// How many blocks there are.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Waits for `count` blocks at once. Who needs several must take them together: two who hold a
    /// part each and wait for the rest wait forever.
    pub async fn take(&self, count: usize) -> Reserved {
        let count = u32::try_from(count.min(self.blocks)).unwrap_or(u32::MAX);
        Reserved {
            // The semaphore is never closed.
            permit: self.permits.clone().acquire_many_owned(count).await.ok(),
            memory: self.clone(),
        }
    }
}

/// The right to fill some blocks.
#[derive(Debug)]
pub struct Reserved {
    permit: Option<OwnedSemaphorePermit>,
    memory: Memory,
}

impl Reserved {
    /// The next block, empty; `None` when all that were reserved are used.
    pub fn block(&mut self) -> Option<Block> {
        let permit = self.permit.as_mut()?.split(1)?;
        let content = self
            .memory
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(BLOCK));
        Some(Block {
            content,
            memory: self.memory.clone(),
            _permit: permit,
        })
    }
}

/// A block that is being filled, and then read by all who hold it as [`Bytes`].
#[derive(Debug)]
pub struct Block {
    content: Vec<u8>,
    memory: Memory,
    _permit: OwnedSemaphorePermit,
}

impl Block {
    /// Copies as much of `data` as fits and leaves the rest in it.
    pub fn fill(&mut self, data: &mut Bytes) {
        let fits = data.len().min(BLOCK - self.content.len());
        self.content.extend_from_slice(&data.split_to(fits));
    }

    /// Whether nothing more fits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.content.len() >= BLOCK
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// The content, to be shared.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut content = std::mem::take(&mut self.content);
        content.clear();
        self.memory
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn blocks_come_back_when_the_last_reader_lets_go() {
        let memory = Memory::new(2 << 20);
        let mut reserved = memory.take(2).await;
        let mut block = reserved.block().unwrap();
        let mut data = Bytes::from(vec![7; BLOCK + 3]);
        block.fill(&mut data);
        assert!(block.is_full());
        assert_eq!(data.len(), 3);
        let (one, two) = {
            let bytes = block.freeze();
            (bytes.slice(..10), bytes)
        };
        drop(reserved);
        assert_eq!(memory.permits.available_permits(), 1);
        drop(two);
        assert_eq!(memory.permits.available_permits(), 1);
        assert_eq!(one, vec![7; 10]);
        drop(one);
        assert_eq!(memory.permits.available_permits(), 2);
        assert_eq!(memory.free.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_share_goes_back_when_its_last_block_is_gone() {
        let memory = Memory::new(4 << 20);
        let share = memory.share(3).await;
        let block = share.take(1).await.block();
        drop(share);
        assert_eq!(memory.permits.available_permits(), 1);
        drop(block);
        assert_eq!(memory.permits.available_permits(), 4);
    }

    #[tokio::test]
    async fn more_than_there_is_means_all_there_is() {
        let memory = Memory::new(0);
        let mut reserved = memory.take(9).await;
        assert!(reserved.block().is_some());
        assert!(reserved.block().is_none());
    }
}
