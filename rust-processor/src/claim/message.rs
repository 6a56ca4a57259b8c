//! What a message on SQS is to us.

use std::time::Duration;

use crate::contract::config::Queue;
use crate::contract::{Code, MAX_MESSAGE_BYTES, Task, text};
use crate::queue::Received;

/// How long an envelope of an unknown version is hidden: a roll-out may be under way, and a newer pod can read it.
pub(super) const NOT_YET: Duration = Duration::from_mins(1);

/// A message, sorted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sorted {
    /// A task, with its envelope's bytes.
    Task(Box<Task>, Vec<u8>),
    /// An envelope of an unknown version.
    NotYet,
    /// It can never be read, or is too large.
    Never(String),
}

/// Sorts a message. It is our envelope if and only if it has our attribute; any other is a job of the default type.
pub(super) fn sort(received: &Received, queue: &Queue) -> Sorted {
    if received.is_envelope() {
        return envelope(received.body.as_bytes(), &queue.name);
    }
    let (name, body) = (&queue.name, received.body.as_bytes());
    let task = Task::of_foreign(name, queue.default_type(), &received.message_id, body, received.sent);
    match task.encode() {
        Ok(envelope) => Sorted::Task(Box::new(task), envelope),
        Err(fault) => Sorted::Never(fault.to_string()),
    }
}

fn envelope(body: &[u8], queue: &str) -> Sorted {
    match Task::decode(body) {
        Ok(task) if task.queue != queue => {
            // Its records would stand under the keys of a queue whose books are none of ours.
            Sorted::Never(format!(
                "invalid_value: queue: is {:?}, but it was received from {queue:?}",
                task.queue
            ))
        }
        Ok(task) => Sorted::Task(Box::new(task), body.to_vec()),
        Err(fault) if fault.code == Code::UnknownVersion => Sorted::NotYet,
        Err(fault) => Sorted::Never(fault.to_string()),
    }
}

/// What a person gets to see of a message where there is no dead-letter queue to keep it.
pub(super) fn with_head(fault: &str, body: &str) -> String {
    text::cut(&format!("{fault}; it began: {body}"), MAX_MESSAGE_BYTES)
}
