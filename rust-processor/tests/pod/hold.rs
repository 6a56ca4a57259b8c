//! Pods of one unit that meet at a step: the one is held there while the other goes past it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;

use serde_json::json;
use tallyman_processor::contract::{Outcome, UnitState};

use super::jobs::shell;
use super::pods::Pod;
use super::world::{DEADLINE, World};

/// A pod held at a step until it is let go.
struct Held<'a> {
    pod: Pod<'a>,
    fifo: PathBuf,
    gate: Option<File>,
    process: std::process::Child,
}

impl<'a> Held<'a> {
    fn at(world: &'a World, unit: &str, container: &str, step: &str) -> Self {
        let pod = world.pod(unit);
        if container == "run" {
            pod.claim(0);
        }
        Self::of(world, pod, container, step)
    }

    /// The main container of a pod that has claimed.
    fn running(world: &'a World, pod: Pod<'a>, step: &str) -> Self {
        Self::of(world, pod, "run", step)
    }

    fn of(world: &World, pod: Pod<'a>, container: &str, step: &str) -> Self {
        let fifo = world.path(&format!("hold-{step}"));
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let pod = pod.with("TALLYMAN_TEST_HOLD", format!("{step}={}", fifo.display()));
        let process = pod.start(container);
        let (reached, opened) = mpsc::channel();
        let path = fifo.clone();
        // Opening blocks until the pod opens the other end.
        std::thread::spawn(move || reached.send(File::options().write(true).open(path).unwrap()));
        let gate = Some(opened.recv_timeout(DEADLINE).expect("the step is reached"));
        Self {
            pod,
            fifo,
            gate,
            process,
        }
    }

    fn goes_on(mut self, code: i32) -> Pod<'a> {
        fs::remove_file(&self.fifo).unwrap(); // the next time round nothing holds it
        drop(self.gate.take());
        assert_eq!(self.process.wait().unwrap().code(), Some(code));
        self.pod
    }
}

#[test]
fn a_conflict_at_step_3_gives_the_message_back() {
    let world = World::new();
    world.send(&shell("true").1);
    let slow = Held::at(&world, "u", "claim", "c3"); // it holds the first message
    world.send(&shell("true").1);
    world.claimed("u", 0);
    assert_eq!(world.counts("queue"), (0, 1));
    slow.goes_on(0);
    assert_eq!(world.counts("queue"), (1, 0), "given back, not deleted");
    assert_eq!(world.unit("u").unwrap().attempts.len(), 2);
    assert_eq!(world.told(), ["claimed 1/1", "claimed 1/2"]);
}

#[test]
fn a_conflict_at_step_5_joins_the_claim() {
    for step in ["c4", "c5d", "c5m"] {
        let world = World::new();
        world.send(&shell("true").1);
        let slow = Held::at(&world, "u", "claim", step);
        let fast = world.claimed("u", 0); // it goes on with the intent
        slow.goes_on(0);
        let record = world.unit("u").unwrap();
        assert_eq!(
            (record.attempts.len(), record.attempts[0].as_str()),
            (2, fast.uid.as_str()),
            "{step}"
        );
        assert_eq!(
            (world.told(), world.counts("queue")),
            (vec!["claimed 1/1".to_owned(), "claimed 1/2".to_owned()], (0, 0))
        );
    }
}

#[test]
fn a_lost_answer_looks_like_a_conflict_and_costs_nothing() {
    let world = World::new();
    world.send(&shell("true").1);
    let slow = Held::at(&world, "u", "claim", "c5m");
    let pod = slow.pod.uid.clone();
    world.change("u", |record| {
        record.state = UnitState::Owned;
        record.attempts = vec![pod];
    });
    let pod = slow.goes_on(0);
    assert_eq!(
        world.unit("u").unwrap().attempts,
        [pod.uid.as_str()],
        "the pod keeps its number"
    );
    let slow = Held::running(&world, pod, "rS");
    world.change("u", |record| {
        record.state = UnitState::Closed;
        record.outcome = Some(Outcome::Succeeded);
        record.outcome_attempt = 1;
        record.closed_at = Some(record.submitted_at);
    });
    let termination = slow.goes_on(0).termination();
    assert_eq!(
        (&termination["outcome"], &termination["recorded"]),
        (&json!("succeeded"), &json!(true))
    );
    assert_eq!(
        world.told(),
        ["claimed 1/1", "started 1/1"],
        "the bridge says what was recorded"
    );
}

#[test]
fn an_older_attempt_never_closes() {
    let world = World::new();
    world.send(&shell("echo 7 > $TALLYMAN_RESULT_FILE").1);
    let old = Held::at(&world, "u", "run", "rS");
    let new = world.claimed("u", 0);
    let termination = old.goes_on(0).termination();
    assert_eq!(
        (&termination["outcome"], &termination["recorded"]),
        (&json!("succeeded"), &json!(false))
    );
    assert_eq!(world.unit("u").unwrap().state, UnitState::Owned);
    new.run(0);
    assert_eq!(world.unit("u").unwrap().outcome_attempt, 2);
}

#[test]
fn a_loser_exits_as_the_record_says() {
    let world = World::new();
    world.send(&shell("exit 0").1);
    let slow = Held::at(&world, "u", "run", "rS");
    world.change("u", |record| {
        record.state = UnitState::Closed;
        record.outcome = Some(Outcome::Cancelled);
        record.closed_at = Some(record.submitted_at);
    });
    let termination = slow.goes_on(86).termination();
    assert_eq!(
        (&termination["outcome"], &termination["recorded"]),
        (&json!("cancelled"), &json!(true))
    );
    assert!(!world.told().iter().any(|event| event.starts_with("succeeded")));
}
