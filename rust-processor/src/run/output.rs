//! What the child prints: passed on as it comes, and the last 64 KiB kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::contract::{MAX_MESSAGE_BYTES, MAX_TAIL_BYTES, text};

/// How much of an attempt's output is kept.
pub const KEPT: usize = 64 << 10;
const CHUNK: usize = 8 << 10;

/// Which of the child's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipe {
    /// Its output.
    Out,
    /// Its errors, whose last line is the attempt's message.
    Err,
}

/// The end of what was printed.
#[derive(Debug, Default)]
pub struct Printed {
    end: VecDeque<u8>,
    line: Vec<u8>,
    last_line: Vec<u8>,
}

impl Printed {
    /// Adds what a pipe brought.
    pub fn add(&mut self, pipe: Pipe, bytes: &[u8]) {
        let fresh = bytes.get(bytes.len().saturating_sub(KEPT)..).unwrap_or_default();
        let old = (self.end.len() + fresh.len()).saturating_sub(KEPT);
        self.end.drain(..old);
        self.end.extend(fresh);
        if pipe == Pipe::Err {
            bytes
                .split_inclusive(|byte| *byte == b'\n')
                .for_each(|part| self.add_line(part));
        }
    }

    /// Of a long line its beginning is kept.
    fn add_line(&mut self, part: &[u8]) {
        let room = (MAX_MESSAGE_BYTES + 1).saturating_sub(self.line.len());
        self.line.extend(part.iter().take(room));
        if part.ends_with(b"\n") {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        if !self.line.trim_ascii().is_empty() {
            std::mem::swap(&mut self.last_line, &mut self.line);
        }
        self.line.clear();
    }

    /// The last line on stderr that is not empty.
    pub fn last_words(&self) -> String {
        let open = self.line.trim_ascii();
        let line = if open.is_empty() {
            self.last_line.trim_ascii()
        } else {
            open
        };
        text::cut(&String::from_utf8_lossy(line), MAX_MESSAGE_BYTES)
    }

    /// The last 4 KiB as text.
    pub fn tail(&self) -> String {
        let skipped = self.end.len().saturating_sub(MAX_TAIL_BYTES);
        let bytes: Vec<u8> = self.end.range(skipped..).copied().collect();
        let cut_in = if skipped > 0 {
            bytes.iter().take_while(|byte| **byte & 0xC0 == 0x80).count()
        } else {
            0
        };
        let text = String::from_utf8_lossy(bytes.get(cut_in..).unwrap_or_default());
        text::cut_tail(&text, MAX_TAIL_BYTES).to_owned()
    }

    /// All that is kept.
    pub fn into_bytes(self) -> Vec<u8> {
        self.end.into()
    }
}

/// What both pipes brought, in the order in which it came.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Printed>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Printed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was printed so far.
    pub fn take(&self) -> Printed {
        std::mem::take(&mut *self.lock())
    }

    /// Reads a pipe to its end, keeps what it brings and passes it on. That nobody listens stops nothing.
    pub async fn drain(self, pipe: Pipe, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut chunk = vec![0; CHUNK];
        let mut heard = true;
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            let bytes = chunk.get(..length).unwrap_or_default();
            self.lock().add(pipe, bytes);
            heard = heard && to.write_all(bytes).await.is_ok() && to.flush().await.is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let mut printed = Printed::default();
        for i in 0..50_000 {
            printed.add(Pipe::Out, format!("line {i}\n").as_bytes());
        }
        printed.add(Pipe::Err, &vec![b'x'; 3 * KEPT]);
        printed.add(Pipe::Out, b"the end");
        assert!(printed.tail().ends_with("xthe end") && printed.tail().len() == MAX_TAIL_BYTES);
        let bytes = printed.into_bytes();
        assert!(bytes.len() == KEPT && bytes.ends_with(b"the end"));
    }

    #[test]
    fn the_message_is_the_last_line_on_stderr() {
        let words = |parts: &[&[u8]]| {
            let mut printed = Printed::default();
            printed.add(Pipe::Out, b"out\n");
            for part in parts {
                printed.add(Pipe::Err, part);
            }
            printed.last_words()
        };
        assert_eq!(words(&[]), "");
        assert_eq!(words(&[b"one\ntwo\n\n  \n"]), "two");
        assert_eq!(words(&[b"one\ntw", b"o", b" three"]), "two three");
        assert_eq!(words(&[b"bad \xff\n"]), "bad \u{fffd}");
        let long = words(&[&[b'y'; 5000], b"\n"]);
        assert!(long.len() == MAX_MESSAGE_BYTES && long.ends_with('…'), "{}", long.len());
    }

    #[test]
    fn a_tail_begins_with_a_character() {
        let mut printed = Printed::default();
        printed.add(Pipe::Out, "ä".repeat(MAX_TAIL_BYTES).as_bytes());
        printed.add(Pipe::Out, b"x");
        assert_eq!(printed.tail(), "ä".repeat(MAX_TAIL_BYTES / 2 - 1) + "x");
    }
}
