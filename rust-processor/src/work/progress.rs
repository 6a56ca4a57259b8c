//! How far the work has come, told a few times a second.
//!
//! Each line of the progress file is `<done>/<total> <message>`. Progress is a courtesy: when it cannot be written, the
//! work goes on without it.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::clock::Clock;

/// Two lines a second are as many as a person can follow.
const INTERVAL: Duration = Duration::from_millis(500);

/// Where progress goes, and when the last line went there.
pub struct Progress<'a> {
    file: Option<File>,
    clock: &'a dyn Clock,
    last: Option<Duration>,
}

impl<'a> Progress<'a> {
    /// Progress that is appended to the file, or told to nobody.
    pub fn to(file: Option<&Path>, clock: &'a dyn Clock) -> Self {
        Self {
            file: file.and_then(|path| OpenOptions::new().append(true).create(true).open(path).ok()),
            clock,
            last: None,
        }
    }

    /// Says how far the work is, unless it was said a moment ago. The end (`done == total`) is always said.
    pub fn at(&mut self, done: u64, total: u64, message: impl Display) {
        let Some(file) = &mut self.file else { return };
        let now = self.clock.elapsed();
        let just_said = self.last.is_some_and(|last| now < last + INTERVAL);
        if just_said && done < total {
            return;
        }
        self.last = Some(now);
        // One write for a line, so that a reader of the growing file never sees half of one.
        if file
            .write_all(format!("{done}/{total} {message}\n").as_bytes())
            .is_err()
        {
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::clock::FakeClock;

    #[test]
    fn at_most_two_lines_a_second_and_always_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("progress");
        let clock = FakeClock::default();
        let mut progress = Progress::to(Some(&file), &clock);
        for done in 0..=12 {
            progress.at(done, 12, "records");
            clock.sleep(Duration::from_millis(100));
        }
        let told = std::fs::read_to_string(&file).unwrap();
        assert_eq!(told, "0/12 records\n5/12 records\n10/12 records\n12/12 records\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_stops_nothing() {
        let clock = FakeClock::default();
        Progress::to(Some(Path::new("/dev/null/progress")), &clock).at(1, 2, "records");
        let mut full = Progress::to(Some(Path::new("/dev/full")), &clock);
        full.at(1, 2, "records");
        assert!(full.file.is_none());
    }
}
