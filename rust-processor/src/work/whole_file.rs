//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// What a written file must outlive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// The process that wrote it. Enough for what another process of the same pod reads at once.
    Process,
    /// A power cut: the bytes and the name are on the disk before the write returns.
    PowerCut,
}

/// Writes `bytes` to `part`, in the same folder, and renames it to `path`, which is replaced if it exists. What was
/// half written is removed when a step fails.
pub fn write(path: &Path, part: &Path, bytes: &[u8], lasting: Lasting) -> io::Result<()> {
    let written = fill(part, bytes, lasting).and_then(|()| fs::rename(part, path));
    if let Err(cause) = written {
        // The cause is what counts; a part that cannot be removed either is the next attempt's to replace.
        let _ = fs::remove_file(part);
        return Err(cause);
    }
    match (lasting, path.parent()) {
        (Lasting::PowerCut, Some(folder)) => sync_folder(folder),
        _ => Ok(()),
    }
}

fn fill(part: &Path, bytes: &[u8], lasting: Lasting) -> io::Result<()> {
    let mut file = File::create(part)?;
    file.write_all(bytes)?;
    match lasting {
        Lasting::Process => Ok(()),
        Lasting::PowerCut => file.sync_all(),
    }
}

/// Brings the names in a folder to the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_and_leaves_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let (path, part) = (folder.path().join("a"), folder.path().join("a.part"));
        fs::write(&part, "left over by an attempt that was killed").unwrap();
        write(&path, &part, b"one", Lasting::PowerCut).unwrap();
        write(&path, &part, b"two", Lasting::Process).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(!part.exists());
    }

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, part) = (folder.path().join("taken"), folder.path().join("part"));
        fs::create_dir(&path).unwrap();
        assert!(write(&path, &part, b"one", Lasting::Process).is_err());
        assert!(!part.exists());
    }
}
