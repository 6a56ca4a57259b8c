//! `processor install DIR`: copies this program to where a queue's own image finds it.
//!
//! The program is static, so it runs in any image. Certificates go with it, since an image need not have any, and
//! without them no SQS is reached: `claim` and `run` trust them by `TALLYMAN_CA_FILE`, which the work does not inherit.

use std::fs;
use std::io;
use std::path::Path;

use crate::exit::Exit;
use crate::log::{Level, Log};

/// Where the processor's image, like most, has its certificates.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Installs into the folder.
pub fn main(dir: &Path) -> Exit {
    match install(dir) {
        Ok(()) => Exit::Done,
        Err(e) => {
            let log = Log::down_to(Level::Error);
            log.error(
                "could not install",
                &[("into", &dir.display().to_string()), ("error", &e.to_string())],
            );
            Exit::Infrastructure
        }
    }
}

fn install(dir: &Path) -> io::Result<()> {
    put(&std::env::current_exe()?, &dir.join("processor"))?;
    match put(Path::new(AUTHORITIES), &dir.join("ca.pem")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Err(_) => fs::write(dir.join("ca.pem"), ""), // an image of somebody else's making; its own must do
        Ok(()) => Ok(()),
    }
}

/// Copies a file with its mode. It appears whole: the container may be started again half way.
fn put(from: &Path, to: &Path) -> io::Result<()> {
    let part = to.with_extension("part");
    fs::copy(from, &part)?;
    fs::rename(&part, to)
}
