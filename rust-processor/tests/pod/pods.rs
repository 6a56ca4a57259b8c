//! Pods that are the real binary, as Kubernetes or localkube would start them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::world::{DEADLINE, QUEUE, World};

/// One pod: the containers `claim` and `run`, as Kubernetes or localkube would start them.
pub struct Pod<'a> {
    world: &'a World,
    unit: String,
    pub uid: String,
    pub dir: TempDir,
    extra: Vec<(String, String)>,
}

impl<'a> Pod<'a> {
    /// A pod of a unit that has not run yet.
    pub fn of(world: &'a World, unit: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            world,
            unit: unit.to_owned(),
            uid: format!("pod-{number}"),
            dir: tempfile::tempdir().unwrap(),
            extra: Vec::new(),
        }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.extra.push((name.to_owned(), value.into()));
        self
    }

    pub fn command(&self, container: &str) -> Command {
        let world = self.world;
        let mut command = Command::new(env!("CARGO_BIN_EXE_processor"));
        command.arg(container).env_clear().current_dir(self.dir.path());
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.envs([
            ("TALLYMAN_QUEUE", QUEUE.to_owned()),
            ("TALLYMAN_QUEUE_URL", world.url("queue")),
            ("TALLYMAN_DEAD_LETTER_URL", world.url("deadLetter")),
            ("TALLYMAN_CONFIG", world.path("config.json").display().to_string()),
            ("TALLYMAN_UNIT", self.unit.clone()),
            ("TALLYMAN_UNIT_NAME", format!("{}-job", self.unit)),
            ("TALLYMAN_POD_UID", self.uid.clone()),
            ("TALLYMAN_POD_NAME", format!("{}-name", self.uid)),
            ("TALLYMAN_NAMESPACE", "test".to_owned()),
            ("TALLYMAN_CLUSTER", "local".to_owned()),
            ("TALLYMAN_NATS_URL", world.url("nats")),
            ("TALLYMAN_DIR", self.dir.path().display().to_string()),
            (
                "TALLYMAN_TERMINATION_LOG",
                self.dir.path().join("termination").display().to_string(),
            ),
            ("TALLYMAN_RECEIVE_SECONDS", "0".to_owned()),
            ("TALLYMAN_GRACE_SECONDS", "5".to_owned()),
            ("TALLYMAN_PATIENCE_SECONDS", "10".to_owned()),
            ("AWS_ENDPOINT_URL_SQS", world.url("sqs")),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "a-secret".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("OF_THE_QUEUE", "the user's own".to_owned()),
        ]);
        command.envs(self.extra.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn start(&self, container: &str) -> Child {
        self.command(container).spawn().unwrap()
    }

    pub fn output(&self, container: &str) -> Output {
        self.command(container).output().unwrap()
    }

    /// Starts the main container, and waits for its end no longer than a test waits for anything: for work that could
    /// hold it up for ever.
    pub fn runs_in_time(&self) -> Output {
        let mut child = self.start("run");
        let end = std::time::Instant::now() + DEADLINE;
        while child.try_wait().unwrap().is_none() {
            if std::time::Instant::now() > end {
                child.kill().unwrap();
                panic!("`run` was held up: {:?}", child.wait_with_output().unwrap());
            }
            std::thread::park_timeout(Duration::from_millis(5)); // between two looks
        }
        child.wait_with_output().unwrap()
    }

    /// Runs the init container, which must end so.
    pub fn claim(&self, code: i32) {
        self.ends("claim", code);
    }

    /// Runs the main container, which must end so.
    pub fn run(&self, code: i32) -> Value {
        self.ends("run", code);
        self.termination()
    }

    fn ends(&self, container: &str, code: i32) {
        let output = self.output(container);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{container}: {said}{}",
            self.termination()
        );
    }

    pub fn termination(&self) -> Value {
        let bytes = fs::read(self.dir.path().join("termination")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

/// Waits for a file to appear.
pub fn appears(path: &Path) {
    holds(&format!("{} is there", path.display()), || path.exists());
}

/// Waits until something holds, by asking again and again for as long as a test waits for anything.
pub fn holds(what: &str, so: impl Fn() -> bool) {
    let end = std::time::Instant::now() + DEADLINE;
    while !so() {
        assert!(std::time::Instant::now() < end, "in vain was waited until {what}");
        std::thread::park_timeout(Duration::from_millis(5)); // between two looks
    }
}
