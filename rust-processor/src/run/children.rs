//! Every child of this process, waited for.
//!
//! In a pod this process is PID 1, which the kernel makes the parent of whatever the work leaves behind: what it started
//! and did not wait for. Such an orphan that ends is a zombie until its new parent has waited for it, and holds one of
//! the pids that the pod may have. So one loop waits for all, as an init does; the work's own end is told to whoever
//! asks, and of the others nobody wants to know.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What the kernel says when a child has ended.
pub struct Children(Signal);

/// The end of the work.
pub struct End(watch::Receiver<Option<ExitStatus>>);

impl Children {
    /// Listens; to be called before the work is started, so that not even a short one ends unheard.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::child()).map(Self)
    }

    /// Waits for all children from now on, and for the work among them. Nothing else in this process may wait for a
    /// child, since whoever waits first has the status.
    pub fn wait_for(mut self, work: Pid) -> End {
        let (ended, end) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                while let Some((pid, status)) = any() {
                    // An orphan may get the pid of the work that has ended.
                    if pid == work && ended.borrow().is_none() {
                        ended.send_replace(Some(status));
                    }
                }
                if self.0.recv().await.is_none() {
                    return;
                }
            }
        });
        End(end)
    }
}

impl End {
    /// Waits for it; may be asked again.
    pub async fn reached(&mut self) -> io::Result<ExitStatus> {
        let status = self.0.wait_for(Option::is_some).await.map_err(io::Error::other)?;
        status.ok_or_else(|| io::Error::other("it has no status"))
    }
}

/// A child that has ended, which is a zombie no more.
fn any() -> Option<(Pid, ExitStatus)> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(ended) => return ended.map(|(pid, status)| (pid, ExitStatus::from_raw(status.as_raw()))),
            Err(Errno::INTR) => {}
            Err(_) => return None, // there is no child at all
        }
    }
}
