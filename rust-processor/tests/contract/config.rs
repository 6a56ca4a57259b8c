//! Configurations: of each queue the same is read here as in Go.

use std::fs;

use serde::Deserialize;
use serde_json::Value;
use tallyman_processor::contract::config::Queue;

use super::testdata;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Valid {
    config: Value,
    want: Vec<WantQueue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantQueue {
    name: String,
    visibility_ms: u128,
    default_type: String,
    types: Vec<WantType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantType {
    name: String,
    timeout_ms: u128,
    command: Vec<String>,
}

fn vectors(folder: &str, least: usize) -> Vec<(String, Vec<u8>)> {
    let place = testdata().join("config").join(folder);
    let all: Vec<_> = fs::read_dir(&place)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    assert!(all.len() >= least, "{folder}: only {} vectors", all.len());
    all
}

#[test]
fn what_is_valid_is_read_as_in_go() {
    for (path, bytes) in vectors("valid", 14) {
        let valid: Valid = serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{path}: {e}"));
        let config = serde_json::to_vec(&valid.config).unwrap();
        for want in valid.want {
            let queue = Queue::decode(&config, &want.name).unwrap_or_else(|fault| panic!("{path}: {fault}"));
            assert_eq!(queue.visibility().as_millis(), want.visibility_ms, "{path}");
            assert_eq!(queue.default_type(), want.default_type, "{path}");
            for kind in want.types {
                let read = queue.job_type(&kind.name).unwrap();
                assert_eq!(
                    queue.timeout(read).as_millis(),
                    kind.timeout_ms,
                    "{path}: {}",
                    kind.name
                );
                assert_eq!(read.command, kind.command, "{path}: {}", kind.name);
            }
        }
    }
}

#[test]
fn what_a_newer_writer_may_say_is_let_pass() {
    for (path, bytes) in vectors("strict", 21) {
        if let Err(fault) = Queue::decode(&bytes, "default") {
            panic!("{path}: {fault}");
        }
    }
}

#[test]
fn what_nobody_can_read_is_refused() {
    let accepted: Vec<_> = vectors("refused", 57)
        .into_iter()
        .filter(|(_, bytes)| Queue::decode(bytes, "default").is_ok())
        .map(|(path, _)| path)
        .collect();
    assert!(accepted.is_empty(), "accepted: {accepted:#?}");
}
