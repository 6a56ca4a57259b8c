//! How an attempt fails.

use std::fmt;

use crate::exit::Exit;

/// The longest reason that is said. Reasons may quote what came from outside, which may be long.
const REASON_LIMIT: usize = 1000;

/// Why an attempt failed, and whether another may succeed. Shown as one line, whatever the reason holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No retry can mend it. The reason names the field or the variable at fault.
    Permanent(String),
    /// The next attempt may succeed.
    Retryable(String),
}

impl Failure {
    /// The permanent failure of one named field, knob or variable.
    pub fn of(name: &str, fault: impl fmt::Display) -> Self {
        Self::Permanent(format!("{name}: {fault}"))
    }

    /// The retryable failure of an operation on something outside.
    pub fn while_doing(operation: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self::Retryable(format!("{operation}: {cause}"))
    }

    /// How the program exits.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Permanent(_) => Exit::Permanent,
            Self::Retryable(_) => Exit::Failed,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Permanent(reason) | Self::Retryable(reason)) = self;
        let line: String = reason
            .chars()
            .take(REASON_LIMIT)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        f.write_str(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let failure = Failure::of("target", format!("a\nb\0c{}", "d".repeat(5000)));
        let shown = failure.to_string();
        assert!(shown.starts_with("target: a b cddd"), "{shown}");
        assert_eq!(shown.chars().count(), REASON_LIMIT);
    }
}
