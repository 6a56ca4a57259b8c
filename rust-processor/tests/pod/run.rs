//! `processor run`: how work ends, and what becomes of it.

use std::io::Read;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tallyman_processor::contract::{Json, Outcome, UnitState};

use super::jobs::{shell, task};
use super::pods::{Pod, appears};
use super::world::World;

/// Claims what is in the queue with a new pod of the unit, and runs it.
fn ran<'a>(world: &'a World, unit: &str, envelope: &str, code: i32) -> (Pod<'a>, Value) {
    world.send(envelope);
    let pod = world.claimed(unit, 0);
    let termination = pod.run(code);
    (pod, termination)
}

#[test]
fn work_that_ends_well() {
    let world = World::new();
    let (job, envelope) = shell("echo out; echo err >&2; echo [1, 2] > $TALLYMAN_RESULT_FILE");
    let (_, termination) = ran(&world, "u", &envelope, 0);
    let record = world.unit("u").unwrap();
    assert_eq!(
        (record.outcome, record.outcome_attempt, record.said),
        (Some(Outcome::Succeeded), 1, true)
    );
    assert_eq!(record.exit_code, Some(0));
    assert_eq!(world.told(), ["claimed 1/1", "started 1/1", "succeeded 1/1"]);
    let kept = world.output(&job, 1).unwrap();
    assert!(kept == "out\nerr\n" || kept == "err\nout\n", "{kept}");
    assert_eq!(
        (&termination["outcome"], &termination["recorded"]),
        (&json!("succeeded"), &json!(true))
    );
    assert_eq!(termination["jobId"], job.as_str());
    assert_eq!(record.result, Json::parse("[1,2]"));
    assert_eq!(record.result, world.events()[2].data.result);
}

#[test]
fn a_result_is_json_or_text_and_not_too_large() {
    let world = World::new();
    let (_, json) = task("process-data", &json!({ "records": 1, "failureRate": 0 }));
    let (_, termination) = ran(&world, "u", &json, 0);
    assert_eq!(termination["result"]["records"], 1);
    let (_, termination) = ran(&world, "v", &shell("echo fine > $TALLYMAN_RESULT_FILE").1, 0);
    assert_eq!(termination["result"], "fine\n");
    let (_, termination) = ran(
        &world,
        "w",
        &shell("head -c 40000 /dev/zero > $TALLYMAN_RESULT_FILE").1,
        65,
    );
    assert_eq!(
        (&termination["outcome"], &termination["reason"]),
        (&json!("failed"), &json!("AppError"))
    );
    assert!(
        termination["message"].as_str().unwrap().contains("32768 bytes"),
        "{termination}"
    );
}

#[test]
fn the_exit_code_table() {
    let world = World::new();
    let panics = json!({ "records": 10, "failureRate": 1 });
    let fails = json!({ "records": 1, "failAttempts": 1 });
    let cases = [
        (shell("exit 0").1, 0, "succeeded", None, 0),
        (
            shell("echo last words >&2; exit 1").1,
            1,
            "attempt-failed",
            Some("AppExit"),
            1,
        ),
        (shell("exit 65").1, 65, "failed", Some("AppError"), 65),
        (shell("exit 75").1, 1, "attempt-failed", Some("AppExit"), 75),
        (shell("exit 86").1, 1, "attempt-failed", Some("AppExit"), 86),
        (shell("exit 101").1, 1, "attempt-failed", Some("AppExit"), 101),
        (shell("kill -9 $$").1, 1, "attempt-failed", Some("AppExit"), 137),
        (
            task("process-data", &panics).1,
            101,
            "attempt-failed",
            Some("Panic"),
            101,
        ),
        (task("process-data", &fails).1, 1, "attempt-failed", Some("AppExit"), 1),
        (
            task("process-data", &json!({ "records": "x" })).1,
            65,
            "failed",
            Some("AppError"),
            65,
        ),
        (
            task("quick", &"exec sleep 50".into()).1,
            124,
            "attempt-failed",
            Some("Timeout"),
            124,
        ),
    ];
    for (i, (envelope, code, outcome, reason, inner)) in cases.into_iter().enumerate() {
        let (_, termination) = ran(&world, &format!("u{i}"), &envelope, code);
        assert_eq!(termination["outcome"], outcome, "{i}: {termination}");
        assert_eq!(termination["reason"].as_str(), reason, "{i}: {termination}");
        assert_eq!(termination["exitCode"], inner, "{i}: {termination}");
        let state = world.unit(&format!("u{i}")).unwrap().state;
        assert_eq!(state == UnitState::Closed, outcome != "attempt-failed", "{i}");
    }
    let messages: Vec<_> = world.events().into_iter().map(|event| event.data.message).collect();
    assert!(messages.iter().any(|message| message == "last words"), "{messages:?}");
    assert!(
        messages.iter().any(|message| message.contains("timeout of 0.3 s")),
        "{messages:?}"
    );
}

#[test]
fn a_permanent_failure_says_both_words() {
    let world = World::new();
    ran(&world, "u", &shell("echo no such order >&2; exit 65").1, 65);
    assert_eq!(
        world.told(),
        [
            "claimed 1/1",
            "started 1/1",
            "attempt-failed 1/1 AppError",
            "failed 1/0 AppError"
        ]
    );
    assert!(world.unit("u").unwrap().said);
    assert!(
        world.events()[2..]
            .iter()
            .all(|event| event.data.message == "no such order")
    );
    let (_, termination) = ran(&world, "v", &task("absent", &json!(1)).1, 65);
    assert!(
        termination["message"].as_str().unwrap().contains("/nowhere/at/all"),
        "{termination}"
    );
    let (_, termination) = ran(&world, "w", &task("unheard-of", &json!(1)).1, 65);
    assert!(
        termination["message"]
            .as_str()
            .unwrap()
            .contains("no job type unheard-of"),
        "{termination}"
    );
}

#[test]
fn a_failed_attempt_is_followed_by_another() {
    let world = World::new();
    let (job, envelope) = task(
        "process-data",
        &json!({ "records": 1, "failureRate": 0, "failAttempts": 2 }),
    );
    ran(&world, "u", &envelope, 1);
    world.claimed("u", 0).run(1);
    world.claimed("u", 0).run(0);
    assert_eq!(
        world.told(),
        [
            "claimed 1/1",
            "started 1/1",
            "attempt-failed 1/1 AppExit",
            "claimed 1/2",
            "started 1/2",
            "attempt-failed 1/2 AppExit",
            "claimed 1/3",
            "started 1/3",
            "succeeded 1/3"
        ]
    );
    assert!((1..=2).all(|attempt| {
        world
            .output(&job, attempt)
            .unwrap()
            .contains("as told by failAttempts 2")
    }));
}

#[test]
fn the_work_gets_its_contract_and_none_of_our_credentials() {
    let world = World::new();
    let seen = world.path("seen");
    let command = format!("env > {0}; cat $TALLYMAN_PAYLOAD_FILE >> {0}", seen.display());
    let (job, envelope) = shell(&command);
    world.send(&envelope);
    let pod = world.claimed("u", 0);
    pod.run(0);
    let seen = std::fs::read_to_string(seen).unwrap();
    let names: Vec<_> = seen
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    for name in [
        "PATH",
        "OF_THE_QUEUE",
        "TALLYMAN_RUN",
        "TALLYMAN_ATTEMPT",
        "TALLYMAN_TYPE",
        "TALLYMAN_QUEUE",
    ] {
        assert!(names.contains(&name), "{name}: {seen}");
    }
    assert!(seen.contains(&format!("TALLYMAN_JOB_ID={job}\n")));
    assert!(seen.ends_with(&format!("\"{command}\"")), "the payload, byte for byte");
    let leaked = [
        "AWS_",
        "NATS",
        "TALLYMAN_POD",
        "TALLYMAN_UNIT",
        "TALLYMAN_CONFIG",
        "TALLYMAN_DIR",
        "KUBERNETES_",
    ];
    assert!(
        !names
            .iter()
            .any(|name| leaked.iter().any(|prefix| name.starts_with(prefix))),
        "{seen}"
    );
}

#[test]
fn an_outcome_that_nats_cannot_be_told_is_in_the_termination_message() {
    let mut world = World::new();
    let go = world.path("go");
    let marker = world.path("begun");
    let wait = format!(
        "touch {}; until [ -e {} ]; do sleep 0.05; done; echo 7 > $TALLYMAN_RESULT_FILE",
        marker.display(),
        go.display()
    );
    world.send(&shell(&wait).1);
    let (mut run, termination) = {
        let pod = world.pod("u").with("TALLYMAN_PATIENCE_SECONDS", "1");
        pod.claim(0);
        (pod.start("run"), pod.dir.keep().join("termination"))
    };
    appears(&marker);
    world.stop_nats();
    std::fs::write(&go, "").unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let said: Value = serde_json::from_slice(&std::fs::read(&termination).unwrap()).unwrap();
    assert_eq!(
        (&said["outcome"], &said["recorded"]),
        (&json!("succeeded"), &json!(false))
    );
    assert_eq!(
        (&said["attempt"], &said["result"], &said["unit"]),
        (&json!(1), &json!(7), &json!("u"))
    );
    std::fs::remove_dir_all(termination.parent().unwrap()).unwrap();
    world.start_nats();
    assert_eq!(world.unit("u").unwrap().state, UnitState::Owned);
}

#[test]
fn an_outage_that_ends_in_time_is_survived() {
    let mut world = World::new();
    let go = world.path("go");
    let marker = world.path("begun");
    world.send(
        &shell(&format!(
            "touch {}; until [ -e {} ]; do sleep 0.05; done",
            marker.display(),
            go.display()
        ))
        .1,
    );
    let (mut run, dir) = {
        let pod = world.pod("u").with("TALLYMAN_PATIENCE_SECONDS", "30");
        pod.claim(0);
        (pod.start("run"), pod.dir.keep())
    };
    appears(&marker);
    world.stop_nats();
    std::fs::write(&go, "").unwrap();
    world.start_nats();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(world.told(), ["claimed 1/1", "started 1/1", "succeeded 1/1"]);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn output_is_passed_on_and_its_end_is_kept() {
    let world = World::new();
    let (job, envelope) = shell("seq 1 40000; echo the end >&2; exit 3");
    world.send(&envelope);
    let pod = world.claimed("u", 0);
    let output = pod.output("run");
    assert_eq!(output.stdout.len(), 228_894);
    assert!(String::from_utf8(output.stderr).unwrap().contains("the end\n"));
    let kept = world.output(&job, 1).unwrap();
    assert_eq!(kept.len(), 64 << 10);
    let event = world.events().pop().unwrap();
    assert_eq!(
        (event.data.message.as_str(), event.data.tail.len()),
        ("the end", 4 << 10)
    );
}

#[test]
fn progress_is_told_to_whoever_listens() {
    let world = World::new();
    let mut progress = world.on(world.nats.subscribe("jobs.progress.>")).unwrap();
    world.on(world.nats.flush()).unwrap();
    let (job, envelope) = shell("echo 1/4 rows >> $TALLYMAN_PROGRESS_FILE");
    ran(&world, "u", &envelope, 0);
    let message = world.on(progress.next()).unwrap();
    assert_eq!(message.subject.as_str(), format!("jobs.progress.default.sh.{job}"));
    let mut told: Value = serde_json::from_slice(&message.payload).unwrap();
    assert!(told["at"].take().is_string());
    let want = json!({ "jobId": job, "run": 1, "attempt": 1, "done": 1, "total": 4, "percent": 25.0, "message": "rows", "at": null });
    assert_eq!(told, want);
}

/// When all is well nothing is logged, so NATS is away too: for the work of a task that is claimed, and for a claim.
#[test]
fn no_payload_and_no_credential_is_logged() {
    let world = World::new();
    world.send(&task("process-data", &json!({ "records": "s3cr3t-payload" })).1);
    world.send("s3cr3t-payload"); // no envelope, though marked as one
    world.send_with("s3cr3t-payload", &[]);
    let mut spoken = Vec::new();
    for (unit, claims, runs) in [("u", true, true), ("v", true, false), ("w", false, false)] {
        let mut pod = world
            .pod(unit)
            .with("TALLYMAN_LOG", "debug")
            .with("NATS_PASSWORD", "s3cr3t-payload")
            .with("TALLYMAN_PATIENCE_SECONDS", "1");
        for (container, there) in [("claim", claims), ("run", runs)] {
            if !there {
                pod = pod.with("TALLYMAN_NATS_URL", "nats://me:a-secret@127.0.0.1:1");
            }
            let output = pod.output(container);
            let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
            output.stdout.as_slice().read_to_string(&mut said).unwrap();
            let ours: Vec<_> = said.lines().filter(|line| line.starts_with('{')).collect();
            assert!(
                !ours
                    .iter()
                    .any(|line| line.contains("s3cr3t") || line.contains("a-secret")),
                "{said}"
            );
            spoken.push((unit, container, ours.len()));
        }
    }
    assert!(
        ["run", "claim"].iter().all(|name| spoken
            .iter()
            .any(|(_, container, lines)| container == name && *lines > 0)),
        "where nothing is logged, nothing was looked at: {spoken:?}"
    );
}
