//! The result of an attempt, and where it goes.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::failure::Failure;
use super::whole_file::{self, Lasting};

/// The largest result. It travels in an event and stands in the job's document.
pub const LIMIT: usize = 32 * 1024;

/// What a handler leaves behind when its work is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    json: Vec<u8>,
    shown: bool,
}

impl Outcome {
    /// A result that only a result file receives.
    pub fn kept(result: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self {
            json: encode(result)?,
            shown: false,
        })
    }

    /// A result that is the very purpose of the work: printed to stdout when no result file is wanted.
    pub fn shown(result: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self {
            json: encode(result)?,
            shown: true,
        })
    }

    /// Writes the result where it is wanted. A reader of the file sees all of it or no file.
    pub fn deliver(&self, file: Option<&Path>, out: &mut dyn Write) -> Result<(), Failure> {
        if self.json.len() > LIMIT {
            return Err(Failure::of("result", format!("is larger than {LIMIT} bytes")));
        }
        let written = match file {
            Some(path) => whole_file::write(path, &path.with_extension("part"), &self.json, Lasting::Process),
            None if self.shown => out
                .write_all(&self.json)
                .and_then(|()| out.write_all(b"\n"))
                .and_then(|()| out.flush()),
            None => Ok(()),
        };
        written.map_err(|e| Failure::while_doing("write the result", e))
    }

    /// The result as JSON.
    pub fn json(&self) -> &[u8] {
        &self.json
    }
}

/// A result as the JSON that is delivered.
pub fn encode(result: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(result).map_err(|e| Failure::while_doing("encode the result", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_goes_to_its_file_else_to_stdout_only_if_it_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("result.json");
        let mut out = Vec::new();
        Outcome::shown(&7).unwrap().deliver(Some(&file), &mut out).unwrap();
        Outcome::kept(&8).unwrap().deliver(None, &mut out).unwrap();
        Outcome::shown(&9).unwrap().deliver(None, &mut out).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"7");
        assert_eq!(out, b"9\n");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing half written is left"
        );
    }

    #[test]
    fn a_result_over_the_limit_is_refused() {
        let outcome = Outcome::kept(&"x".repeat(LIMIT)).unwrap();
        assert!(matches!(
            outcome.deliver(None, &mut Vec::new()),
            Err(Failure::Permanent(_))
        ));
    }
}
