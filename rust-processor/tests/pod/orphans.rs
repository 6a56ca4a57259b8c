//! `processor run` as the parent of what its work leaves behind, as PID 1 of a pod is.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{getpid, set_child_subreaper};
use serde_json::json;

use super::jobs::shell;
use super::pods::{Pod, appears, holds};
use super::world::World;

/// Names the program that [`becomes_the_parent_of_orphans`] becomes.
const PROGRAM: &str = "PROGRAM_TO_BECOME";

/// `run` as the parent of orphans. Only a process itself can ask for that, and it stays so in the program that it
/// becomes; so this very program is started for its one test that does both. It needs no rights, as PID 1 of a namespace
/// of its own would.
fn adopting(pod: &Pod) -> Command {
    let run = pod.command("run");
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "--ignored", "orphans::becomes_the_parent_of_orphans"])
        .env_clear()
        .envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env(PROGRAM, run.get_program())
        .current_dir(pod.dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null()); // of the tests' own program
    command
}

#[test]
#[ignore = "not a test but a program, which another test starts"]
fn becomes_the_parent_of_orphans() {
    if let Some(program) = env::var_os(PROGRAM) {
        set_child_subreaper(Some(getpid())).unwrap();
        panic!("{}", Command::new(program).arg("run").env_remove(PROGRAM).exec());
    }
}

/// The parent of a process, and whether it is a zombie; none of what is no more.
fn parent(pid: &str) -> Option<(u32, bool)> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let zombie = fields.next()? == "Z";
    Some((fields.next()?.parse().ok()?, zombie))
}

#[test]
fn orphans_that_end_are_no_zombies_while_the_work_goes_on() {
    let world = World::new();
    let path = |name: &str| world.path(name).display().to_string();
    let (pids, die, end) = (path("pids"), path("die"), path("end"));
    // Each orphan's parent, a subshell, ends at once; the last has a session, and so a process group, of its own.
    let orphan = format!("sh -c 'echo $$ >> {pids}; until [ -e {die} ]; do sleep 0.05; done'");
    let command =
        format!("({orphan} &); ({orphan} &); (setsid {orphan} &); until [ -e {end} ]; do sleep 0.05; done; exit 3");
    world.send(&shell(&command).1);
    let pod = world.claimed("u", 0);
    let mut run = adopting(&pod).spawn().unwrap();
    appears(Path::new(&pids));
    holds("three orphans live", || {
        fs::read_to_string(&pids).unwrap().lines().count() == 3
    });
    let orphans = fs::read_to_string(&pids).unwrap();
    holds("they are children of `run`", || {
        orphans.lines().all(|pid| parent(pid) == Some((run.id(), false)))
    });
    fs::write(&die, "").unwrap();
    let all_gone = || orphans.lines().all(|pid| parent(pid).is_none());
    holds("they are gone, and not as zombies", all_gone);
    assert_eq!(run.try_wait().unwrap(), None, "the work goes on");
    fs::write(&end, "").unwrap();
    // The work's own end is not lost among theirs.
    assert_eq!(run.wait().unwrap().code(), Some(1));
    assert_eq!(pod.termination()["exitCode"], json!(3));
}

/// Work that ends at once may have ended before anybody asks.
#[test]
fn the_end_of_short_work_is_never_missed() {
    let world = World::new();
    for i in 0..20 {
        world.send(&shell("(true &); (true &); exit 0").1);
        let pod = world.claimed(&format!("u{i}"), 0);
        let began = std::time::Instant::now();
        assert_eq!(adopting(&pod).status().unwrap().code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(20), "it was waited for in vain");
    }
}
