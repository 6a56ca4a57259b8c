//! Death at every step of the protocol, and what the next pods of the unit make of it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use serde_json::json;
use tallyman_processor::contract::{Outcome, UnitState};

use super::jobs::shell;
use super::pods::Pod;
use super::world::World;

/// A pod that dies at a step.
fn dies<'a>(world: &'a World, unit: &str, container: &str, step: &str) -> Pod<'a> {
    let pod = world.pod(unit);
    if container == "run" {
        pod.claim(0);
    }
    let pod = pod.with("TALLYMAN_TEST_CRASH", step);
    let ended = pod.output(container).status;
    assert_eq!(ended.signal(), Some(9), "{container} never came to {step}: {ended}");
    pod
}

/// A job that leaves a line in a file each time that its work is done.
fn counted(world: &World) -> (String, PathBuf) {
    let done = world.path("done");
    (format!("echo x >> {}", done.display()), done)
}

fn lines(path: &PathBuf) -> usize {
    fs::read_to_string(path).unwrap_or_default().lines().count()
}

/// The next pod of the unit, which has time for a message to become visible again.
fn next<'a>(world: &'a World, unit: &str) -> Pod<'a> {
    let pod = world.pod(unit).with("TALLYMAN_RECEIVE_SECONDS", "10");
    pod.claim(0);
    pod
}

#[test]
fn death_at_any_step_of_a_claim_loses_nothing() {
    for (foreign, steps) in [
        (false, &["c1", "c2", "c3", "c4", "c5d", "c5m", "c5s", "claimed"][..]),
        (true, &["c3", "cF", "c4", "c5d", "c5m", "c5s"][..]),
    ] {
        for step in steps {
            let world = World::new();
            world.hide_shortly();
            let (command, done) = counted(&world);
            if foreign {
                world.send_with(&command, &[]);
            } else {
                world.send(&shell(&command).1);
            }
            dies(&world, "u", "claim", step);
            next(&world, "u").run(0);
            assert_eq!(lines(&done), 1, "{step}");
            assert_eq!(world.counts("queue"), (0, 0), "{step}");
            let record = world.unit("u").unwrap();
            assert_eq!(
                (record.outcome, record.said),
                (Some(Outcome::Succeeded), true),
                "{step}"
            );
            let told = world.told();
            let once = |word: &str| told.iter().filter(|event| event.starts_with(word)).count();
            assert_eq!((once("started"), once("succeeded")), (1, 1), "{step}: {told:?}");
            assert_eq!(once("submitted"), usize::from(foreign), "{step}: {told:?}");
        }
    }
}

#[test]
fn death_while_a_copy_is_dropped_loses_nothing() {
    for step in ["c4d", "c4r", "c4s"] {
        let world = World::new();
        world.hide_shortly();
        let (command, done) = counted(&world);
        let envelope = shell(&command).1;
        world.send(&envelope);
        world.claimed("u", 0).run(0);
        world.send(&envelope);
        dies(&world, "v", "claim", step);
        world.claimed("v", 0).run(0);
        assert_eq!((lines(&done), world.counts("queue")), (1, (0, 0)), "{step}");
        assert!(world.unit("v").is_none(), "{step}: the intent is removed");
    }
}

#[test]
fn death_while_a_message_is_rejected_loses_nothing() {
    for step in ["rejectSend", "rejectSay", "rejectDelete"] {
        let world = World::new();
        world.hide_shortly();
        world.send("{\"v\":1");
        dies(&world, "u", "claim", step);
        next(&world, "u");
        assert_eq!(world.counts("queue"), (0, 0), "{step}");
        assert!(!world.messages("deadLetter").is_empty(), "{step}");
        assert!(world.told().contains(&"rejected".to_owned()), "{step}");
    }
}

#[test]
fn death_before_the_outcome_is_recorded_is_another_attempt() {
    for (step, done_before) in [("r0", 0), ("r1", 0), ("r2", 0), ("rS", 1)] {
        let world = World::new();
        let (command, done) = counted(&world);
        world.send(&shell(&command).1);
        dies(&world, "u", "run", step);
        assert_eq!(lines(&done), done_before, "{step}");
        world.claimed("u", 0).run(0);
        let record = world.unit("u").unwrap();
        assert_eq!(
            (record.attempts.len(), record.outcome_attempt, record.said),
            (2, 2, true),
            "{step}"
        );
        assert!(
            world
                .told()
                .ends_with(&["started 1/2".to_owned(), "succeeded 1/2".to_owned()]),
            "{step}"
        );
    }
}

/// Whoever dies before a failure is said was not heard: the next attempt says its own, and the bridge the first's.
#[test]
fn death_before_a_failure_is_said_is_another_attempt() {
    for (command, step, code, outcome) in [("exit 1", "rF", 1, None), ("exit 65", "rP", 65, Some(Outcome::Failed))] {
        let world = World::new();
        let (count, done) = counted(&world);
        world.send(&shell(&format!("{count}; {command}")).1);
        dies(&world, "u", "run", step);
        let record = world.unit("u").unwrap();
        assert_eq!((record.state, record.outcome), (UnitState::Owned, None), "{step}");
        assert_eq!(world.claimed("u", 0).run(code)["attempt"], 2, "{step}");
        assert_eq!(lines(&done), 2, "{step}");
        let record = world.unit("u").unwrap();
        assert_eq!((record.attempts.len(), record.outcome), (2, outcome), "{step}");
        let told = world.told();
        let once = |word: &str| told.iter().filter(|event| event.starts_with(word)).count();
        assert_eq!(
            (once("started"), once("attempt-failed 1/2")),
            (2, 1),
            "{step}: {told:?}"
        );
        assert_eq!(once("attempt-failed"), 1, "{step}: {told:?}");
        assert_eq!(once("failed"), usize::from(outcome.is_some()), "{step}: {told:?}");
    }
}

#[test]
fn death_after_the_outcome_is_recorded_starts_no_work() {
    let table = [
        ("exit 0", "rS2", 0, "succeeded", 0),
        ("exit 0", "rS3", 0, "succeeded", 1),
        ("exit 65", "rP2", 65, "failed", 0),
        ("exit 65", "rP3", 65, "failed", 0),
        ("exit 65", "rP4", 65, "failed", 1),
    ];
    for (command, step, code, outcome, said) in table {
        let world = World::new();
        let (count, done) = counted(&world);
        world.send(&shell(&format!("{count}; {command}")).1);
        dies(&world, "u", "run", step);
        assert_eq!(world.claimed("u", 0).run(code)["outcome"], outcome, "{step}");
        assert_eq!(lines(&done), 1, "{step}");
        let record = world.unit("u").unwrap();
        assert!(
            record.state == UnitState::Closed && !record.said,
            "{step}: the bridge says what was not said"
        );
        let ends = world.told().iter().filter(|event| event.starts_with(outcome)).count();
        assert_eq!(ends, said, "{step}");
    }
}

#[test]
fn death_while_a_cancel_is_obeyed() {
    for (container, step) in [("claim", "cC"), ("claim", "cC2"), ("run", "rC"), ("run", "cC")] {
        let world = World::new();
        world.send(&shell("true").1);
        world.claimed("u", 0);
        let pod = world.pod("u");
        if container == "run" {
            pod.claim(0);
        }
        world.change("u", |record| record.cancel_requested = true);
        let pod = pod.with("TALLYMAN_TEST_CRASH", step);
        assert_eq!(pod.output(container).status.signal(), Some(9), "{container} {step}");
        let next = world.pod("u");
        let claimed = next.output("claim").status.code();
        let ended = if claimed == Some(0) {
            next.run(86)["outcome"].clone()
        } else {
            json!(claimed)
        };
        assert!(ended == "cancelled" || ended == 86, "{container} {step}: {ended}");
        assert_eq!(world.unit("u").unwrap().outcome, Some(Outcome::Cancelled));
        assert!(
            !world.told().iter().any(|event| event.starts_with("started")),
            "{container} {step}"
        );
    }
}

/// The steps that a source names: what `testpoint::at` is given, and every word in quotes that has the form of a step
/// (`c5d`, `rS2`), since a step may be chosen before it is reached.
fn steps(source: &str) -> Vec<&str> {
    let has_form = |word: &&str| match word.as_bytes() {
        [b'c' | b'r', b'0'..=b'9' | b'A'..=b'Z'] => true,
        [b'c' | b'r', b'0'..=b'9' | b'A'..=b'Z', last] => last.is_ascii_alphanumeric(),
        _ => false,
    };
    let mut found: Vec<_> = source.split('"').skip(1).step_by(2).filter(has_form).collect();
    found.extend(
        source
            .split("testpoint::at(\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next()),
    );
    found
}

/// Every source of the program that has test points.
fn sources_with_steps() -> Vec<(PathBuf, String)> {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            if source.contains("testpoint::at(") {
                found.push((path, source));
            }
        }
    }
    found
}

#[test]
fn no_step_is_left_out() {
    let (own, mut seen) = (include_str!("crash.rs"), 0);
    for (path, source) in sources_with_steps() {
        for step in steps(&source) {
            seen += 1;
            assert!(
                own.contains(&format!("\"{step}\"")),
                "nothing dies at {step} of {}",
                path.display()
            );
        }
    }
    assert!(
        seen >= 29,
        "only {seen} steps were found: this test looks for the wrong words"
    );
}
