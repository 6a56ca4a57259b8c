//! One fact in a job's life, a `CloudEvent` on the stream.

use serde::{Serialize, Serializer};

use super::error::{Code, Fault, encoded};
use super::json::Json;
use super::object::Object;
use super::time::Time;
use super::words::{Kind, Reason, Source};
use super::{
    HIGHEST_ATTEMPT, MAX_DURATION_MS, MAX_ENVELOPE_BYTES, MAX_EVENT_BYTES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES,
    MAX_REQUEST, MAX_RESULT_BYTES, MAX_RUN, MAX_TAIL_BYTES, MAX_TOKEN, names, text,
};

const TYPE_PREFIX: &str = "dev.tallyman.job.";
const TYPE_VERSION: &str = ".v1";
const SPEC_VERSION: &str = "1.0";
const CONTENT_TYPE: &str = "application/json";

/// One fact. Kind, job (or unit), run and attempt are its identity, together with its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// Who says so.
    pub source: Source,
    /// When it happened.
    pub time: Time,
    /// The rest.
    pub data: Data,
}

/// What an event says beside its kind, source and time. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// The queue of the job or of the unit.
    pub queue: String,
    /// The job's type; empty for a unit's fact.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub job_type: String,
    /// The job; empty for most facts of a unit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub job_id: String,
    /// The run; 0 for most facts of a unit.
    #[serde(skip_serializing_if = "is_zero")]
    pub run: i64,
    /// The attempt; 0 for a fact of a whole run.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempt: i64,
    /// When the job was submitted: derived ids tell no age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Time>,
    /// `submitted`: the envelope, whole.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "base64")]
    pub task: Option<Vec<u8>>,
    /// The unit's UID.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The pod's UID.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod: String,
    /// The pod's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod_name: String,
    /// The hash of the receipt of the message that a unit's fact speaks of.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub receipt: String,
    /// The cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name of the Kubernetes Job.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The node.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// Why it ended badly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The exit code of the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// One or two sentences for a person.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The last lines of the attempt's output.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tail: String,
    /// What the work left behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// How long the attempt worked.
    #[serde(skip_serializing_if = "is_zero")]
    pub duration_ms: i64,
    /// When the unit's Kubernetes Job was made; only the bridge knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Time>,
    /// What the attempt's pod requests of a processor; 0: nothing, or not known.
    #[serde(skip_serializing_if = "is_zero")]
    pub millicores: i64,
    /// What the attempt's pod requests of memory, likewise.
    #[serde(skip_serializing_if = "is_zero")]
    pub mib: i64,
}

#[derive(Serialize)]
struct Wire<'a> {
    specversion: &'static str,
    id: String,
    source: Source,
    r#type: String,
    subject: &'a str,
    time: Time,
    datacontenttype: &'static str,
    data: &'a Data,
}

// Serde hands every field over by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub(super) const fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[allow(clippy::ref_option)]
pub(super) fn base64<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    use base64::engine::general_purpose::STANDARD;
    let bytes = bytes.as_deref().unwrap_or_default();
    serializer.collect_str(&base64::display::Base64Display::new(bytes, &STANDARD))
}

impl Event {
    /// The derived identity of the fact, the `CloudEvents` id.
    pub fn id(&self) -> String {
        let d = &self.data;
        if self.kind.of_unit() {
            names::hashed_unit_event_id(&d.unit, &d.pod, &d.receipt, self.kind)
        } else {
            names::event_id(&d.job_id, d.run, d.attempt, self.kind)
        }
    }

    /// What `JetStream` sees repeats by.
    pub fn msg_id(&self) -> String {
        names::msg_id(&self.id(), self.source)
    }

    /// Where the event is published.
    pub fn subject(&self) -> String {
        let job_type = if self.kind.of_unit() {
            names::NO_TYPE
        } else {
            &self.data.job_type
        };
        names::event_subject(&self.data.queue, job_type, self.kind, self.about())
    }

    /// The job, or the unit for a unit's fact.
    fn about(&self) -> &str {
        if self.kind.of_unit() {
            &self.data.unit
        } else {
            &self.data.job_id
        }
    }

    /// Writes the event, its texts cut to their limits, and refuses one that [`Event::decode`] would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, Fault> {
        let mut data = self.data.clone();
        data.message = text::cut(&data.message, MAX_MESSAGE_BYTES);
        data.tail = text::cut_tail(&data.tail, MAX_TAIL_BYTES).to_owned();
        let bytes = encoded(&Wire {
            specversion: SPEC_VERSION,
            id: self.id(),
            source: self.source,
            r#type: format!("{TYPE_PREFIX}{}{TYPE_VERSION}", self.kind),
            subject: self.about(),
            time: self.time,
            datacontenttype: CONTENT_TYPE,
            data: &data,
        })?;
        Self::decode(&bytes).map(|_| bytes)
    }

    /// Reads an event. A kind that is not known is of an unknown version.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut o = Object::open(bytes, MAX_EVENT_BYTES)?;
        let kind = read_kind(&mut o); // first: a kind that is not known here may have another shape
        o.constant("specversion", true, SPEC_VERSION);
        let id = o.text("id", true, 512);
        let source = o.word("source", true, Source::parse, "api, scheduler, processor or bridge");
        let subject = o.text("subject", true, MAX_TOKEN);
        let time = o.time("time", true);
        o.constant("datacontenttype", false, CONTENT_TYPE);
        let raw = o.want("data", true).unwrap_or_default();
        o.finish()?;
        let mut d = Object::split(raw, "data.")?;
        let (Some(kind), Some(time), Some(source)) = (kind, time, source) else {
            return Err(Fault::new(Code::Malformed, "", "not an event")); // a fault of theirs was returned above
        };
        let data = Data::read(&mut d, kind);
        d.finish()?;
        let event = Self {
            kind,
            source,
            time,
            data,
        };
        agree("subject", &subject, event.about())?;
        agree("id", &id, &event.id())?;
        Ok(event)
    }
}

fn agree(field: &str, said: &str, derived: &str) -> Result<(), Fault> {
    if said == derived {
        return Ok(());
    }
    let message = format!("is not what the data says: {derived}");
    Err(Fault::new(Code::InvalidValue, field, message))
}

fn read_kind(o: &mut Object) -> Option<Kind> {
    let said = o.text("type", true, 128);
    let name = said
        .strip_prefix(TYPE_PREFIX)
        .and_then(|rest| rest.strip_suffix(TYPE_VERSION));
    let kind = name.and_then(Kind::parse);
    if kind.is_none() {
        let message = format!("{:?} is not known here", text::cut(&said, 80));
        o.fail(Code::UnknownVersion, "type", message);
    }
    kind
}

impl Data {
    fn read(d: &mut Object, kind: Kind) -> Self {
        let unit = kind.of_unit();
        let mut data = Self {
            queue: d.token("queue", true),
            ..Self::default()
        };
        if !unit {
            data.job_type = d.token("type", true);
        }
        data.job_id = d.job_id("jobId", !unit);
        if !unit || d.has("run") {
            data.run = d.integer("run", true, 1, MAX_RUN);
        }
        if unit || kind.of_run() {
            d.absent("attempt", "a fact of a whole run or of a unit has none");
        } else {
            data.attempt = d.integer("attempt", true, 1, HIGHEST_ATTEMPT);
        }
        data.submitted_at = d.time("submittedAt", !unit);
        data.task = d.bytes("task", kind == Kind::Submitted, 1, MAX_ENVELOPE_BYTES);
        data.unit = d.token("unit", unit);
        data.pod = d.token("pod", unit);
        data.pod_name = d.label("podName", false, MAX_NAME_BYTES);
        data.receipt = d.token("receipt", false);
        data.cluster = d.label("cluster", false, MAX_NAME_BYTES);
        data.namespace = d.label("namespace", false, MAX_NAME_BYTES);
        data.name = d.label("name", false, MAX_NAME_BYTES);
        data.node = d.label("node", false, MAX_NAME_BYTES);
        data.made_at = d.time("madeAt", false);
        data.millicores = d.optional_integer("millicores", 0, MAX_REQUEST).unwrap_or_default();
        data.mib = d.optional_integer("mib", 0, MAX_REQUEST).unwrap_or_default();
        data.read_outcome(d, kind);
        data
    }

    fn read_outcome(&mut self, d: &mut Object, kind: Kind) {
        let needed = matches!(kind, Kind::AttemptFailed | Kind::Failed | Kind::ClaimFailed);
        self.reason = d.word("reason", needed, Reason::parse, "of the closed set of reasons");
        self.exit_code = d.optional_integer("exitCode", 0, 255);
        self.message = d.text("message", false, MAX_MESSAGE_BYTES);
        self.tail = d.text("tail", false, MAX_TAIL_BYTES);
        self.result = d.json("result", MAX_RESULT_BYTES);
        self.duration_ms = d.optional_integer("durationMs", 0, MAX_DURATION_MS).unwrap_or_default();
    }
}
