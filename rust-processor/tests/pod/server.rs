//! NATS and SQS, served by the Go side's `devserver` for as long as its stdin is open.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

pub struct Server {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// Builds the server once for all tests of this program.
fn devserver() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("devserver");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut go = Command::new("go");
        let built = go
            .arg("build")
            .arg("-o")
            .arg(&path)
            .arg("./internal/testenv/devserver")
            .current_dir(root);
        assert!(
            built.status().expect("go is needed").success(),
            "the devserver does not build"
        );
        path
    })
}

impl Server {
    pub fn start() -> (Self, Value) {
        let mut process = Command::new(devserver())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Self {
            stdin: process.stdin.take(),
            stdout: BufReader::new(process.stdout.take().unwrap()),
            process,
        };
        let addresses = serde_json::from_str(&server.line()).unwrap();
        (server, addresses)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub fn order(&mut self, order: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{order}").unwrap();
        assert_eq!(self.line(), "ok\n", "{order}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take()); // it ends with its input
        let _ = self.process.wait();
    }
}
