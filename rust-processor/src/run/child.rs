//! The work as a child process: a built-in type is `processor work TYPE`, and a user's command is never second class.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::children::{Children, End};
use super::output::{Pipe, Printed, Shared};
use crate::contract::Task;
use crate::contract::config::JobType;
use crate::handover::{Volume, forget};
use crate::settings::Settings;

/// Variables that are ours, or are credentials, or tell of the cluster. The work inherits none of them.
const WITHHELD: [&str; 4] = ["TALLYMAN_", "AWS_", "NATS_", "KUBERNETES_"];

/// How long the pipes of a child that has ended may stay open: somebody it started may hold them.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Where the work finds its payload and leaves its result and its progress.
pub struct Files {
    /// The payload, byte for byte.
    pub payload: PathBuf,
    /// The result.
    pub result: PathBuf,
    /// Lines of progress.
    pub progress: PathBuf,
}

impl Files {
    /// The files in the shared volume.
    pub fn in_volume(volume: &Volume) -> Self {
        Self {
            payload: volume.file("payload"),
            result: volume.file("result"),
            progress: volume.file("progress"),
        }
    }

    /// Writes the payload and takes away what an earlier container of this pod left.
    pub fn prepare(&self, payload: &[u8]) -> io::Result<()> {
        forget(&self.result)?;
        forget(&self.progress)?;
        forget(&self.payload)?; // which the work might have made a pipe
        fs::write(&self.payload, payload)
    }
}

/// What the work finds in its environment: of ours what is not withheld, and what its contract names.
pub fn environment(
    settings: &Settings,
    task: &Task,
    attempt: i64,
    files: &Files,
    own: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let text = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    let path = |name: &str, value: &PathBuf| (OsString::from(name), value.clone().into_os_string());
    let mut all: Vec<_> = own.filter(|(name, _)| !withheld(name)).collect();
    all.extend([
        text("TALLYMAN_JOB_ID", &task.job_id),
        text("TALLYMAN_RUN", &task.run.to_string()),
        text("TALLYMAN_ATTEMPT", &attempt.to_string()),
        text("TALLYMAN_TYPE", &task.job_type),
        text("TALLYMAN_QUEUE", &task.queue),
        path("TALLYMAN_PAYLOAD_FILE", &files.payload),
        path("TALLYMAN_RESULT_FILE", &files.result),
        path("TALLYMAN_PROGRESS_FILE", &files.progress),
    ]);
    let passed = [
        ("TALLYMAN_STORE_DIR", &settings.store_dir),
        ("TALLYMAN_DATA_DIR", &settings.data_dir),
    ];
    all.extend(
        passed
            .into_iter()
            .filter_map(|(name, value)| Some((OsString::from(name), value.clone()?))),
    );
    all
}

fn withheld(name: &OsStr) -> bool {
    WITHHELD
        .iter()
        .any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

/// The child at work.
pub struct Child {
    group: Pid,
    end: End,
    shared: Shared,
    pipes: Vec<JoinHandle<()>>,
}

/// How starting the child went.
pub enum Spawned {
    /// It works.
    Working(Box<Child>),
    /// It can never be started, and why.
    Impossible(String),
    /// It cannot be started now, and why.
    NotNow(String),
}

impl Child {
    /// Starts the work of a type: in a process group of its own, so that what it starts can be stopped with it.
    pub fn spawn(kind: &JobType, environment: Vec<(OsString, OsString)>, payload: &[u8]) -> Spawned {
        let (program, arguments) = match command(kind) {
            Ok(command) => command,
            Err(e) => return Spawned::NotNow(format!("find this program: {e}")),
        };
        let children = match Children::listen() {
            Ok(children) => children,
            Err(e) => return Spawned::NotNow(format!("listen to the ends of children: {e}")),
        };
        let spawned = Command::new(&program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        match spawned {
            Ok(process) => Self::attended(process, children, payload).map_or_else(
                |e| Spawned::NotNow(format!("attend {}: {e}", program.display())),
                |child| Spawned::Working(Box::new(child)),
            ),
            Err(e) if for_now(&e) => Spawned::NotNow(format!("start {}: {e}", program.display())),
            Err(e) => Spawned::Impossible(format!("the command {} cannot be started: {e}", program.display())),
        }
    }

    fn attended(mut process: std::process::Child, children: Children, payload: &[u8]) -> io::Result<Self> {
        let group = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        let group = group.ok_or_else(|| io::Error::other("it has no pid"))?;
        // From here on it is stopped when it is dropped, whatever goes wrong.
        let mut child = Self {
            group,
            end: children.wait_for(group),
            shared: Shared::default(),
            pipes: Vec::new(),
        };
        if let Some(stdin) = process.stdin.take() {
            let mut stdin = ChildStdin::from_std(stdin)?;
            let payload = payload.to_vec();
            // A child that does not read its input closes the pipe, which is its right.
            tokio::spawn(async move { stdin.write_all(&payload).await });
        }
        if let Some(stdout) = process.stdout.take() {
            let stdout = ChildStdout::from_std(stdout)?;
            let drained = child.shared.clone().drain(Pipe::Out, stdout, tokio::io::stdout());
            child.pipes.push(tokio::spawn(drained));
        }
        if let Some(stderr) = process.stderr.take() {
            let stderr = ChildStderr::from_std(stderr)?;
            let drained = child.shared.clone().drain(Pipe::Err, stderr, tokio::io::stderr());
            child.pipes.push(tokio::spawn(drained));
        }
        Ok(child)
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.end.reached().await
    }

    /// Asks it to end, and after the grace period ends it, with all that it started.
    pub async fn stop(&mut self, grace: Duration) {
        self.signal(Signal::TERM);
        if timeout(grace, self.wait()).await.is_err() {
            self.signal(Signal::KILL);
            // Nothing outlives SIGKILL but a process stuck in the kernel, which nobody can wait for.
            let _ = timeout(LAST_OUTPUT, self.wait()).await;
        }
    }

    /// What it printed, when it has ended. What it started and left behind has a moment to say its last, and dies with it,
    /// as in a container.
    pub async fn printed(mut self) -> Printed {
        for last in [false, true] {
            let mut pipes = std::mem::take(&mut self.pipes);
            let ended = async {
                for pipe in &mut pipes {
                    let _ = pipe.await;
                }
            };
            if timeout(LAST_OUTPUT, ended).await.is_ok() {
                break;
            }
            self.signal(Signal::KILL);
            self.pipes = if last {
                Vec::new()
            } else {
                pipes.into_iter().filter(|pipe| !pipe.is_finished()).collect()
            };
        }
        self.shared.take()
    }

    fn signal(&self, signal: Signal) {
        // The group may be gone already.
        let _ = kill_process_group(self.group, signal);
    }
}

/// Nobody is left to watch it.
impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Whether the system was merely out of something; else the command itself is wrong, and no retry can mend it.
fn for_now(e: &io::Error) -> bool {
    use rustix::io::Errno;
    let scarce = [
        Errno::AGAIN,
        Errno::NOMEM,
        Errno::MFILE,
        Errno::NFILE,
        Errno::TXTBSY,
        Errno::INTR,
    ];
    e.raw_os_error()
        .is_some_and(|code| scarce.iter().any(|errno| errno.raw_os_error() == code))
}

fn command(kind: &JobType) -> io::Result<(OsString, Vec<OsString>)> {
    match kind.command.split_first() {
        Some((program, arguments)) => Ok((program.into(), arguments.iter().map(OsString::from).collect())),
        None => Ok((
            std::env::current_exe()?.into(),
            vec!["work".into(), kind.name.clone().into()],
        )),
    }
}
