//! Who owns a run: `<queue>.run.<jobId>.<run>` in the bucket `claims`.

use serde::Serialize;

use super::error::{Fault, encoded};
use super::object::Object;
use super::time::Time;
use super::words::{Outcome, Reason};
use super::{CLAIM_VERSION, MAX_RECORD_BYTES, MAX_RUN};

/// It alone says who owns the run: a unit, or nobody ever (a tombstone, with the outcome that it stands for).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunRecord {
    v: i64,
    /// A unit; empty for a tombstone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Nobody will ever own the run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tombstone: bool,
    /// Of a tombstone: cancelled, failed, or none where only `next` is to be held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When the tombstone was set: the time of its outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// The run's successor, or that there shall be none; absent where nobody has said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// What a run record says of the run's successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There shall be none.
    None,
    /// It is this run.
    Run(i64),
}

impl Next {
    fn parse(word: &str) -> Option<Self> {
        if word == "none" {
            return Some(Self::None);
        }
        let run = word.parse().ok().filter(|run| (2..=MAX_RUN).contains(run))?;
        (run.to_string() == word).then_some(Self::Run(run))
    }
}

impl Serialize for Next {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Run(run) => serializer.collect_str(run),
        }
    }
}

/// No work was done for a tombstone, so it cannot have succeeded.
fn ending_of_a_tombstone(word: &str) -> Option<Outcome> {
    Outcome::parse(word).filter(|outcome| *outcome != Outcome::Succeeded)
}

impl RunRecord {
    /// The record by which a unit owns a run.
    pub fn owned_by(unit: &str) -> Self {
        Self {
            v: CLAIM_VERSION,
            owner: unit.to_owned(),
            tombstone: false,
            outcome: None,
            reason: None,
            at: None,
            next: None,
        }
    }

    /// Reads a run's record.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut o = Object::open(bytes, MAX_RECORD_BYTES)?;
        o.version(CLAIM_VERSION);
        let mut run = Self {
            tombstone: o.boolean("tombstone"),
            ..Self::owned_by("")
        };
        run.read_owner(&mut o);
        run.next = o.word("next", false, Next::parse, "\"none\" or the number of a run");
        o.finish().map(|()| run)
    }

    fn read_owner(&mut self, o: &mut Object) {
        if !self.tombstone {
            for key in ["outcome", "reason", "at"] {
                o.absent(key, "only a tombstone has one");
            }
            self.owner = o.token("owner", true);
            return;
        }
        o.absent("owner", "a tombstone has none");
        self.outcome = o.word("outcome", false, ending_of_a_tombstone, "failed or cancelled");
        let failed = self.outcome == Some(Outcome::Failed);
        self.reason = o.word("reason", failed, Reason::parse, "of the closed set of reasons");
        self.at = o.time("at", true);
    }

    /// Writes the record, and refuses one that [`RunRecord::decode`] would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, Fault> {
        let bytes = encoded(self)?;
        Self::decode(&bytes).map(|_| bytes)
    }
}
