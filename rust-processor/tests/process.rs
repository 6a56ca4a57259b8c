//! The real binary, `processor work TYPE`: what it prints, what it leaves behind and how it exits.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// The binary in an environment of its own.
fn processor(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_processor"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

/// Runs `processor work TYPE` with the payload on stdin, as somebody would by hand.
fn by_hand(work_type: &str, payload: &str, vars: &[(&str, &str)]) -> Output {
    let mut command = processor(&["work", work_type]);
    command.envs(vars.iter().copied()).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A child that refuses its type or its environment exits without reading its payload.
    let _ = child.stdin.take().unwrap().write_all(payload.as_bytes());
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// The message of a failed attempt: the last line on stderr that is not empty.
fn message(output: &Output) -> &str {
    let stderr = std::str::from_utf8(&output.stderr).unwrap();
    stderr.lines().rev().find(|line| !line.is_empty()).unwrap_or_default()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// The profile that is printed for a payload.
fn profile(payload: &Value, data_dir: &str) -> Value {
    let vars = [("TALLYMAN_DATA_DIR", data_dir)];
    let output = by_hand("process-data", &payload.to_string(), &vars);
    assert_eq!(code(&output), 0, "{}", message(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn e1_the_originals_fifty_lines_and_nothing_else() {
    let output = by_hand("process-data", r#"{"pauseMs":0,"failureRate":0}"#, &[]);
    let want: Vec<String> = (1..=50).map(|n| format!("processed {} records", n * 100)).collect();
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), want);
    assert_eq!((code(&output), output.stderr.as_slice()), (0, b"".as_slice()));
}

#[test]
fn e1_the_pause_is_real() {
    let start = std::time::Instant::now();
    let output = by_hand("process-data", r#"{"records":300,"failureRate":0}"#, &[]);
    assert_eq!((code(&output), stdout(&output).lines().count()), (0, 3));
    assert!(start.elapsed().as_millis() >= 300);
}

#[test]
fn e2_a_panic_has_rusts_text_and_code_and_its_message_comes_last() {
    let output = by_hand("process-data", r#"{"pauseMs":0,"failureRate":1}"#, &[]);
    assert_eq!(code(&output), 101);
    assert_eq!(message(&output), "Encountered error 1");
    let stderr = std::str::from_utf8(&output.stderr).unwrap();
    assert!(
        stderr.contains("thread 'main' panicked at src/work/process_data.rs:"),
        "{stderr}"
    );
}

// Real chance, so the bound is five standard deviations of 200 runs (3.41 % each): one false alarm in 1.7 million.
// The tight bound of the seed's row is held in process, over 2000 fixed seeds.
#[test]
fn e2_real_runs_succeed_about_as_often_as_the_originals() {
    let runs = 200;
    let codes: Vec<i32> = (0..runs)
        .map(|_| code(&by_hand("process-data", r#"{"pauseMs":0}"#, &[])))
        .collect();
    assert!(codes.iter().all(|code| [0, 101].contains(code)), "{codes:?}");
    let share = f64::from(u32::try_from(codes.iter().filter(|code| **code == 0).count()).unwrap()) / f64::from(runs);
    assert!((share - 0.3678).abs() <= 5.0 * 0.0341, "{share}");
}

#[test]
fn a_seed_fixes_the_outcome_of_every_attempt() {
    let ends = |seed: u32, attempt: &str| {
        let payload = format!(r#"{{"pauseMs":0,"seed":{seed}}}"#);
        let output = by_hand("process-data", &payload, &[("TALLYMAN_ATTEMPT", attempt)]);
        (code(&output), message(&output).to_owned())
    };
    let all: Vec<_> = (0..10)
        .flat_map(|seed| ["1", "2"].map(|attempt| ends(seed, attempt)))
        .collect();
    let again: Vec<_> = (0..10)
        .flat_map(|seed| ["1", "2"].map(|attempt| ends(seed, attempt)))
        .collect();
    assert_eq!(all, again);
    let mut different = all.clone();
    different.sort();
    different.dedup();
    assert!(different.len() > 8, "{all:?}");
}

#[test]
fn the_whole_contract_payload_file_result_file_progress_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("payload"), r#"{"records":250,"failureRate":0,"failAttempts":1}"#).unwrap();
    let vars = |attempt: &str| {
        [
            ("TALLYMAN_JOB_ID", "job-1".to_owned()),
            ("TALLYMAN_RUN", "1".to_owned()),
            ("TALLYMAN_ATTEMPT", attempt.to_owned()),
            ("TALLYMAN_PAYLOAD_FILE", path("payload")),
            ("TALLYMAN_RESULT_FILE", path("result")),
            ("TALLYMAN_PROGRESS_FILE", path("progress")),
        ]
    };
    let first = processor(&["work", "process-data"]).envs(vars("1")).output().unwrap();
    assert_eq!(code(&first), 1);
    assert_eq!(
        message(&first),
        "attempt 1 failed after 100 records as told by failAttempts 1"
    );
    assert!(!Path::new(&path("result")).exists());
    let second = processor(&["work", "process-data"]).envs(vars("2")).output().unwrap();
    assert_eq!(code(&second), 0);
    let result: Value = serde_json::from_slice(&fs::read(path("result")).unwrap()).unwrap();
    assert_eq!(result["records"], 250);
    let progress = fs::read_to_string(path("progress")).unwrap();
    assert!(progress.starts_with("100/250 records\n"), "{progress}");
}

/// A type, its payload and environment; the exit code and how the message begins.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], i32, &'a str);

#[test]
fn exit_codes_and_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().display().to_string();
    let big = " ".repeat(1024 * 1024 + 1);
    let here: &[(&str, &str)] = &[("TALLYMAN_STORE_DIR", &store), ("TALLYMAN_DATA_DIR", &store)];
    let table: [Case; 13] = [
        (
            "process-data",
            r#"{"records":10,"pauseMs":0,"failureRate":0}"#,
            &[],
            0,
            "",
        ),
        (
            "process-data",
            r#"{"records":"10"}"#,
            &[],
            65,
            "records: must be a whole number from 0 to 1000000000",
        ),
        ("process-data", "{", &[], 65, "payload: is not a JSON object: "),
        ("process-data", &big, &[], 65, "payload: is larger than 1048576 bytes"),
        (
            "process-data",
            "",
            &[("TALLYMAN_ATTEMPT", "0")],
            65,
            "TALLYMAN_ATTEMPT: must be a whole number from 1",
        ),
        ("process-data", r#"{"source":"no-such-file.csv"}"#, here, 1, "find /"),
        (
            "process-data",
            r#"{"source":"/etc/passwd","format":"csv"}"#,
            &[],
            65,
            "source: cannot be read without a data folder; set TALLYMAN_DATA_DIR",
        ),
        (
            "process-data",
            r#"{"source":"s3://b/k.csv"}"#,
            &[],
            65,
            "source: a s3 source cannot be read yet",
        ),
        (
            "probe",
            r#"{"target":"this.is.invalid","duration":"10"}"#,
            &[],
            1,
            "this.is.invalid cannot be resolved",
        ),
        ("probe", r#"{"target":"127.0.0.1","duration":"0"}"#, &[], 0, ""),
        (
            "store-event",
            r#"{"type":"a","ts":"2026-03-01"}"#,
            here,
            65,
            "store_id: is missing",
        ),
        ("store-event", "{}", &[], 65, "TALLYMAN_STORE_DIR: is not set"),
        ("no-such", "", &[], 65, "type \"no-such\" is not built in"),
    ];
    for (work_type, payload, vars, want, reason) in table {
        let output = by_hand(work_type, payload, vars);
        assert_eq!(code(&output), want, "{work_type}: {}", message(&output));
        assert!(message(&output).starts_with(reason), "{}", message(&output));
        assert!(std::str::from_utf8(&output.stderr).unwrap().lines().count() <= 1);
    }
}

#[test]
fn an_event_is_stored_under_its_job() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().display().to_string();
    let event = r#"{"event_type":"inventory_event","store_id":3,"ts":"2021-05-14T12:34:56.789012"}"#;
    let vars = [("TALLYMAN_STORE_DIR", store.as_str()), ("TALLYMAN_JOB_ID", "0199")];
    for _ in 0..2 {
        let output = by_hand("store-event", event, &vars);
        assert_eq!(code(&output), 0, "{}", message(&output));
        let stored = folder.path().join("type=inventory_event/dt=2021_05_14/0199.json");
        assert_eq!(fs::read_to_string(stored).unwrap(), event);
    }
}

#[test]
fn the_profile_of_orders_is_known() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/orders.csv");
    let mut got = profile(&json!({"source": source}), data);
    assert_eq!(got["source"], source);
    assert_eq!(got["bytes"], fs::metadata(source).unwrap().len());
    let whole = got.as_object_mut().unwrap();
    for file in ["source", "bytes", "durationMs"] {
        whole.remove(file);
    }
    let want = include_str!("data/orders.profile.json");
    assert_eq!(got, serde_json::from_str::<Value>(want).unwrap(), "{got:#}");
}

/// A file of about `megabytes` of plausible orders, with a different id in each row.
fn orders(path: &Path, megabytes: u64) -> u64 {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "id,placed,store,price,note").unwrap();
    let (mut rows, mut written) = (0, 0);
    while written < megabytes * 1_000_000 {
        let line = format!(
            "order-{rows},2026-03-{:02}T10:00:00Z,{},{}.25,\"a, note\"\n",
            rows % 28 + 1,
            rows % 10,
            rows % 500
        );
        file.write_all(line.as_bytes()).unwrap();
        written += line.len() as u64;
        rows += 1;
    }
    file.flush().unwrap();
    rows
}

/// The profile of a file by a child that may not have more than 16 MiB of data. The kernel enforces it (Linux since 4.7
/// counts all private writable memory but the stack), so a child that held a file of 50 MB would fail.
fn profile_in_16_mib(path: &Path) -> Value {
    let mut shell = Command::new("sh");
    let limited = format!(
        "ulimit -d 16384; exec '{}' work process-data",
        env!("CARGO_BIN_EXE_processor")
    );
    shell
        .args(["-c", &limited])
        .env("TALLYMAN_DATA_DIR", path.parent().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let payload = json!({"source": path}).to_string();
    child.stdin.take().unwrap().write_all(payload.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn fifty_megabytes_are_profiled_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv");
    let rows = orders(&path, 50);
    let got = profile_in_16_mib(&path);
    assert_eq!((&got["rows"], &got["badRows"]), (&rows.into(), &0.into()));
    let id = &got["columns"][0];
    let error = (id["distinct"].as_f64().unwrap() / rows as f64 - 1.0).abs();
    assert!(error <= 3.0 * id["distinctError"].as_f64().unwrap(), "{id}");
    let prices: f64 = (0..rows).map(|row| (row % 500) as f64 + 0.25).sum();
    assert_eq!(got["columns"][3]["mean"], prices / rows as f64);
}

#[test]
fn one_line_of_fifty_megabytes_is_one_bad_row() {
    let folder = tempfile::tempdir().unwrap();
    for (name, start, rest) in [
        ("zeros.csv", "a,b\n1,2\n", "\n3,4\n"),
        ("quote.csv", "a,b\n1,2\n\"", "\n3,4\n"),
        ("zeros.ndjson", "{\"a\":1}\n", "\n{\"a\":3}\n"),
    ] {
        let path = folder.path().join(name);
        let mut file = File::create(&path).unwrap();
        file.write_all(start.as_bytes()).unwrap();
        // A hole: fifty megabytes of NUL that take no disk.
        let end = 50_000_000;
        file.set_len(end).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(end)).unwrap();
        file.write_all(rest.as_bytes()).unwrap();
        let got = profile_in_16_mib(&path);
        // What follows a quote that is never closed belongs to it; else the next line is read as if nothing had been.
        let rows = if name == "quote.csv" { 1 } else { 2 };
        assert_eq!((&got["rows"], &got["badRows"]), (&rows.into(), &1.into()), "{name}");
        assert_eq!(got["badReasons"], json!({"tooLarge": 1}), "{name}");
    }
}

/// Runs what the README shows in its lines of shell, and expects what it says: each line, or where a line ends with
/// `…` its beginning.
#[test]
fn what_the_readme_shows_by_hand_is_what_happens() {
    let shell = format!(
        "PATH={}:$PATH",
        Path::new(env!("CARGO_BIN_EXE_processor")).parent().unwrap().display()
    );
    let readme = include_str!("../README.md");
    let mut shown = 0;
    for block in readme.split("$ echo ").skip(1) {
        let (typed, printed) = block.split("\n```").next().unwrap().split_once('\n').unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("{shell}; echo {typed}")])
            .output()
            .unwrap();
        let got: Vec<&str> = stdout(&output).lines().collect();
        let want: Vec<&str> = printed.lines().collect();
        assert_eq!(got.len(), want.len(), "{typed}: {got:?}");
        for (got, want) in got.iter().zip(want) {
            let as_shown = want
                .strip_suffix('…')
                .map_or(*got == want, |start| got.starts_with(start));
            assert!(as_shown, "{typed}: {got}");
        }
        shown += 1;
    }
    assert_eq!(shown, 2);
}

#[test]
fn install_puts_itself_and_its_certificates_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = processor(&["install", folder.path().to_str().unwrap()])
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{}", message(&output));
    }
    assert!(folder.path().join("ca.pem").exists());
    let installed = Command::new(folder.path().join("processor"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(stdout(&installed).starts_with("processor "), "{}", stdout(&installed));
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");

    let output = processor(&["install", "/no/such/folder"]).output().unwrap();
    assert_eq!(code(&output), 75);
    assert!(message(&output).contains("/no/such/folder"), "{}", message(&output));
}
