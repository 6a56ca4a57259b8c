//! The claim, seen from the unit: `<queue>.unit.<unit>` in the bucket `claims`.

use serde::Serialize;

use super::error::{Fault, encoded};
use super::event::{base64, is_zero};
use super::id::valid_token;
use super::json::Json;
use super::object::{Object, TOKEN};
use super::time::Time;
use super::words::{Outcome, Reason, UnitState};
use super::{
    CLAIM_VERSION, HIGHEST_ATTEMPT, MAX_ATTEMPTS, MAX_DURATION_MS, MAX_ENVELOPE_BYTES, MAX_MESSAGE_BYTES,
    MAX_NAME_BYTES, MAX_RECEIPT_BYTES, MAX_RECORD_BYTES, MAX_RESULT_BYTES, MAX_RUN, MAX_SUBMITTER, MAX_TAIL_BYTES,
    text,
};

/// The claim of a unit. It carries the whole task, so a retry pod never receives from SQS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitRecord {
    v: i64,
    /// How far it has come.
    pub state: UnitState,
    /// The unit's UID.
    pub unit: String,
    /// The queue.
    pub queue: String,
    /// The job.
    pub job_id: String,
    /// The run.
    pub run: i64,
    /// The job's type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// When the job was submitted.
    pub submitted_at: Time,
    /// The envelope; absent in a stub.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "base64")]
    pub task: Option<Vec<u8>>,
    /// SQS's handle of the message, so that whoever resumes can delete it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub receipt: String,
    /// SQS's id of the message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message_id: String,
    /// The cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name of the Kubernetes Job.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// UIDs of the pods, in order; attempt n is index n-1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<String>,
    /// Somebody asked for its end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// How the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The attempt that ended it; 0 where none was numbered.
    #[serde(skip_serializing_if = "is_zero")]
    pub outcome_attempt: i64,
    /// Why it ended badly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The exit code of the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// One or two sentences for a person.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The last lines of the output.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tail: String,
    /// What the work left behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// How long the attempt worked.
    #[serde(skip_serializing_if = "is_zero")]
    pub duration_ms: i64,
    /// When the outcome was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Time>,
    /// Its outcome is on the stream.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub said: bool,
}

/// How a run ended, as its record keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// In which attempt; 0 where none was numbered.
    pub attempt: i64,
    /// Why, where it ended badly.
    pub reason: Option<Reason>,
    /// The exit code of the work.
    pub exit_code: Option<i64>,
    /// One or two sentences for a person.
    pub message: String,
    /// The last lines of the output.
    pub tail: String,
    /// What the work left behind.
    pub result: Option<Json>,
    /// How long the attempt worked.
    pub duration_ms: i64,
}

impl UnitRecord {
    /// The record of a message that was received: nobody owns its run yet.
    pub fn intent(unit: &str, task: &super::Task, envelope: Vec<u8>) -> Self {
        Self {
            v: CLAIM_VERSION,
            state: UnitState::Intent,
            unit: unit.to_owned(),
            queue: task.queue.clone(),
            job_id: task.job_id.clone(),
            run: task.run,
            job_type: task.job_type.clone(),
            submitted_at: task.submitted_at,
            task: Some(envelope),
            receipt: String::new(),
            message_id: String::new(),
            cluster: String::new(),
            namespace: String::new(),
            name: String::new(),
            attempts: Vec::new(),
            cancel_requested: false,
            outcome: None,
            outcome_attempt: 0,
            reason: None,
            exit_code: None,
            message: String::new(),
            tail: String::new(),
            result: None,
            duration_ms: 0,
            closed_at: None,
            said: false,
        }
    }

    /// Reads a unit's record.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut o = Object::open(bytes, MAX_RECORD_BYTES)?;
        o.version(CLAIM_VERSION);
        let state = o.word("state", true, UnitState::parse, "intent, owned or closed");
        let mut unit = Self {
            v: CLAIM_VERSION,
            state: state.unwrap_or(UnitState::Intent),
            unit: o.token("unit", true),
            queue: o.token("queue", true),
            job_id: o.job_id("jobId", true),
            run: o.integer("run", true, 1, MAX_RUN),
            job_type: o.token("type", true),
            submitted_at: o.time("submittedAt", true).unwrap_or(Time::at_milli(0)),
            task: None,
            receipt: o.text("receipt", false, MAX_RECEIPT_BYTES),
            message_id: o.label("messageId", false, MAX_SUBMITTER),
            cluster: o.label("cluster", false, MAX_NAME_BYTES),
            namespace: o.label("namespace", false, MAX_NAME_BYTES),
            name: o.label("name", false, MAX_NAME_BYTES),
            attempts: o.words("attempts", MAX_ATTEMPTS + 1, valid_token, TOKEN),
            cancel_requested: o.boolean("cancelRequested"),
            outcome: None,
            outcome_attempt: 0,
            reason: None,
            exit_code: None,
            message: String::new(),
            tail: String::new(),
            result: None,
            duration_ms: 0,
            closed_at: None,
            said: false,
        };
        let open = o.sound() && unit.state != UnitState::Closed;
        unit.task = o.bytes("task", open, 1, MAX_ENVELOPE_BYTES);
        unit.read_outcome(&mut o);
        o.finish().map(|()| unit)
    }

    fn read_outcome(&mut self, o: &mut Object) {
        let closed = o.sound() && self.state == UnitState::Closed;
        if !closed {
            for key in ["outcome", "closedAt", "said"] {
                o.absent(key, "only a closed record has one");
            }
        }
        self.outcome = o.word("outcome", closed, Outcome::parse, "succeeded, failed or cancelled");
        self.outcome_attempt = o
            .optional_integer("outcomeAttempt", 0, HIGHEST_ATTEMPT)
            .unwrap_or_default();
        let failed = closed && self.outcome == Some(Outcome::Failed);
        self.reason = o.word("reason", failed, Reason::parse, "of the closed set of reasons");
        self.exit_code = o.optional_integer("exitCode", 0, 255);
        self.message = o.text("message", false, MAX_MESSAGE_BYTES);
        self.tail = o.text("tail", false, MAX_TAIL_BYTES);
        self.result = o.json("result", MAX_RESULT_BYTES);
        self.duration_ms = o.optional_integer("durationMs", 0, MAX_DURATION_MS).unwrap_or_default();
        self.closed_at = o.time("closedAt", closed);
        self.said = o.boolean("said");
    }

    /// Writes the record, its texts cut to their limits, and refuses one that [`UnitRecord::decode`] would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, Fault> {
        let bytes = encoded(self)?;
        Self::decode(&bytes).map(|_| bytes)
    }

    /// The record closed: no work may start any more.
    #[must_use]
    pub fn closed(&self, ending: &Ending, now: Time) -> Self {
        Self {
            state: UnitState::Closed,
            outcome: Some(ending.outcome),
            outcome_attempt: ending.attempt,
            reason: ending.reason,
            exit_code: ending.exit_code,
            message: text::cut(&ending.message, MAX_MESSAGE_BYTES),
            tail: text::cut_tail(&ending.tail, MAX_TAIL_BYTES).to_owned(),
            result: ending.result.clone(),
            duration_ms: ending.duration_ms,
            closed_at: Some(now),
            said: false,
            ..self.clone()
        }
    }

    /// The number of a pod's attempt; 0 where it has none.
    pub fn attempt_of(&self, pod: &str) -> i64 {
        let index = self.attempts.iter().position(|uid| uid == pod);
        index.map_or(0, |i| number(i + 1))
    }

    /// The number of the newest attempt; 0 where there is none.
    pub fn newest_attempt(&self) -> i64 {
        number(self.attempts.len())
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
