//! Names and ids: one file for each function.

use std::collections::BTreeSet;
use std::fs;

use serde::Deserialize;
use serde_json::{Value, json};
use tallyman_processor::contract::{self, Kind, Reason, Source, Time, id, names};

use super::testdata;

#[derive(Deserialize)]
struct Case {
    input: Value,
    want: Value,
}

impl Case {
    fn s(&self, key: &str) -> &str {
        self.input[key]
            .as_str()
            .unwrap_or_else(|| panic!("no {key} in {}", self.input))
    }

    fn n(&self, key: &str) -> i64 {
        self.input[key]
            .as_i64()
            .unwrap_or_else(|| panic!("no {key} in {}", self.input))
    }

    fn kind(&self) -> Kind {
        Kind::parse(self.s("kind")).unwrap()
    }
}

type Function = fn(&Case) -> Value;

const FUNCTIONS: &[(&str, Function)] = &[
    ("bucket_stream", |c| names::bucket_stream(c.s("bucket")).into()),
    ("bucket_subject", |c| {
        names::bucket_subject(c.s("bucket"), c.s("key")).into()
    }),
    ("constants", |c| constant(c.s("name")).unwrap_or_else(|| c.want.clone())),
    ("event_id", |c| {
        names::event_id(c.s("jobId"), c.n("run"), c.n("attempt"), c.kind()).into()
    }),
    ("event_subject", |c| {
        names::event_subject(c.s("queue"), c.s("jobType"), c.kind(), c.s("last")).into()
    }),
    ("foreign_id", |c| id::foreign_id(c.s("queue"), c.s("messageId")).into()),
    ("msg_id", |c| {
        names::msg_id(c.s("id"), Source::parse(c.s("source")).unwrap()).into()
    }),
    ("output_key", |c| {
        names::output_key(c.s("queue"), c.s("jobId"), c.n("run"), c.n("attempt")).into()
    }),
    ("parse_time", |c| Time::parse(c.s("s")).map(Time::milli).into()),
    ("progress_subject", |c| {
        names::progress_subject(c.s("queue"), c.s("jobType"), c.s("jobId")).into()
    }),
    ("reason_infrastructure", |c| {
        Reason::parse(c.s("reason")).is_some_and(Reason::infrastructure).into()
    }),
    ("reason_rank", |c| {
        Reason::parse(c.s("reason"))
            .map_or(Reason::ALL.len(), Reason::rank)
            .into()
    }),
    ("receipt_hash", |c| id::receipt_hash(c.s("receipt")).into()),
    ("run_key", |c| {
        names::run_key(c.s("queue"), c.s("jobId"), c.n("run")).into()
    }),
    ("unit_event_id", |c| {
        names::unit_event_id(c.s("unit"), c.s("pod"), c.s("receipt"), c.kind()).into()
    }),
    ("unit_key", |c| names::unit_key(c.s("queue"), c.s("unit")).into()),
    ("valid_job_id", |c| id::valid_job_id(c.s("s")).into()),
    ("valid_label", |c| {
        id::valid_label(c.s("s"), usize::try_from(c.n("limit")).unwrap()).into()
    }),
    ("valid_token", |c| id::valid_token(c.s("s")).into()),
];

/// The processor has no use for these: it neither submits nor schedules jobs, reads no ledger, judges no
/// cluster and mirrors no Kubernetes Events.
const OTHERS: [&str; 7] = [
    "cluster_key",
    "job_id_of_key",
    "job_key",
    "key_id",
    "scaling_subject",
    "tick_id",
    "unit_keys",
];

/// Constants by their Go names; none for those that the processor has no use for.
fn constant(name: &str) -> Option<Value> {
    Some(match name {
        "AttributeTraceParent" => names::ATTRIBUTE_TRACE_PARENT.into(),
        "AttributeVersion" => names::ATTRIBUTE_VERSION.into(),
        "BucketClaims" => names::BUCKET_CLAIMS.into(),
        "BucketOutput" => names::BUCKET_OUTPUT.into(),
        "ClaimVersion" => contract::CLAIM_VERSION.into(),
        "ContentTypeEvent" => names::CONTENT_TYPE_EVENT.into(),
        "HeaderContentType" => names::HEADER_CONTENT_TYPE.into(),
        "HeaderExpectedSeq" => names::HEADER_EXPECTED_SEQ.into(),
        "HeaderMsgID" => names::HEADER_MSG_ID.into(),
        "HeaderTraceParent" => names::HEADER_TRACE_PARENT.into(),
        "MaxAttempts" => contract::MAX_ATTEMPTS.into(),
        "MaxDepth" => contract::MAX_DEPTH.into(),
        "MaxDurationMS" => contract::MAX_DURATION_MS.into(),
        "MaxEnvelopeBytes" => contract::MAX_ENVELOPE_BYTES.into(),
        "MaxEventBytes" => contract::MAX_EVENT_BYTES.into(),
        "MaxFields" => contract::MAX_FIELDS.into(),
        "MaxMessageBytes" => contract::MAX_MESSAGE_BYTES.into(),
        "MaxNameBytes" => contract::MAX_NAME_BYTES.into(),
        "MaxPayloadBytes" => contract::MAX_PAYLOAD_BYTES.into(),
        "MaxReceiptBytes" => contract::MAX_RECEIPT_BYTES.into(),
        "MaxRecordBytes" => contract::MAX_RECORD_BYTES.into(),
        "MaxResultBytes" => contract::MAX_RESULT_BYTES.into(),
        "MaxRun" => contract::MAX_RUN.into(),
        "MaxSubmitter" => contract::MAX_SUBMITTER.into(),
        "MaxTag" => contract::MAX_TAG.into(),
        "MaxTags" => contract::MAX_TAGS.into(),
        "MaxTailBytes" => contract::MAX_TAIL_BYTES.into(),
        "MaxTaskBytes" => contract::MAX_TASK_BYTES.into(),
        "MaxTimeoutSecs" => contract::MAX_TIMEOUT_SECONDS.into(),
        "MaxToken" => contract::MAX_TOKEN.into(),
        "NoType" => names::NO_TYPE.into(),
        "TaskVersion" => contract::TASK_VERSION.into(),
        _ => return None,
    })
}

#[test]
fn every_name_is_what_go_makes_it() {
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(testdata().join("names")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let cases: Vec<Case> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert!(!cases.is_empty(), "{name} is empty");
        let function = FUNCTIONS.iter().find(|(known, _)| *known == name);
        assert!(
            function.is_some() != OTHERS.contains(&name.as_str()),
            "{name}: used, or of no use?"
        );
        for case in function.map_or(&cases[..0], |_| &cases) {
            let got = function.unwrap().1(case);
            assert_eq!(got, case.want, "{name} of {}", case.input);
        }
        seen.insert(name);
    }
    let missing: Vec<_> = FUNCTIONS
        .iter()
        .filter(|(name, _)| !seen.contains(*name))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(json!(missing), json!([]), "functions without vectors");
}
