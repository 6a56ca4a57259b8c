//! `processor run`: work that others end, by a cancel, a signal or a record.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tallyman_processor::contract::{Outcome, Reason, UnitState};
use tallyman_processor::stream::Swap;

use super::jobs::shell;
use super::pods::{Pod, appears};
use super::world::World;

/// Starts the work of a shell job, which must create the file `begun`.
fn begun<'a>(world: &'a World, unit: &str, command: &str) -> (Pod<'a>, Child) {
    let marker = world.path(unit);
    world.send(&shell(&format!("touch {}; {command}", marker.display())).1);
    let pod = world.claimed(unit, 0);
    let run = pod.start("run");
    appears(&marker);
    (pod, run)
}

#[test]
fn a_cancel_stops_the_work() {
    let world = World::new();
    // What the work started is stopped with it.
    let (pod, mut run) = begun(&world, "u", "sleep 50 & wait");
    world.change("u", |record| record.cancel_requested = true);
    assert_eq!(run.wait().unwrap().code(), Some(86));
    assert_eq!(pod.termination()["outcome"], "cancelled");
    assert_eq!(world.told(), ["claimed 1/1", "started 1/1", "cancelled 1/0 Cancelled"]);
    assert!(world.unit("u").unwrap().said);
}

#[test]
fn work_that_ignores_sigterm_is_killed_after_the_grace() {
    let world = World::new();
    let marker = world.path("u");
    world.send(
        &shell(&format!(
            "trap : TERM; touch {}; while :; do sleep 1; done",
            marker.display()
        ))
        .1,
    );
    let pod = world.pod("u").with("TALLYMAN_GRACE_SECONDS", "1");
    pod.claim(0);
    let mut run = pod.start("run");
    appears(&marker);
    world.change("u", |record| record.cancel_requested = true);
    assert_eq!(run.wait().unwrap().code(), Some(86));
}

#[test]
fn our_own_sigterm_stops_the_work_and_says_no_ending() {
    let world = World::new();
    let (pod, mut run) = begun(&world, "u", "sleep 50");
    kill_process(Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(143));
    assert_eq!(pod.termination()["outcome"], "none");
    assert_eq!(world.told(), ["claimed 1/1", "started 1/1"]);
    assert_eq!(world.unit("u").unwrap().state, UnitState::Owned);
}

#[test]
fn a_newer_attempt_or_a_closed_record_ends_the_work_in_silence() {
    let world = World::new();
    let (_, mut superseded) = begun(&world, "u", "sleep 50");
    world.claimed("u", 0);
    assert_eq!(superseded.wait().unwrap().code(), Some(75));
    let (pod, mut closed) = begun(&world, "v", "sleep 50");
    world.change("v", |record| {
        record.state = UnitState::Closed;
        record.outcome = Some(Outcome::Failed);
        record.reason = Some(Reason::DeadlineExceeded);
        record.closed_at = Some(record.submitted_at);
    });
    assert_eq!(closed.wait().unwrap().code(), Some(65));
    assert_eq!(
        (&pod.termination()["outcome"], &pod.termination()["recorded"]),
        (&json!("failed"), &json!(true))
    );
    let told = world.told();
    assert_eq!(
        told,
        [
            "claimed 1/1",
            "started 1/1",
            "claimed 1/2",
            "claimed 1/1",
            "started 1/1"
        ]
    );
}

#[test]
fn a_write_that_lost_its_race_orders_nothing() {
    let world = World::new();
    let go = world.path("go");
    let wait = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
    let (pod, mut run) = begun(&world, "u", &wait);
    let mut record = world.unit("u").unwrap();
    record.state = UnitState::Closed;
    record.outcome = Some(Outcome::Failed);
    record.reason = Some(Reason::Lost);
    record.closed_at = Some(record.submitted_at);
    // The server hands it to whoever listens, and only then does the stream refuse it.
    let of_an_old_revision = world.on(world.claims.write(&record, 0)).unwrap();
    assert_eq!(of_an_old_revision, Swap::Lost);
    std::fs::write(&go, "").unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(pod.termination()["outcome"], "succeeded");
    assert_eq!(world.told(), ["claimed 1/1", "started 1/1", "succeeded 1/1"]);
}
