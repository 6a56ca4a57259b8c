//! `store-event`: an event, checked and written once per job into the store.
//!
//! The key is `type=<type>/dt=<YYYY_MM_DD>/<job id>.json`. All three parts come from the task itself and none from the
//! clock, so that every attempt writes the same key, and a retry replaces what the attempt before it may have written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::World;
use super::attempt::{Attempt, is_token_byte};
use super::calendar;
use super::failure::Failure;
use super::fields::Fields;
use super::outcome::Outcome;
use super::whole_file::{self, Lasting};

/// A type becomes the name of a folder.
const TYPE_LIMIT: usize = 64;

/// The part of `ts` that names the day.
const DAY: usize = "YYYY-MM-DD".len();

#[derive(Serialize)]
struct Stored {
    key: String,
    bytes: usize,
}

/// Does one attempt. See the README for the payload.
pub fn work(attempt: &Attempt, payload: &[u8], world: &mut World) -> Result<Outcome, Failure> {
    let root = attempt.store_dir.as_deref().ok_or_else(|| {
        Failure::of(
            "TALLYMAN_STORE_DIR",
            "is not set; it names the folder that events are stored in",
        )
    })?;
    let folder = folder(Fields::parse(payload)?)?;
    put(root, &folder, attempt, payload).map_err(|e| Failure::while_doing("store the event", e))?;
    world.progress.at(1, 1, "event stored");
    Outcome::kept(&Stored {
        key: format!("{}/{}.json", folder.display(), attempt.job_id),
        bytes: payload.len(),
    })
}

/// Checks the event, and names the folder it belongs into. Its other fields are nobody's business here.
fn folder(mut event: Fields) -> Result<PathBuf, Failure> {
    if event.take("bad_msg", "true or false")? == Some(true) {
        return Err(Failure::of("bad_msg", "is true; the event says itself that it is bad"));
    }
    if event.take::<Value>("store_id", "a number or a string")?.is_none() {
        return Err(Failure::of("store_id", "is missing"));
    }
    let kind = match event.text("type")? {
        Some(kind) => Some(kind),
        None => event.text("event_type")?,
    };
    let kind = kind.filter(|kind| !kind.is_empty()).ok_or_else(|| {
        Failure::of(
            "type",
            "is missing, and so is event_type; one of them must name the kind of event",
        )
    })?;
    let day = event
        .text("ts")?
        .and_then(|ts| day(&ts))
        .ok_or_else(|| Failure::of("ts", "must be an ISO 8601 time, such as 2026-03-01T09:30:00"))?;
    Ok(Path::new(&format!("type={}", token(&kind))).join(format!("dt={day}")))
}

/// The kind of event as the name of a folder.
fn token(kind: &str) -> String {
    kind.chars()
        .take(TYPE_LIMIT)
        .map(|c| {
            if u8::try_from(c).is_ok_and(is_token_byte) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// The day as it stands in `ts`: the day of the store that the event happened in, whatever its zone.
fn day(ts: &str) -> Option<String> {
    calendar::moment(ts)?;
    Some(ts.get(..DAY)?.replace('-', "_"))
}

fn put(root: &Path, folder: &Path, attempt: &Attempt, payload: &[u8]) -> io::Result<()> {
    // The root is never made: where a volume is missing, a new folder would take the events and lose them with the pod.
    if !root.is_dir() {
        let message = format!("{} is not a folder that exists", root.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    let target = root.join(folder);
    fs::create_dir_all(&target)?;
    let part = |n: u32| target.join(format!(".{}.{}.{n}.part", attempt.job_id, attempt.run));
    let path = target.join(format!("{}.json", attempt.job_id));
    whole_file::write(&path, &part(attempt.attempt), payload, Lasting::PowerCut)?;
    for killed in 1..attempt.attempt.min(PARTS_CLEARED) {
        // What an attempt that was killed left half written is only waste; a failure to remove it is not the event's.
        let _ = fs::remove_file(part(killed));
    }
    sync_names(root, folder)
}

/// A unit has at most 32 attempts, so no more parts can have been left behind.
const PARTS_CLEARED: u32 = 32;

/// Brings the names of the folders that may be new to the disk.
fn sync_names(root: &Path, folder: &Path) -> io::Result<()> {
    folder
        .ancestors()
        .skip(1)
        .try_for_each(|above| whole_file::sync_folder(&root.join(above)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::tests::tried;

    const SALE: &str = r#"{"type":"sale_event","store_id":7,"price":1.10,"ts":"2026-03-01T23:30:00.123456"}"#;

    fn into_store(root: &Path, number: u32) -> Attempt {
        Attempt {
            job_id: "job-1".to_owned(),
            attempt: number,
            store_dir: Some(root.to_owned()),
            ..Attempt::default()
        }
    }

    fn files(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        found
    }

    #[test]
    fn l3_an_event_is_stored_byte_for_byte_and_a_retry_writes_the_same_key() {
        let root = tempfile::tempdir().unwrap();
        let key = "type=sale_event/dt=2026_03_01/job-1.json";
        let half = root.path().join("type=sale_event/dt=2026_03_01/.job-1.1.1.part");
        for number in 1..=3 {
            let (outcome, _) = tried(work, &into_store(root.path(), number), SALE);
            let want = format!(r#"{{"key":"{key}","bytes":{}}}"#, SALE.len());
            assert_eq!(outcome.unwrap().json(), want.as_bytes());
            assert_eq!(files(root.path()), [key]);
            assert_eq!(fs::read_to_string(root.path().join(key)).unwrap(), SALE);
            fs::write(&half, "{").unwrap();
        }
    }

    #[test]
    fn c3_a_bad_event_is_a_permanent_failure_and_stores_nothing() {
        let table = [
            ("", "store_id: is missing"),
            (r#"{"type":"a","ts":"2026-03-01"}"#, "store_id: is missing"),
            (
                r#"{"type":"a","ts":"2026-03-01","store_id":null}"#,
                "store_id: is missing",
            ),
            (
                r#"{"type":"a","ts":"2026-03-01","store_id":1,"bad_msg":true}"#,
                "bad_msg: is true",
            ),
            (
                r#"{"type":"a","ts":"2026-03-01","store_id":1,"bad_msg":1}"#,
                "bad_msg: must be true or false",
            ),
            (
                r#"{"ts":"2026-03-01","store_id":1}"#,
                "type: is missing, and so is event_type",
            ),
            (r#"{"type":7,"ts":"2026-03-01","store_id":1}"#, "type: must be a string"),
            (r#"{"type":"a","store_id":1}"#, "ts: must be an ISO 8601 time"),
            (
                r#"{"type":"a","store_id":1,"ts":"2026-02-30"}"#,
                "ts: must be an ISO 8601 time",
            ),
            (r#"{"type":"a","store_id":1,"ts":1772323200}"#, "ts: must be a string"),
            ("[1]", "payload: must be a JSON object"),
        ];
        let root = tempfile::tempdir().unwrap();
        for (payload, want) in table {
            let (outcome, _) = tried(work, &into_store(root.path(), 1), payload);
            let failure = outcome.unwrap_err();
            assert!(failure.to_string().starts_with(want), "{payload}: {failure}");
            assert!(matches!(failure, Failure::Permanent(_)), "{payload}");
        }
        assert!(files(root.path()).is_empty());
    }

    #[test]
    fn a_type_cannot_leave_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let payload = r#"{"event_type":"../../ä b\u0000","store_id":"s","ts":"2026-03-01"}"#;
        tried(work, &into_store(root.path(), 1), payload).0.unwrap();
        assert_eq!(files(root.path()), ["type=________b_/dt=2026_03_01/job-1.json"]);
    }

    #[test]
    fn l4_a_store_that_fails_is_a_failed_attempt() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("type=sale_event"), "in the way").unwrap();
        for root in [folder.path().to_owned(), folder.path().join("missing")] {
            let (outcome, _) = tried(work, &into_store(&root, 1), SALE);
            let failure = outcome.unwrap_err();
            assert!(matches!(failure, Failure::Retryable(_)), "{failure}");
            assert!(failure.to_string().starts_with("store the event: "), "{failure}");
        }
        assert_eq!(files(folder.path()), ["type=sale_event"], "a missing root is not made");
    }

    #[test]
    fn a_store_that_is_not_configured_is_named() {
        let (outcome, _) = tried(work, &Attempt::default(), SALE);
        let failure = outcome.unwrap_err();
        assert!(failure.to_string().starts_with("TALLYMAN_STORE_DIR: is not set"));
        assert!(matches!(failure, Failure::Permanent(_)));
    }
}
