//! The message on SQS that carries a run.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::error::{Code, Fault};
use super::id::valid_label;
use super::json::Json;
use super::object::{Object, label_form};
use super::time::Time;
use super::words::TaskSource;
use super::{
    MAX_ENVELOPE_BYTES, MAX_PAYLOAD_BYTES, MAX_RUN, MAX_SUBMITTER, MAX_TAG, MAX_TAGS, MAX_TASK_BYTES,
    MAX_TIMEOUT_SECONDS, TASK_VERSION, id,
};

/// What one run of a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The job.
    pub job_id: String,
    /// Which sending of the job, from 1.
    pub run: i64,
    /// The job's type.
    pub job_type: String,
    /// The queue.
    pub queue: String,
    /// One JSON value byte for byte; any bytes at all where `foreign` is set.
    pub payload: Vec<u8>,
    /// The payload is any bytes; on the wire it is `payloadBase64`.
    pub foreign: bool,
    /// When the job was submitted, the same in every run.
    pub submitted_at: Time,
    /// Who submitted it.
    pub submitter: String,
    /// Who made this run.
    pub source: TaskSource,
    /// The schedule that made it, or empty.
    pub schedule: String,
    /// The tick that made it.
    pub scheduled_for: Option<Time>,
    /// It was sent with a delay until then.
    pub not_before: Option<Time>,
    /// The timeout of each attempt; none: the type's.
    pub timeout_seconds: Option<i64>,
    /// The user's words for it.
    pub tags: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    v: i64,
    job_id: &'a str,
    run: i64,
    r#type: &'a str,
    queue: &'a str,
    submitted_at: Time,
    submitter: &'a str,
    source: TaskSource,
    #[serde(skip_serializing_if = "str::is_empty")]
    schedule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_for: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

impl Task {
    /// Reads an envelope. Unknown fields are dropped; every fault has a code.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut o = Object::open(bytes, MAX_ENVELOPE_BYTES)?;
        o.version(TASK_VERSION);
        let sources = "api, schedule, requeue, rerun, recovery or foreign";
        let mut task = Self {
            job_id: o.job_id("jobId", true),
            run: o.integer("run", true, 1, MAX_RUN),
            job_type: o.token("type", true),
            queue: o.token("queue", true),
            payload: Vec::new(),
            foreign: false,
            submitted_at: o.time("submittedAt", true).unwrap_or(Time::at_milli(0)),
            submitter: o.label("submitter", true, MAX_SUBMITTER),
            source: o
                .word("source", true, TaskSource::parse, sources)
                .unwrap_or(TaskSource::Foreign),
            schedule: o.token("schedule", false),
            scheduled_for: o.time("scheduledFor", false),
            not_before: o.time("notBefore", false),
            timeout_seconds: None,
            tags: o.words("tags", MAX_TAGS, |tag| valid_label(tag, MAX_TAG), &label_form(MAX_TAG)),
        };
        task.timeout_seconds = o.optional_integer("timeoutSeconds", 1, MAX_TIMEOUT_SECONDS);
        task.read_payload(&mut o, bytes.len());
        o.finish().map(|()| task)
    }

    fn read_payload(&mut self, o: &mut Object, size: usize) {
        let raw = o.raw("payload"); // null is a payload like any other
        match raw {
            Some(_) if o.has("payloadBase64") => {
                o.fail(
                    Code::InvalidValue,
                    "payloadBase64",
                    "stands beside payload; one of the two",
                );
            }
            _ if o.has("payloadBase64") => {
                self.payload = o.bytes("payloadBase64", true, 0, MAX_PAYLOAD_BYTES).unwrap_or_default();
                self.foreign = true;
            }
            None => o.fail(Code::MissingField, "payload", "is required"),
            Some(_) if size > MAX_TASK_BYTES => {
                o.fail(
                    Code::TooLarge,
                    "",
                    format!("{size} bytes, at most {MAX_TASK_BYTES} are allowed"),
                );
            }
            Some(raw) => self.payload = raw.as_bytes().to_vec(),
        }
    }

    /// Writes the envelope, and refuses one that [`Task::decode`] would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, Fault> {
        let wire = Wire {
            v: TASK_VERSION,
            job_id: &self.job_id,
            run: self.run,
            r#type: &self.job_type,
            queue: &self.queue,
            submitted_at: self.submitted_at,
            submitter: &self.submitter,
            source: self.source,
            schedule: &self.schedule,
            scheduled_for: self.scheduled_for,
            not_before: self.not_before,
            timeout_seconds: self.timeout_seconds,
            tags: &self.tags,
            payload_base64: self.foreign.then(|| STANDARD.encode(&self.payload)),
        };
        let mut bytes = super::error::encoded(&wire)?;
        if !self.foreign {
            if !std::str::from_utf8(&self.payload).is_ok_and(Json::is) {
                // Else `1,"run":2` would add fields of ours.
                return Err(Fault::new(Code::Malformed, "payload", "not one JSON value"));
            }
            // It is spliced in last, since a serializer would rewrite it.
            bytes.pop();
            bytes.extend_from_slice(b",\"payload\":");
            bytes.extend_from_slice(&self.payload);
            bytes.push(b'}');
        }
        Self::decode(&bytes).map(|_| bytes)
    }

    /// The task of a message that is not our envelope.
    pub fn of_foreign(queue: &str, job_type: &str, message_id: &str, body: &[u8], sent: Time) -> Self {
        Self {
            job_id: id::foreign_id(queue, message_id),
            run: 1,
            job_type: job_type.to_owned(),
            queue: queue.to_owned(),
            payload: body.to_vec(),
            foreign: true,
            submitted_at: sent,
            submitter: "sqs".to_owned(),
            source: TaskSource::Foreign,
            schedule: String::new(),
            scheduled_for: None,
            not_before: None,
            timeout_seconds: None,
            tags: Vec::new(),
        }
    }
}
