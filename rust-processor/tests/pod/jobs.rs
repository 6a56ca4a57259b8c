//! What is sent, and the job types that it finds.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::world::{QUEUE, SUBMITTED_AT};

pub const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The queue, with its types.
pub fn configuration(visibility: &str) -> Value {
    // The payload of a shell job is a JSON string without escapes: its command.
    let shell = r#"s=$(cat); s=${s#\"}; eval "${s%\"}""#;
    json!({ "queues": [{ "name": QUEUE, "visibility": visibility, "timeout": "50s", "types": [
        { "name": "sh", "command": ["sh", "-c", shell] },
        { "name": "process-data" },
        { "name": "absent", "command": ["/nowhere/at/all"] },
        { "name": "quick", "command": ["sh", "-c", shell], "timeout": "300ms" },
    ] }] })
}

/// An envelope, and its job's id.
pub fn task(kind: &str, payload: &Value) -> (String, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let job = format!("01997d6c-5a80-7c3e-9f2a-{number:012x}");
    let task = json!({ "v": 1, "jobId": job, "run": 1, "type": kind, "queue": QUEUE, "submittedAt": SUBMITTED_AT,
        "submitter": "me", "source": "api", "payload": payload });
    (job, task.to_string())
}

/// A shell job.
pub fn shell(command: &str) -> (String, String) {
    assert!(
        !command.contains(['"', '\\']),
        "the command must need no escapes in JSON"
    );
    task("sh", &command.into())
}
