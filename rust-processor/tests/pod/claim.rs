//! `processor claim`, by the sentences of the design's section 7.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tallyman_processor::contract::{Kind, Outcome, Reason, Task, UnitState, id, names};

use super::jobs::{TRACE, shell, task};
use super::world::{QUEUE, SUBMITTED_AT, World};

#[test]
fn an_empty_queue_is_a_noop() {
    let world = World::new();
    let pod = world.claimed("u", 0);
    assert_eq!(pod.run(0)["outcome"], "none");
    assert_eq!(world.told(), ["noop"]);
    let event = &world.events()[0];
    assert_eq!(event.id(), format!("u/{}/_/noop", pod.uid));
    assert_eq!(
        (event.data.name.as_str(), event.data.cluster.as_str()),
        ("u-job", "local")
    );
    assert!(world.unit("u").is_none());
}

#[test]
fn a_message_becomes_a_claim_and_is_deleted() {
    let world = World::new();
    let (job, envelope) = shell("true");
    world.send(&envelope);
    let pod = world.claimed("u", 0);
    assert_eq!(world.counts("queue"), (0, 0));
    let record = world.unit("u").unwrap();
    assert_eq!(
        (record.state, record.attempts.as_slice()),
        (UnitState::Owned, &[pod.uid.clone()][..])
    );
    assert_eq!(record.task.as_deref(), Some(envelope.as_bytes()));
    assert_eq!((record.namespace.as_str(), record.name.as_str()), ("test", "u-job"));
    assert_eq!(world.run_record(&job, 1).unwrap().owner, "u");
    assert_eq!(
        std::fs::read_to_string(pod.dir.path().join("task.json")).unwrap(),
        envelope
    );
    let left: Value = serde_json::from_slice(&std::fs::read(pod.dir.path().join("claim.json")).unwrap()).unwrap();
    assert_eq!(left, json!({ "unit": "u", "attempt": 1, "traceParent": TRACE }));
    assert_eq!(world.told(), ["claimed 1/1"]);
    let event = &world.events()[0].data;
    assert_eq!(
        (event.unit.as_str(), event.pod.as_str(), event.pod_name.as_str()),
        ("u", &*pod.uid, &*format!("{}-name", pod.uid))
    );
}

#[test]
fn later_pods_of_the_unit_are_later_attempts_and_receive_nothing() {
    let world = World::new();
    world.send(&shell("true").1);
    let first = world.claimed("u", 0);
    world.send(&shell("true").1);
    world.claimed("u", 0);
    first.claim(0); // Kubernetes may run an init container again: the pod keeps its number
    assert_eq!(world.unit("u").unwrap().attempts.len(), 2);
    assert_eq!(world.counts("queue"), (1, 0));
    assert_eq!(world.told(), ["claimed 1/1", "claimed 1/2"]);
}

#[test]
fn a_second_copy_is_dropped() {
    let world = World::new();
    let (job, envelope) = shell("true");
    world.send(&envelope);
    world.claimed("u", 0);
    world.send(&envelope);
    world.send(&envelope);
    let (_, other) = shell("true");
    world.claimed("v", 0);
    assert!(world.unit("v").is_none(), "the intent is removed");
    assert_eq!(world.counts("queue"), (0, 0));
    assert_eq!(world.told(), ["claimed 1/1", "duplicate", "duplicate", "noop"]);
    assert_eq!(world.events()[1].data.job_id, job);
    world.send(&other);
    world.claimed("v", 0);
    assert_eq!(
        world.unit("v").unwrap().state,
        UnitState::Owned,
        "a removed record can be created again"
    );
}

#[test]
fn a_tombstone_says_what_it_stands_for() {
    let world = World::new();
    let at = "2026-11-21T17:00:00.000Z";
    let tombstones = [
        json!({ "v": 1, "tombstone": true, "outcome": "cancelled", "at": at }),
        json!({ "v": 1, "tombstone": true, "outcome": "failed", "reason": "Expired", "at": at }),
        json!({ "v": 1, "tombstone": true, "at": at, "next": "2" }),
    ];
    for tombstone in tombstones {
        let (job, envelope) = shell("true");
        world.put_run(&job, &tombstone);
        world.send(&envelope);
        world.claimed("u", 0).run(0);
    }
    assert_eq!(
        world.told(),
        [
            "cancelled 1/0",
            "noop",
            "failed 1/0 Expired",
            "noop",
            "duplicate",
            "noop"
        ]
    );
    let events = world.events();
    assert!(events[0].time.to_string() == at && events[2].time.to_string() == at);
    assert_eq!(world.counts("queue"), (0, 0));
    assert!(world.unit("u").is_none());
}

#[test]
fn a_closed_unit_starts_nothing_and_exits_as_it_ended() {
    let world = World::new();
    let table = [(Outcome::Succeeded, 0), (Outcome::Failed, 65), (Outcome::Cancelled, 86)];
    for (outcome, code) in table {
        let unit = outcome.as_str();
        let marker = world.path(unit);
        world.send(&shell(&format!("touch {}", marker.display())).1);
        let early = world.claimed(unit, 0);
        world.change(unit, |record| {
            record.state = UnitState::Closed;
            record.outcome = Some(outcome);
            record.reason = Some(Reason::Lost);
            record.closed_at = Some(record.submitted_at);
        });
        let late = world.claimed(unit, 0);
        for pod in [late, early] {
            let termination = pod.run(code);
            assert_eq!(
                (&termination["outcome"], &termination["recorded"]),
                (&json!(unit), &json!(true))
            );
        }
        assert!(!marker.exists());
    }
    assert_eq!(world.told(), ["claimed 1/1"; 3]);
}

#[test]
fn a_cancel_is_obeyed_before_an_attempt_is_numbered() {
    let world = World::new();
    world.send(&shell("true").1);
    world.claimed("u", 0);
    world.change("u", |record| record.cancel_requested = true);
    let pod = world.claimed("u", 86);
    assert_eq!(pod.termination()["outcome"], "cancelled");
    let record = world.unit("u").unwrap();
    assert_eq!(
        (record.outcome, record.outcome_attempt, record.said),
        (Some(Outcome::Cancelled), 1, true)
    );
    assert_eq!(world.told(), ["claimed 1/1", "cancelled 1/0 Cancelled"]);
}

#[test]
fn a_33rd_attempt_closes_the_unit() {
    let world = World::new();
    world.send(&shell("true").1);
    world.claimed("u", 0);
    world.change("u", |record| {
        record.attempts = (1..=32).map(|n| format!("p{n}")).collect();
    });
    let pod = world.claimed("u", 65);
    assert_eq!(
        (&pod.termination()["outcome"], &pod.termination()["recorded"]),
        (&json!("failed"), &json!(true))
    );
    let record = world.unit("u").unwrap();
    assert_eq!(
        (record.state, record.outcome_attempt, record.said),
        (UnitState::Closed, 32, false)
    );
    assert_eq!(world.claimed("u", 0).run(65)["outcome"], "failed");
}

#[test]
fn a_foreign_message_is_a_job_of_the_default_type() {
    let world = World::new();
    let message = world.send_with("true # not JSON: \u{1F980}", &[("theirs", "x")]);
    world.claimed("u", 0).run(0);
    let events = world.events();
    let job = id::foreign_id(QUEUE, &message);
    assert_eq!(
        world.told(),
        ["submitted 1/0", "claimed 1/1", "started 1/1", "succeeded 1/1"]
    );
    assert!(
        events
            .iter()
            .all(|event| event.data.job_id == job && event.data.job_type == "sh")
    );
    let task = Task::decode(events[0].data.task.as_deref().unwrap()).unwrap();
    assert_eq!(task.payload, "true # not JSON: \u{1F980}".as_bytes());
    assert_eq!((task.foreign, events[0].time), (true, task.submitted_at));
}

#[test]
fn what_can_never_be_read_goes_to_the_dead_letter_queue() {
    let world = World::new();
    let (_, elsewhere) = shell("true");
    let elsewhere = elsewhere.replace("\"queue\":\"default\"", "\"queue\":\"other\"");
    let bodies = ["{\"v\":1".to_owned(), "{\"v\":1}".to_owned(), elsewhere];
    for body in &bodies {
        world.send(body);
    }
    world.send_with(&"x".repeat(300 << 10), &[]);
    world.claimed("u", 0);
    assert_eq!(world.told(), ["rejected", "rejected", "rejected", "rejected", "noop"]);
    let messages: Vec<_> = world.events().into_iter().map(|event| event.data.message).collect();
    assert!(
        messages[0].starts_with("malformed") && messages[1].starts_with("missing_field: jobId"),
        "{messages:?}"
    );
    assert!(
        messages[2].contains("other") && messages[3].starts_with("too_large"),
        "{messages:?}"
    );
    assert_eq!(world.counts("queue"), (0, 0));
    let mut dead = world.messages("deadLetter");
    dead.sort();
    assert_eq!(dead.len(), 4);
    assert!(
        dead.iter()
            .any(|(body, names)| body == "{\"v\":1" && names == &["tallyman-v", "traceparent"])
    );
}

#[test]
fn without_a_dead_letter_queue_the_event_keeps_the_head() {
    let world = World::new();
    world.send(&format!("[{}", "9".repeat(5000)));
    world.pod("u").with("TALLYMAN_DEAD_LETTER_URL", "").claim(0);
    let message = &world.events()[0].data.message;
    assert!(message.contains("it began: [999") && message.len() <= 1024, "{message}");
    assert_eq!((world.counts("queue"), world.counts("deadLetter")), ((0, 0), (0, 0)));
}

#[test]
fn an_unknown_version_is_hidden_and_never_eaten() {
    let world = World::new();
    world.send("{\"v\":2}");
    let (_, envelope) = task("sh", &"true".into());
    world.send(&envelope);
    world.claimed("u", 0);
    assert_eq!(world.counts("queue"), (0, 1), "hidden, not deleted");
    assert!(world.told() == ["claimed 1/1"] || world.told() == ["noop"]);
}

#[test]
fn overlapping_pods_of_a_unit_make_one_claim() {
    let world = World::new();
    for _ in 0..4 {
        world.send(&shell("true").1);
    }
    let pods: Vec<_> = (0..4).map(|_| world.pod("u")).collect();
    let claims: Vec<_> = pods.iter().map(|pod| pod.start("claim")).collect();
    for mut claim in claims {
        assert!(claim.wait().unwrap().success());
    }
    let record = world.unit("u").unwrap();
    let mut numbered = record.attempts.clone();
    numbered.sort();
    let mut all: Vec<_> = pods.iter().map(|pod| pod.uid.clone()).collect();
    all.sort();
    assert_eq!(numbered, all);
    assert_eq!(
        world.counts("queue"),
        (3, 0),
        "what lost the race is given back at once"
    );
    let mut told = world.told();
    told.sort();
    assert_eq!(told, ["claimed 1/1", "claimed 1/2", "claimed 1/3", "claimed 1/4"]);
}

#[test]
fn patience_ends_with_75_and_nothing_is_lost() {
    let mut world = World::new();
    world.send(&shell("true").1);
    let away = world
        .pod("u")
        .with("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
        .with("TALLYMAN_PATIENCE_SECONDS", "1");
    away.claim(75);
    assert!(
        away.termination()["message"]
            .as_str()
            .unwrap()
            .starts_with("receive from SQS"),
        "{}",
        away.termination()
    );
    world.stop_nats();
    world.pod("u").with("TALLYMAN_PATIENCE_SECONDS", "1").claim(75);
    assert_eq!(world.counts("queue"), (1, 0));
    world.start_nats();
    world.claimed("u", 0).run(0);
}

#[test]
fn every_fault_of_the_environment_is_named_at_once() {
    let world = World::new();
    let pod = world
        .pod("not a token")
        .with("TALLYMAN_NATS_URL", "")
        .with("TALLYMAN_RECEIVE_SECONDS", "21");
    pod.claim(65);
    let message = pod.termination()["message"].as_str().unwrap().to_owned();
    for fault in [
        "TALLYMAN_UNIT must be",
        "TALLYMAN_NATS_URL is not set",
        "TALLYMAN_RECEIVE_SECONDS must be 0 to 20",
    ] {
        assert!(message.contains(fault), "{message}");
    }
}

#[test]
fn an_intent_is_taken_over_by_the_next_pod() {
    let world = World::new();
    let (job, envelope) = shell("true");
    let task = STANDARD.encode(&envelope);
    let intent = json!({ "v": 1, "state": "intent", "unit": "u", "queue": QUEUE, "jobId": job, "run": 1, "type": "sh",
        "submittedAt": SUBMITTED_AT, "task": task, "receipt": "an-old-receipt", "cancelRequested": true });
    world.put_claim(&names::unit_key(QUEUE, "u"), &intent);
    world.send(&envelope);
    let pod = world.claimed("u", 0);
    assert!(
        world.unit("u").unwrap().cancel_requested,
        "a cancel of an intent is kept"
    );
    assert_eq!(world.run_record(&job, 1).unwrap().owner, "u");
    pod.run(86);
    assert_eq!(world.told(), ["claimed 1/1", "cancelled 1/0 Cancelled"]);
    assert_eq!(world.events()[1].kind, Kind::Cancelled);
}
