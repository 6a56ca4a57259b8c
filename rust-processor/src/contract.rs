//! The words on the wire, the same as in Go's package `contract`.
//!
//! | module | what it is |
//! |---|---|
//! | [`task`] | the message on SQS that carries a run |
//! | [`event`] | one fact in a job's life, a `CloudEvent` on the stream |
//! | [`unit`], [`run`] | the two records of the claim |
//! | [`config`] | queues and job types, as far as the processor needs them |
//! | [`names`] | every subject, key and header; nothing else formats one |
//! | [`id`] | ids that are derived, and what may be one |
//! | [`words`] | the closed sets: kinds of events, outcomes, reasons, sources |
//! | [`time`], [`text`], [`json`] | timestamps with one spelling, texts cut to a limit, JSON kept byte for byte |
//! | [`error`] | what can be wrong with bytes: a closed set of codes |
//! | [`object`] | decoding that Go and Rust agree on, byte for byte |
//!
//! The vectors in `contract/testdata` hold both languages to it; `tests/contract.rs` enumerates them.

pub mod config;
pub mod error;
pub mod event;
pub mod id;
pub mod json;
pub mod names;
pub mod object;
pub mod run;
pub mod task;
pub mod text;
pub mod time;
pub mod unit;
pub mod words;

pub use error::{Code, Fault};
pub use event::Event;
pub use json::Json;
pub use run::RunRecord;
pub use task::Task;
pub use time::Time;
pub use unit::UnitRecord;
pub use words::{Kind, Outcome, Reason, Source, TaskSource, UnitState};

/// The largest message that is a task with a JSON payload.
pub const MAX_TASK_BYTES: usize = 256 << 10;
/// The largest envelope: a foreign payload grows by a third in base64.
pub const MAX_ENVELOPE_BYTES: usize = 384 << 10;
/// The largest payload.
pub const MAX_PAYLOAD_BYTES: usize = 256 << 10;
/// The largest number of a run.
pub const MAX_RUN: i64 = 1_000_000;
/// The most tags of a task.
pub const MAX_TAGS: usize = 10;
/// The longest tag.
pub const MAX_TAG: usize = 64;
/// The longest name of a submitter.
pub const MAX_SUBMITTER: usize = 128;
/// The longest timeout of an attempt, in seconds.
pub const MAX_TIMEOUT_SECONDS: i64 = 7 * 24 * 3600;
/// The version of a task's envelope.
pub const TASK_VERSION: i64 = 1;
/// The largest event, which is NATS's own default for a message.
pub const MAX_EVENT_BYTES: usize = 1 << 20;
/// The longest message for a person.
pub const MAX_MESSAGE_BYTES: usize = 1 << 10;
/// The longest tail of an attempt's output in an event.
pub const MAX_TAIL_BYTES: usize = 4 << 10;
/// The largest result.
pub const MAX_RESULT_BYTES: usize = 32 << 10;
/// The most attempts of one unit.
pub const MAX_ATTEMPTS: usize = 32;
/// The highest number of an attempt that a reader lets pass.
pub const HIGHEST_ATTEMPT: i64 = 33;
/// The longest name of something in Kubernetes.
pub const MAX_NAME_BYTES: usize = 253;
/// The largest record of a claim.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// The longest receipt handle.
pub const MAX_RECEIPT_BYTES: usize = 4096;
/// The version of the claim's records.
pub const CLAIM_VERSION: i64 = 1;
/// The most characters of a queue, a type, a unit or a schedule id.
pub const MAX_TOKEN: usize = 64;
/// The deepest nesting in a message, its payload included.
pub const MAX_DEPTH: i64 = 512;
/// The most fields of one object of ours.
pub const MAX_FIELDS: usize = 128;
/// The longest work that a duration can tell, in milliseconds.
pub const MAX_DURATION_MS: i64 = 1 << 40;
/// Of millicores or MiB that a pod requests.
pub const MAX_REQUEST: i64 = 1 << 30;
