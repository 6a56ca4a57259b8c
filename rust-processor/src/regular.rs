//! Files where the work may have put something else.
//!
//! The work owns the folder of its result and of its progress, so under any of their names may stand whatever it can
//! make: opening a named pipe waits for its other end, a device need have no end, and a link leads anywhere. Waiting is
//! worst: this program has one thread, and while it waits nobody keeps the timeout or hears a cancel. So nothing is
//! waited for here, no link is followed, and what is no regular file is refused.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// What every opening asks for. Of a regular file `NONBLOCK` changes nothing.
const CAREFULLY: OFlags = OFlags::NONBLOCK
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Opens a regular file to read it. What else stands there is refused with `InvalidInput`.
pub fn open(path: &Path) -> io::Result<File> {
    opened(path, OFlags::RDONLY)
}

/// Reads a regular file whole.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a regular file, which is made if it is not there. What else stands there is left alone, with `InvalidInput`.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = opened(path, OFlags::WRONLY | OFlags::CREATE)?;
    file.set_len(0)?; // not sooner: only now is it known what it is
    file.write_all(bytes)
}

fn opened(path: &Path, how: OFlags) -> io::Result<File> {
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    let file = match rustix::fs::open(path, how | CAREFULLY, Mode::from_raw_mode(0o666)) {
        Ok(descriptor) => File::from(descriptor),
        // A link; a socket, or a pipe that nobody reads; a folder that would be written.
        Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Err(refused()),
        Err(errno) => return Err(errno.into()),
    };
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_is_no_regular_file_is_refused_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "kept").unwrap();
        fs::create_dir(at("folder")).unwrap();
        let mkfifo = std::process::Command::new("mkfifo").arg(at("pipe")).status();
        assert!(mkfifo.unwrap().success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink("/dev/zero", at("endless")).unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        let odd = ["folder", "pipe", "socket", "link", "endless", "dangling"].map(at);
        for path in odd
            .iter()
            .map(std::path::PathBuf::as_path)
            .chain([Path::new("/dev/zero")])
        {
            for result in [open(path).map(drop), write(path, b"x")] {
                let refused = result.expect_err(&path.display().to_string());
                assert_eq!(
                    refused.kind(),
                    io::ErrorKind::InvalidInput,
                    "{}: {refused}",
                    path.display()
                );
            }
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"kept");
        assert!(!at("nothing").exists());
    }

    #[test]
    fn a_regular_file_is_read_and_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        write(&path, b"the first and longer").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(read(&path).unwrap(), b"second");
    }
}
