//! Every name on a wire. Nothing else formats one.

use super::id::receipt_hash;
use super::words::{Kind, Source};

/// The bucket of the claim's records.
pub const BUCKET_CLAIMS: &str = "claims";
/// The bucket of the last output of attempts.
pub const BUCKET_OUTPUT: &str = "output";
/// The SQS message attribute that makes a message our envelope.
pub const ATTRIBUTE_VERSION: &str = "tallyman-v";
/// The SQS message attribute with the W3C trace context.
pub const ATTRIBUTE_TRACE_PARENT: &str = "traceparent";
/// The header that `JetStream` sees repeats by.
pub const HEADER_MSG_ID: &str = "Nats-Msg-Id";
/// The header with the W3C trace context.
pub const HEADER_TRACE_PARENT: &str = "traceparent";
/// The header that makes a publish a compare-and-set.
pub const HEADER_EXPECTED_SEQ: &str = "Nats-Expected-Last-Subject-Sequence";
/// The header that names what a message is.
pub const HEADER_CONTENT_TYPE: &str = "Content-Type";
/// What an event is.
pub const CONTENT_TYPE_EVENT: &str = "application/cloudevents+json";
/// Stands for the job type in the subject of a unit's fact.
pub const NO_TYPE: &str = "_";

/// Where an event is published; `last` is the job id, or the unit for a unit's fact.
pub fn event_subject(queue: &str, job_type: &str, kind: Kind, last: &str) -> String {
    format!("jobs.events.{queue}.{job_type}.{kind}.{last}")
}

/// Where the progress of a running job is published; it is not stored.
pub fn progress_subject(queue: &str, job_type: &str, job_id: &str) -> String {
    format!("jobs.progress.{queue}.{job_type}.{job_id}")
}

/// The identity of a job's fact.
pub fn event_id(job_id: &str, run: i64, attempt: i64, kind: Kind) -> String {
    format!("{job_id}/{run}/{attempt}/{kind}")
}

/// The identity of a unit's fact; `receipt` is the handle of the message that it speaks of, or empty.
pub fn unit_event_id(unit: &str, pod: &str, receipt: &str, kind: Kind) -> String {
    if receipt.is_empty() {
        hashed_unit_event_id(unit, pod, "", kind)
    } else {
        hashed_unit_event_id(unit, pod, &receipt_hash(receipt), kind)
    }
}

/// The same, where the receipt is a hash already.
pub fn hashed_unit_event_id(unit: &str, pod: &str, hash: &str, kind: Kind) -> String {
    let hash = if hash.is_empty() { NO_TYPE } else { hash };
    format!("{unit}/{pod}/{hash}/{kind}")
}

/// What `JetStream` sees repeats by: two sources may say the same fact, each once.
pub fn msg_id(id: &str, source: Source) -> String {
    format!("{id}/{source}")
}

/// The key of a unit's record in the bucket `claims`.
pub fn unit_key(queue: &str, unit: &str) -> String {
    format!("{queue}.unit.{unit}")
}

/// The key of a run's record in the bucket `claims`.
pub fn run_key(queue: &str, job_id: &str, run: i64) -> String {
    format!("{queue}.run.{job_id}.{run}")
}

/// The key of an attempt's last output in the bucket `output`.
pub fn output_key(queue: &str, job_id: &str, run: i64, attempt: i64) -> String {
    format!("{queue}.{job_id}.{run}.{attempt}")
}

/// The subject of a key of a bucket.
pub fn bucket_subject(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

/// The stream that holds a bucket.
pub fn bucket_stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}
