//! What the fuzz targets in `bin/` hold the processor's decoding to, whatever the bytes: it never panics, what it
//! accepts it writes and reads again as the same, and it is bounded (the script `run` limits time and memory).
//!
//! | target | what it feeds |
//! |---|---|
//! | `task`, `event`, `unit`, `run` | the four messages of the contract |
//! | `foreign` | a body that is no envelope, as a task |
//! | `config` | queues and job types |
//! | `payload` | the fields of a built-in type's payload |
//! | `csv`, `ndjson` | a file that `process-data` profiles |
//!
//! `processor` compiles the modules that decode, from where they are. The crate itself would bring the SDK of SQS and the
//! client of NATS, and make coverage-counted builds of both: minutes instead of seconds.

use std::cell::Cell;
use std::fmt::Debug;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

pub use processor::{contract, exit, regular, work};

use contract::config::Queue;
use contract::id::valid_token;
use contract::{Fault, Json, Task, Time};
use work::attempt::Attempt;
use work::clock::Clock;
use work::failure::Failure;
use work::fields::Fields;
use work::progress::Progress;
use work::{World, calendar, outcome, process_data};

#[path = "../../src"]
mod processor {
    pub mod contract;
    pub mod exit;
    pub mod regular;
    pub mod work;
}

/// The most that the words of a fault add to a name that the sender chose.
const WORDS: usize = 1024;

/// A message that is accepted is within its limit, and is written and read again as the same, in the same bytes.
pub fn stays<T: PartialEq + Debug>(
    bytes: &[u8],
    limit: usize,
    decode: fn(&[u8]) -> Result<T, Fault>,
    encode: fn(&T) -> Result<Vec<u8>, Fault>,
) {
    let value = match decode(bytes) {
        Ok(value) => value,
        Err(fault) => return short(&fault.to_string(), bytes),
    };
    assert!(bytes.len() <= limit, "{} bytes are accepted", bytes.len());
    let once = encode(&value).expect("what is accepted can be written");
    assert_eq!(decode(&once).as_ref(), Ok(&value), "read again");
    assert_eq!(encode(&value), Ok(once), "written again");
}

fn short(fault: &str, bytes: &[u8]) {
    assert!(fault.len() <= bytes.len() + WORDS, "a fault of {} bytes", fault.len());
}

/// Any body is a task's payload, byte for byte, unless it is too large.
pub fn foreign(body: &[u8]) {
    let task = Task::of_foreign("default", "process-data", "message", body, Time::at_milli(1));
    match task.encode() {
        Ok(envelope) => assert_eq!(Task::decode(&envelope), Ok(task)),
        Err(fault) => assert!(body.len() > contract::MAX_PAYLOAD_BYTES, "{fault}"),
    }
}

/// A queue that is accepted has a default type, sound names and times that pass.
pub fn config(bytes: &[u8]) {
    let queue = match Queue::decode(bytes, "default") {
        Ok(queue) => queue,
        Err(fault) => return short(&fault, &[bytes, bytes].concat()),
    };
    let usual = queue.job_type(queue.default_type()).expect("a default type");
    assert!(valid_token(&usual.name) && queue.name == "default");
    assert!(queue.visibility() > Duration::ZERO && queue.timeout(usual) > Duration::ZERO);
}

/// Takes a payload's fields as handlers do. A fault never quotes a value, so it is no longer than the names in it.
pub fn payload(bytes: &[u8]) {
    let taken = Fields::parse(bytes).and_then(|mut fields| {
        let records = fields.whole("records", 1..=9)?;
        assert!(records.is_none_or(|records| (1..=9).contains(&records)));
        fields.take::<f64>("failureRate", "a number")?;
        if let Some(moment) = fields.text("ts")?.as_deref().and_then(calendar::moment) {
            assert!(moment.nanos.abs() < i128::from(u64::MAX) * 1_000_000_000);
        }
        fields.finish(&["records", "failureRate", "ts"])
    });
    if let Err(failure) = taken {
        short(&failure.to_string(), bytes);
    }
}

/// A file in the store of data, which one process profiles again and again.
pub struct Table {
    folder: PathBuf,
    name: &'static str,
    file: File,
}

impl Table {
    /// The file of that name, whose extension is its format.
    pub fn named(name: &'static str) -> Self {
        let folder = std::env::temp_dir().join(format!("tallyman-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the table");
        let file = File::create(folder.join(name)).expect("a table");
        Self { folder, name, file }
    }

    /// Any bytes have a profile, one that fits into a result, or never will have one.
    pub fn profiled(&self, bytes: &[u8]) {
        // The file stays open: one that is made anew each time reaches the disk each time, a hundred times slower.
        let cut = self.file.set_len(bytes.len() as u64);
        cut.and_then(|()| self.file.write_all_at(bytes, 0))
            .expect("the table is written");
        let clock = Stopped::default();
        let mut world = World {
            out: &mut std::io::sink(),
            clock: &clock,
            entropy: || Ok(1),
            progress: Progress::to(None, &clock),
        };
        let attempt = Attempt {
            data_dir: Some(self.folder.clone()),
            ..Attempt::default()
        };
        let payload = format!(r#"{{"source":"{}"}}"#, self.name);
        let profile = match process_data::work(&attempt, payload.as_bytes(), &mut world) {
            Ok(profile) => profile,
            Err(Failure::Permanent(reason)) => return short(&reason, &[]),
            Err(Failure::Retryable(reason)) => panic!("another attempt would read the same: {reason}"),
        };
        let json = std::str::from_utf8(profile.json()).expect("UTF-8");
        assert!(Json::is(json) && json.len() <= outcome::LIMIT, "{json}");
    }
}

/// A clock that moves only when somebody sleeps on it.
#[derive(Default)]
struct Stopped(Cell<Duration>);

impl Clock for Stopped {
    fn elapsed(&self) -> Duration {
        self.0.get()
    }

    fn sleep(&self, pause: Duration) {
        self.0.set(self.0.get() + pause);
    }
}
