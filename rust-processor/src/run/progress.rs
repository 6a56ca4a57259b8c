//! The lines of the progress file, told to whoever listens. Nothing of it is stored, and none of it decides anything.

use std::convert::Infallible;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::contract::{Time, UnitRecord, text};
use crate::log::Log;
use crate::regular;
use crate::stream::Stream;
use crate::voice::Clock;

/// A person can follow no more.
const PERIOD: Duration = Duration::from_millis(250);

/// What is read at once; of more, only the last lines count anyhow.
const CHUNK: u64 = 16 << 10;
const MAX_MESSAGE: usize = 256;

/// How far the work is, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    job_id: &'a str,
    run: i64,
    attempt: i64,
    #[serde(flatten)]
    line: Line,
    at: Time,
}

/// A line of the progress file: `<done>/<total> <message>`, `<done> <message>`, `<percent>% <message>`, or any other text
/// as a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

impl Line {
    fn parse(line: &str) -> Self {
        let line = line.trim();
        let (count, message) = line.split_once(' ').unwrap_or((line, ""));
        let (counted, message) = Self::counted(count).map_or((Self::default(), line), |counted| (counted, message));
        Self {
            message: text::cut(message.trim(), MAX_MESSAGE),
            ..counted
        }
    }

    fn counted(count: &str) -> Option<Self> {
        let mut line = Self::default();
        if let Some(percent) = count.strip_suffix('%') {
            line.percent = Some(tenths(percent.parse().ok().filter(|share: &f64| share.is_finite())?));
            return Some(line);
        }
        let (done, total) = count
            .split_once('/')
            .map_or((count, None), |(done, total)| (done, Some(total)));
        let done: u64 = done.parse().ok()?;
        line.done = Some(done);
        line.total = total.map(str::parse).transpose().ok()?;
        line.percent = line
            .total
            .filter(|total| *total > 0)
            .map(|total| tenths(done as f64 * 100.0 / total as f64));
        Some(line)
    }
}

/// Percent to one place, 0 to 100.
fn tenths(percent: f64) -> f64 {
    (percent.clamp(0.0, 100.0) * 10.0).round() / 10.0
}

/// The end of a growing file.
pub struct Tail<'a> {
    path: PathBuf,
    stream: Stream,
    subject: String,
    record: &'a UnitRecord,
    attempt: i64,
    log: Log,
    seen: Mutex<Seen>,
}

/// How far the file was looked at.
#[derive(Debug, Default)]
struct Seen {
    read: u64,
    given_up: bool,
}

impl<'a> Tail<'a> {
    /// The progress of an attempt.
    pub fn of(path: &Path, stream: Stream, subject: String, record: &'a UnitRecord, attempt: i64, log: Log) -> Self {
        Self {
            path: path.to_owned(),
            stream,
            subject,
            record,
            attempt,
            log,
            seen: Mutex::default(),
        }
    }

    /// Tells progress as it comes, for ever.
    pub async fn follow(&self, clock: Clock) -> Infallible {
        let mut period = tokio::time::interval(PERIOD);
        loop {
            period.tick().await;
            self.look(clock).await;
        }
    }

    /// Tells what was not told yet.
    pub async fn finish(&self, clock: Clock) {
        self.look(clock).await;
    }

    async fn look(&self, clock: Clock) {
        let Some(line) = self.news() else { return };
        let told = Told {
            job_id: &self.record.job_id,
            run: self.record.run,
            attempt: self.attempt,
            line,
            at: clock(),
        };
        if let Ok(body) = serde_json::to_vec(&told) {
            // A courtesy: nobody misses what could not be told.
            let _ = self.stream.tell(self.subject.clone(), body).await;
        }
    }

    /// The last whole line that was not seen yet.
    fn news(&self) -> Option<Line> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.given_up {
            return None;
        }
        let (bytes, start) = match read_end(&self.path, seen.read) {
            Ok(end) => end,
            Err(e) if e.kind() == ErrorKind::NotFound => return None,
            Err(e) => {
                // Said once, and not looked at again: a pipe would be opened, and let go, four times a second.
                seen.given_up = true;
                let fault = e.to_string();
                self.log.warn(
                    "the progress file cannot be read; progress is not told",
                    &[("error", &fault)],
                );
                return None;
            }
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n')? + 1;
        seen.read = start + whole as u64;
        let text = String::from_utf8_lossy(bytes.get(..whole)?);
        let last = text.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(Line::parse(last))
    }
}

/// Reads what a file holds from an offset on, or the last chunk of it, and tells where that began.
fn read_end(path: &Path, from: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = regular::open(path)?;
    let length = file.metadata()?.len();
    let from = if length < from { 0 } else { from }; // somebody wrote the file anew
    let start = from.max(length.saturating_sub(CHUNK));
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(CHUNK).read_to_end(&mut bytes)?;
    Ok((bytes, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        let line = Line::parse("3/8 rows\n");
        assert_eq!(
            (line.done, line.total, line.percent, line.message.as_str()),
            (Some(3), Some(8), Some(37.5), "rows")
        );
        assert_eq!(Line::parse("9/8").percent, Some(100.0));
        assert_eq!(Line::parse("1/0 no end").percent, None);
        let open = Line::parse("512 rows so far");
        assert_eq!(
            (open.done, open.total, open.message.as_str()),
            (Some(512), None, "rows so far")
        );
        let share = Line::parse("33.333% of it");
        assert_eq!(
            (share.done, share.percent, share.message.as_str()),
            (None, Some(33.3), "of it")
        );
        assert_eq!(Line::parse("NaN% x").message, "NaN% x");
        let odd = Line::parse("half/way there");
        assert_eq!((odd.done, odd.message.as_str()), (None, "half/way there"));
        assert!(Line::parse(&"x".repeat(9999)).message.len() <= MAX_MESSAGE);
    }

    #[test]
    fn only_the_end_of_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress");
        std::fs::write(&path, "1/2 a\n2/2 b\n".repeat(10_000)).unwrap();
        let (bytes, start) = read_end(&path, 0).unwrap();
        assert_eq!((bytes.len() as u64, start), (CHUNK, 120_000 - CHUNK));
        assert_eq!(read_end(&path, 119_994).unwrap(), (b"2/2 b\n".to_vec(), 119_994));
        assert_eq!(read_end(&path, 999_999).unwrap().1, 120_000 - CHUNK);
    }
}
