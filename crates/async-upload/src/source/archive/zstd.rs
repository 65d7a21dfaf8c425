//! Zstandard as programs write it: frames one after the other, some of them only notes
//! (`zstd:chunked` layers, `pzstd`). The decoder knows one frame at a time.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The content of all frames.
pub(super) struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    open: bool,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            decoder: FrameDecoder::new(),
            open: false,
        }
    }

    /// Goes on to the next frame with content. `false` at the end.
    fn next(&mut self) -> Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut note = self.source.by_ref().take(u64::from(length));
                    if std::io::copy(&mut note, &mut std::io::sink())? < u64::from(length) {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(Error::other(error)),
            }
        }
        Ok(false)
    }

    /// At the end of a frame: compares its checksum, if it has one.
    fn verify(&self) -> Result<()> {
        let promised = self.decoder.get_checksum_from_data();
        if promised.is_some() && promised != self.decoder.get_calculated_checksum() {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "the checksum of a Zstandard frame is wrong",
            ));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.open && !self.next()? {
                return Ok(0);
            }
            self.open = true;
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(Error::other)?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.verify()?;
            self.open = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn frame(content: &[u8]) -> Vec<u8> {
        compress_to_vec(content, CompressionLevel::Fastest)
    }

    fn content(frames: &[u8]) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        // A small buffer: frames begin anywhere in it.
        let source = std::io::BufReader::with_capacity(7, frames);
        Frames::new(source).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn frames_follow_one_another_and_notes_are_skipped() {
        let large = vec![b'a'; 300_000];
        let note = [&0x184D_2A50_u32.to_le_bytes()[..], &[3, 0, 0, 0], b"abc"].concat();
        let frames = [
            note.clone(),
            frame(&large),
            note.clone(),
            frame(b""),
            frame(b"end"),
            note.clone(),
        ]
        .concat();
        assert_eq!(content(&frames).unwrap(), [&large[..], b"end"].concat());
        assert_eq!(content(&[]).unwrap(), b"");
        assert!(content(&note[..10]).is_err());
    }

    #[test]
    fn what_is_torn_or_damaged_is_an_error() {
        let whole = frame(b"some content");
        for length in 1..whole.len() {
            assert!(content(&whole[..length]).is_err(), "{length}");
        }
        assert!(content(&[&whole[..], b"no frame"].concat()).is_err());
        let mut damaged = whole;
        let place = damaged.len() - 6;
        damaged[place] ^= 1;
        assert!(content(&damaged).is_err());
    }
}
