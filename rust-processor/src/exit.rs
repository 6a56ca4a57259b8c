//! The exit codes of `processor`, in one table.
//!
//! Kubernetes reads them (`podFailurePolicy` looks at 65, 75 and 86), the bridge turns them into failure reasons, and
//! `processor run` reads those of its child. The README shows the same table, and a test holds the two together.

use std::process::ExitCode;

/// What the end of this program means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The work is done, or there was nothing to do. Nobody tries again.
    Done,
    /// The attempt failed and may be tried again while attempts are left.
    Failed,
    /// The attempt failed in a way that no retry can mend: bad input, bad configuration. Never tried again.
    Permanent,
    /// NATS, SQS or the platform failed, not the work. Tried again, and not counted as an attempt.
    Infrastructure,
    /// The job was cancelled by request. Never tried again.
    Cancelled,
    /// The work panicked. Rust's runtime exits so by itself; it is tried again like [`Exit::Failed`].
    Panic,
    /// The attempt took longer than its timeout and was stopped. Tried again like [`Exit::Failed`].
    Timeout,
    /// Somebody stopped this program (SIGTERM). Kubernetes knows why and whether to try again.
    Stopped,
}

impl Exit {
    /// Every exit, in the order of its code.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Permanent,
        Self::Infrastructure,
        Self::Cancelled,
        Self::Panic,
        Self::Timeout,
        Self::Stopped,
    ];

    /// The number that the operating system is told.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Permanent => 65,
            Self::Infrastructure => 75,
            Self::Cancelled => 86,
            Self::Panic => 101,
            Self::Timeout => 124,
            Self::Stopped => 143,
        }
    }

    /// What the code means, in the words of the README's table.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or nothing to do",
            Self::Failed => "failed; tried again while attempts are left",
            Self::Permanent => "failed for good; never tried again",
            Self::Infrastructure => "infrastructure failed; tried again, not counted",
            Self::Cancelled => "cancelled by request",
            Self::Panic => "panicked; tried again while attempts are left",
            Self::Timeout => "took longer than its timeout; tried again while attempts are left",
            Self::Stopped => "stopped by SIGTERM; Kubernetes knows why",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_readme_shows_this_table() {
        let readme = include_str!("../README.md");
        let shown: Vec<(u8, &str)> = readme
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| ")?.split(" | ");
                let code = cells.next()?.parse().ok()?;
                Some((code, cells.next()?.trim_end_matches(" |")))
            })
            .collect();
        let real: Vec<(u8, &str)> = Exit::ALL.iter().map(|exit| (exit.code(), exit.meaning())).collect();
        assert_eq!(shown, real);
    }
}
