//! The last word to Kubernetes: the container's termination message, from which the bridge records and says what
//! could not be recorded or said.

use std::io;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::contract::unit::Ending;
use crate::contract::{Json, Outcome, Reason, UnitRecord, text};
use crate::regular;

/// Kubernetes keeps no more of it.
const LIMIT: usize = 4096;
const MESSAGE_LIMIT: usize = 1024;

/// How this container ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was decided here.
    #[default]
    None,
    /// This attempt failed; others may follow.
    AttemptFailed,
    /// The run ended.
    Run(Outcome),
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::AttemptFailed => serializer.serialize_str("attempt-failed"),
            Self::Run(outcome) => outcome.serialize(serializer),
        }
    }
}

/// What the bridge reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    v: u8,
    unit: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    job_id: String,
    #[serde(skip_serializing_if = "is_zero")]
    run: i64,
    #[serde(skip_serializing_if = "is_zero")]
    attempt: i64,
    outcome: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    recorded: bool,
    #[serde(skip_serializing_if = "is_zero")]
    duration_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Json>,
}

// Serde hands every field over by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Termination {
    /// Nothing was decided, and why.
    pub fn none(unit: &str, message: impl Into<String>) -> Self {
        Self {
            v: 1,
            unit: unit.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// The same, of an attempt.
    #[must_use]
    pub fn of(mut self, record: &UnitRecord, attempt: i64) -> Self {
        self.job_id.clone_from(&record.job_id);
        self.run = record.run;
        self.attempt = attempt;
        self
    }

    /// How it ended, and whether NATS has it in the unit's record.
    #[must_use]
    pub fn ended(mut self, verdict: Verdict, ending: &Ending, recorded: bool) -> Self {
        self.outcome = verdict;
        self.attempt = ending.attempt;
        self.reason = ending.reason;
        self.exit_code = ending.exit_code;
        self.message.clone_from(&ending.message);
        self.recorded = recorded;
        self.duration_ms = ending.duration_ms;
        self.result.clone_from(&ending.result);
        self
    }

    /// An outcome that the record had already.
    #[must_use]
    pub const fn recorded(mut self, outcome: Option<Outcome>) -> Self {
        if let Some(outcome) = outcome {
            self.outcome = Verdict::Run(outcome);
            self.recorded = true;
        }
        self
    }

    /// Writes it; the result goes in only if it fits.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        regular::write(path, &self.fitted())
    }

    fn fitted(&self) -> Vec<u8> {
        let mut short = self.clone();
        short.message = text::cut(&short.message, MESSAGE_LIMIT);
        loop {
            // What cannot be serialized is a defect, and an empty message says no less than a half one.
            let bytes = serde_json::to_vec(&short).unwrap_or_default();
            if bytes.len() <= LIMIT || (short.result.is_none() && short.message.is_empty()) {
                return bytes;
            }
            // Escapes can make a short message long, so it may have to go too.
            if short.result.take().is_none() {
                short.message = text::cut(&short.message, short.message.len() / 2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(message: &str, result: Option<Json>) -> Ending {
        Ending {
            outcome: Outcome::Succeeded,
            attempt: 2,
            reason: None,
            exit_code: Some(0),
            message: message.to_owned(),
            tail: String::new(),
            result,
            duration_ms: 12,
        }
    }

    #[test]
    fn it_is_as_the_bridge_reads_it() {
        let verdict = Verdict::Run(Outcome::Succeeded);
        let said = Termination::none("u", "").ended(verdict, &ending("", Json::parse(r#"{"a":1}"#)), true);
        let want = r#"{"v":1,"unit":"u","attempt":2,"outcome":"succeeded","exitCode":0,"recorded":true,"durationMs":12,"result":{"a":1}}"#;
        assert_eq!(String::from_utf8(said.fitted()).unwrap(), want);
        let none = Termination::none("u", "nothing to do").fitted();
        assert_eq!(
            none,
            br#"{"v":1,"unit":"u","outcome":"none","message":"nothing to do","recorded":false}"#
        );
    }

    #[test]
    fn it_always_fits() {
        for (message, result) in [
            ("x".repeat(9000), 4000),
            ("\u{1}".repeat(9000), 4000),
            (String::new(), 4000),
        ] {
            let result = Some(Json::string(&"r".repeat(result)));
            let said = Termination::none("u", "").ended(Verdict::AttemptFailed, &ending(&message, result), false);
            let bytes = said.fitted();
            assert!(bytes.len() <= LIMIT, "{}", bytes.len());
            assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
    }
}
