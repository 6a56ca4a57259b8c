//! The bytes of the payload.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use super::failure::Failure;

/// The largest payload. A task is at most 256 KiB on the wire, so this only stops what was never one.
pub const LIMIT: u64 = 1024 * 1024;

/// Reads the payload file, or stdin without one. A terminal is not waited for: somebody who typed
/// `processor work process-data` and nothing else wants the defaults.
pub fn read(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    match file {
        Some(path) => {
            let opened = File::open(path).map_err(|e| unreadable(&e))?;
            bounded(opened)
        }
        None if io::stdin().is_terminal() => Ok(Vec::new()),
        None => bounded(io::stdin().lock()),
    }
}

fn bounded(input: impl Read) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    input
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unreadable(&e))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Failure::of("payload", format!("is larger than {LIMIT} bytes")));
    }
    Ok(bytes)
}

fn unreadable(cause: &io::Error) -> Failure {
    Failure::while_doing("read the payload", cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_may_be_as_large_as_the_limit_and_no_larger() {
        assert_eq!(bounded(io::repeat(b' ').take(LIMIT)).unwrap().len() as u64, LIMIT);
        let failure = bounded(io::repeat(b' ')).unwrap_err();
        assert_eq!(
            failure,
            Failure::Permanent("payload: is larger than 1048576 bytes".to_owned())
        );
    }

    #[test]
    fn a_missing_payload_file_may_be_there_for_the_next_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let failure = read(Some(&folder.path().join("payload"))).unwrap_err();
        assert!(matches!(failure, Failure::Retryable(_)), "{failure}");
    }
}
