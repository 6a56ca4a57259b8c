//! How the child ended, judged. Pure: what is done about it is `run`'s affair.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::output::Printed;
use super::watch::Order;
use crate::contract::unit::Ending;
use crate::contract::{Json, Outcome, Reason};
use crate::exit::Exit;

/// What ended the work.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// It exited by itself, or was killed by somebody else.
    Exited(ExitStatus),
    /// Somebody wrote the unit's record.
    Ordered(Order),
    /// It took longer than this.
    TimedOut(Duration),
    /// This program was told to stop.
    Stopped,
}

/// What the attempt comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It ends its run: succeeded, failed for good, or cancelled.
    Worked(Ending),
    /// It failed, and others may follow.
    Failed(Exit, Ending),
    /// The run ended elsewhere, so, or a newer attempt exists. There is nothing to say.
    Void(Option<Outcome>),
    /// Kubernetes stopped it, and knows why.
    Stopped,
}

impl Attempt {
    /// The work can never be started.
    pub fn impossible(message: String) -> Self {
        Self::Worked(Ending {
            message,
            ..ending(Outcome::Failed, Some(Reason::AppError), None)
        })
    }

    /// Somebody asked for its end.
    pub fn cancelled(worked: Option<(&Printed, Duration)>) -> Self {
        let mut ending = ending(Outcome::Cancelled, Some(Reason::Cancelled), None);
        "cancelled by request".clone_into(&mut ending.message);
        if let Some((printed, duration)) = worked {
            ending.tail = printed.tail();
            ending.duration_ms = millis(duration);
        }
        Self::Worked(ending)
    }
}

/// Judges an end. `builtin` tells whether the work is a type of our own, whose panics we know.
pub fn judge(
    end: End,
    builtin: bool,
    printed: &Printed,
    left: Result<Option<Json>, String>,
    duration: Duration,
) -> Attempt {
    let status = match end {
        End::Exited(status) => status,
        End::TimedOut(limit) => {
            let mut ending = ending(
                Outcome::Failed,
                Some(Reason::Timeout),
                Some(Exit::Timeout.code().into()),
            );
            ending.message = format!("stopped after its timeout of {} s", limit.as_secs_f64());
            return Attempt::Failed(Exit::Timeout, with(ending, printed, duration));
        }
        End::Ordered(Order::Cancel) => return Attempt::cancelled(Some((printed, duration))),
        End::Ordered(Order::Closed(outcome)) => return Attempt::Void(Some(outcome)),
        End::Ordered(Order::Superseded) => return Attempt::Void(None),
        End::Stopped => return Attempt::Stopped,
    };
    // A signal is told as a shell does.
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let code = code.clamp(0, 255);
    let failed = |exit, reason, outcome_of_run| {
        let mut ending = ending(Outcome::Failed, Some(reason), Some(code.into()));
        ending.message = why(status, printed);
        let ending = with(ending, printed, duration);
        if outcome_of_run {
            Attempt::Worked(ending)
        } else {
            Attempt::Failed(exit, ending)
        }
    };
    match code {
        0 => match left {
            Ok(result) => {
                let mut ending = ending(Outcome::Succeeded, None, Some(0));
                ending.result = result;
                Attempt::Worked(with(ending, printed, duration))
            }
            Err(message) => {
                let ending = Ending {
                    message,
                    ..ending(Outcome::Failed, Some(Reason::AppError), Some(0))
                };
                Attempt::Worked(with(ending, printed, duration))
            }
        },
        65 => failed(Exit::Permanent, Reason::AppError, true),
        101 if builtin => failed(Exit::Panic, Reason::Panic, false),
        _ => failed(Exit::Failed, Reason::AppExit, false),
    }
}

/// The last line that it said on stderr, else how it exited.
fn why(status: ExitStatus, printed: &Printed) -> String {
    let said = printed.last_words();
    match (said.is_empty(), status.signal()) {
        (false, _) => said,
        (true, Some(signal)) => format!("killed by signal {signal}"),
        (true, None) => format!("exited with code {}", status.code().unwrap_or_default()),
    }
}

fn ending(outcome: Outcome, reason: Option<Reason>, exit_code: Option<i64>) -> Ending {
    Ending {
        outcome,
        attempt: 0,
        reason,
        exit_code,
        message: String::new(),
        tail: String::new(),
        result: None,
        duration_ms: 0,
    }
}

fn with(mut ending: Ending, printed: &Printed, duration: Duration) -> Ending {
    if ending.outcome == Outcome::Failed {
        ending.tail = printed.tail();
    }
    ending.duration_ms = millis(duration);
    ending
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(raw_status: i32, builtin: bool) -> (Option<u8>, Option<Reason>, Option<i64>) {
        let status = ExitStatus::from_raw(raw_status);
        let attempt = judge(
            End::Exited(status),
            builtin,
            &Printed::default(),
            Ok(None),
            Duration::from_secs(1),
        );
        match attempt {
            Attempt::Worked(ending) => (None, ending.reason, ending.exit_code),
            Attempt::Failed(exit, ending) => (Some(exit.code()), ending.reason, ending.exit_code),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn codes_of_the_child() {
        let exit = |code: i32| code << 8;
        assert_eq!(judged(exit(0), false), (None, None, Some(0)));
        assert_eq!(judged(exit(65), false), (None, Some(Reason::AppError), Some(65)));
        assert_eq!(judged(exit(1), true), (Some(1), Some(Reason::AppExit), Some(1)));
        assert_eq!(judged(exit(1), false), (Some(1), Some(Reason::AppExit), Some(1)));
        assert_eq!(judged(exit(101), true), (Some(101), Some(Reason::Panic), Some(101)));
        assert_eq!(judged(exit(101), false), (Some(1), Some(Reason::AppExit), Some(101)));
        for code in [2, 64, 75, 86, 124, 143, 255] {
            assert_eq!(
                judged(exit(code), true),
                (Some(1), Some(Reason::AppExit), Some(code.into()))
            );
        }
        assert_eq!(judged(9, false), (Some(1), Some(Reason::AppExit), Some(137)));
    }
}
