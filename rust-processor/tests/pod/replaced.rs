//! `processor run` whose work puts something else in the place of a file.

use serde_json::json;
use tallyman_processor::contract::{Json, Outcome};

use super::jobs::{shell, task};
use super::world::World;

/// The work owns the folder of these files, so it may put anything there: a pipe that nobody writes, or a file without
/// an end.
#[test]
fn a_result_that_is_no_regular_file_fails_the_job_for_good() {
    let world = World::new();
    let cases = [
        "mkfifo $TALLYMAN_RESULT_FILE",
        "ln -s /dev/zero $TALLYMAN_RESULT_FILE",
        "echo 7 > $TALLYMAN_RESULT_FILE.real; ln -s $TALLYMAN_RESULT_FILE.real $TALLYMAN_RESULT_FILE",
        "mkdir $TALLYMAN_RESULT_FILE",
    ];
    for (i, command) in cases.into_iter().enumerate() {
        world.send(&shell(command).1);
        let pod = world.claimed(&format!("u{i}"), 0);
        let output = pod.runs_in_time();
        let termination = pod.termination();
        assert_eq!(output.status.code(), Some(65), "{command}: {termination}");
        assert_eq!(
            (&termination["reason"], &termination["message"]),
            (
                &json!("AppError"),
                &json!("the result file cannot be read: it is not a regular file")
            ),
            "{command}"
        );
    }
}

/// The one thread must never wait for what the work left: it is what keeps the timeout and hears a cancel.
#[test]
fn progress_that_is_no_regular_file_is_ignored_and_holds_nothing_up() {
    let world = World::new();
    let ended = |unit: &str, kind: &str, command: &str, code: i32| {
        world.send(&task(kind, &command.into()).1);
        let pod = world.claimed(unit, 0);
        let output = pod.runs_in_time();
        assert_eq!(output.status.code(), Some(code), "{command}: {}", pod.termination());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let about = said
            .lines()
            .filter(|line| line.contains("the progress file cannot be read"));
        assert_eq!(about.count(), 1, "{command}: {said}");
        assert!(said.contains("it is not a regular file"), "{command}: {said}");
    };
    ended("u", "quick", "mkfifo $TALLYMAN_PROGRESS_FILE; exec sleep 50", 124);
    let rest = "; sleep 0.6; echo 7 > $TALLYMAN_RESULT_FILE"; // past two looks
    for (unit, command) in [
        ("v", "mkfifo $TALLYMAN_PROGRESS_FILE"),
        ("w", "ln -s /dev/zero $TALLYMAN_PROGRESS_FILE"),
        ("x", "mkdir $TALLYMAN_PROGRESS_FILE"),
    ] {
        ended(unit, "sh", &format!("{command}{rest}"), 0);
        assert_eq!(world.unit(unit).unwrap().result, Json::parse("7"));
    }
}

/// The folder of the termination message may be the work's, too, where no kubelet mounts it.
#[test]
fn a_termination_message_that_is_a_pipe_holds_nothing_up() {
    let world = World::new();
    world.send(&shell("mkfifo ${TALLYMAN_RESULT_FILE%/*}/termination").1);
    let pod = world.claimed("u", 0);
    std::fs::remove_file(pod.dir.path().join("termination")).unwrap();
    let output = pod.runs_in_time();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("the termination message could not be written"),
        "{output:?}"
    );
    assert_eq!(world.unit("u").unwrap().outcome, Some(Outcome::Succeeded));
}
