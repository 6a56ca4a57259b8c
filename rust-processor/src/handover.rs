//! What `claim` leaves for `run` on the volume that they share: the envelope's bytes, and which attempt this is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::contract::Outcome;
use crate::regular;

/// Who owns the run, and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The unit's UID.
    pub unit: String,
    /// The number of this pod's attempt; 0 where the unit is closed.
    pub attempt: i64,
    /// The outcome of a unit that is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The W3C trace context that came with the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
}

impl Claim {
    /// The outcome of a unit that is closed.
    pub fn closed(&self) -> Option<Outcome> {
        self.outcome.as_deref().and_then(Outcome::parse)
    }
}

/// The shared volume.
#[derive(Clone, Debug)]
pub struct Volume {
    dir: PathBuf,
}

impl Volume {
    /// The volume at that folder.
    pub const fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Takes away what an earlier container of this pod left, so that `run` never acts on an older claim.
    pub fn clear(&self) -> io::Result<()> {
        for name in ["claim.json", "task.json"] {
            forget(&self.file(name))?;
        }
        Ok(())
    }

    /// Leaves a claim; the claim appears last and whole.
    pub fn leave(&self, claim: &Claim, task: Option<&[u8]>) -> io::Result<()> {
        if let Some(task) = task {
            write_whole(&self.file("task.json"), task)?;
        }
        write_whole(&self.file("claim.json"), &serde_json::to_vec(claim)?)
    }

    /// Finds the claim, if there is one.
    pub fn find(&self) -> io::Result<Option<Claim>> {
        match regular::read(&self.file("claim.json")) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Reads the task's envelope.
    pub fn task(&self) -> io::Result<Vec<u8>> {
        regular::read(&self.file("task.json"))
    }
}

/// Removes a file that may not be there.
pub fn forget(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    regular::write(&part, bytes)?;
    fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume::at(folder.path().to_owned());
        assert_eq!(volume.find().unwrap(), None);
        let claim = Claim {
            unit: "u".to_owned(),
            attempt: 2,
            ..Claim::default()
        };
        volume.leave(&claim, Some(b"{}")).unwrap();
        assert_eq!(volume.find().unwrap(), Some(claim));
        assert_eq!(volume.task().unwrap(), b"{}");
        volume.clear().unwrap();
        assert_eq!(volume.find().unwrap(), None);
        assert!(volume.task().is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
