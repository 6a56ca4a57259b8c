//! What this program says on the stream, under its own name.

use crate::contract::event::Data;
use crate::contract::unit::Ending;
use crate::contract::{Event, Kind, RunRecord, Source, Task, Time, UnitRecord, id};
use crate::patience::Away;
use crate::settings::Place;
use crate::stream::Stream;

/// Reads the time.
pub type Clock = fn() -> Time;

/// Says events of one unit.
pub struct Voice<'a> {
    stream: Stream,
    place: &'a Place,
    queue: &'a str,
    clock: Clock,
    trace_parent: Option<String>,
}

impl<'a> Voice<'a> {
    /// A voice that speaks for a pod of a queue.
    pub const fn new(stream: Stream, place: &'a Place, queue: &'a str, clock: Clock) -> Self {
        Self {
            stream,
            place,
            queue,
            clock,
            trace_parent: None,
        }
    }

    /// What is said from now on belongs to this trace.
    pub fn trace(&mut self, trace_parent: Option<&str>) {
        self.trace_parent = trace_parent.map(str::to_owned);
    }

    /// The trace that what is said belongs to.
    pub fn trace_parent(&self) -> Option<&str> {
        self.trace_parent.as_deref()
    }

    /// The clock that it speaks by.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The time.
    pub fn now(&self) -> Time {
        (self.clock)()
    }

    /// A foreign message is a job from now on.
    pub async fn submitted(&self, task: &Task, envelope: &[u8]) -> Result<(), Away> {
        let mut data = self.data();
        data.job_id.clone_from(&task.job_id);
        data.run = task.run;
        data.job_type.clone_from(&task.job_type);
        data.submitted_at = Some(task.submitted_at);
        data.task = Some(envelope.to_vec());
        self.say(Kind::Submitted, task.submitted_at, data).await
    }

    /// A fact of an attempt.
    pub async fn of_attempt(&self, kind: Kind, record: &UnitRecord, attempt: i64) -> Result<(), Away> {
        let mut data = self.of_job(record);
        data.attempt = attempt;
        self.say(kind, self.now(), data).await
    }

    /// How an attempt ended.
    pub async fn ended(&self, kind: Kind, record: &UnitRecord, ending: &Ending, at: Time) -> Result<(), Away> {
        let mut data = self.of_job(record);
        if !kind.of_run() {
            data.attempt = ending.attempt;
        }
        data.reason = ending.reason;
        data.exit_code = ending.exit_code;
        data.message.clone_from(&ending.message);
        data.tail.clone_from(&ending.tail);
        data.result.clone_from(&ending.result);
        data.duration_ms = ending.duration_ms;
        self.say(kind, at, data).await
    }

    /// What the tombstone of a run stands for; a tombstone without an outcome, or another unit's run, is a duplicate.
    pub async fn not_ours(&self, record: &UnitRecord, run: &RunRecord) -> Result<(), Away> {
        let mut data = self.of_job(record);
        if let (true, Some(outcome), Some(at)) = (run.tombstone, run.outcome, run.at) {
            data.reason = run.reason;
            return self.say(outcome.kind(), at, data).await;
        }
        data.job_type.clear();
        data.receipt = id::receipt_hash(&record.receipt);
        self.say(Kind::Duplicate, self.now(), data).await
    }

    /// There was no message.
    pub async fn noop(&self) -> Result<(), Away> {
        self.say(Kind::Noop, self.now(), self.data()).await
    }

    /// There was a message that nobody can read.
    pub async fn rejected(&self, receipt: &str, message: String) -> Result<(), Away> {
        let data = Data {
            receipt: id::receipt_hash(receipt),
            message,
            ..self.data()
        };
        self.say(Kind::Rejected, self.now(), data).await
    }

    async fn say(&self, kind: Kind, time: Time, data: Data) -> Result<(), Away> {
        let event = Event {
            kind,
            source: Source::Processor,
            time,
            data,
        };
        self.stream.say(&event, self.trace_parent.as_deref()).await
    }

    fn of_job(&self, record: &UnitRecord) -> Data {
        Data {
            job_type: record.job_type.clone(),
            job_id: record.job_id.clone(),
            run: record.run,
            submitted_at: Some(record.submitted_at),
            ..self.data()
        }
    }

    fn data(&self) -> Data {
        Data {
            queue: self.queue.to_owned(),
            unit: self.place.unit.clone(),
            pod: self.place.pod.clone(),
            pod_name: self.place.pod_name.clone(),
            cluster: self.place.cluster.clone(),
            namespace: self.place.namespace.clone(),
            name: self.place.unit_name.clone(),
            node: self.place.node.clone(),
            ..Data::default()
        }
    }
}
