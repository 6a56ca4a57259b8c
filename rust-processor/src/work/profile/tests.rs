//! Whole files in, whole profiles out.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::work::outcome;
use crate::work::process_data;
use crate::work::random::Random;
use crate::work::tests::tried;

/// The profile of these bytes, by the public way in.
fn profiled(name: &str, bytes: &[u8], knobs: &Value) -> Result<Value, Failure> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    let mut payload = knobs.clone();
    payload["source"] = name.into();
    let result = profile_of(folder.path(), &payload)?;
    assert!(result.len() <= outcome::LIMIT, "{}", result.len());
    Ok(serde_json::from_slice(&result).unwrap())
}

fn profile_of(data_dir: &Path, payload: &Value) -> Result<Vec<u8>, Failure> {
    let attempt = Attempt {
        data_dir: Some(data_dir.to_owned()),
        ..Attempt::default()
    };
    let (outcome, out) = tried(process_data::work, &attempt, &payload.to_string());
    assert_eq!(out, "", "a handler leaves printing to whoever delivers its outcome");
    Ok(outcome?.json().to_vec())
}

fn csv(text: &str) -> Value {
    profiled("t.csv", text.as_bytes(), &json!({})).unwrap()
}

fn ndjson(text: &str) -> Value {
    profiled("t.ndjson", text.as_bytes(), &json!({})).unwrap()
}

/// What the profiles of the same rows in two formats have in common.
fn rows_and_columns(mut profile: Value) -> Value {
    let whole = profile.as_object_mut().unwrap();
    for of_the_file in ["source", "format", "bytes", "durationMs"] {
        assert!(whole.remove(of_the_file).is_some());
    }
    profile
}

/// A value that CSV and NDJSON can both say: never an empty string, and never a string that looks like something else.
fn any_value(random: &mut Random) -> Value {
    match random.below(8) {
        0 => Value::Null,
        1 => json!(random.below(100)),
        2 => json!(-(i64::try_from(random.below(1 << 40)).unwrap())),
        3 => json!(random.share() * 1000.0 - 500.0),
        4 => json!(random.below(2) == 0),
        5 => json!(format!("2026-{:02}-{:02}", random.below(12) + 1, random.below(28) + 1)),
        6 => json!(format!("2026-03-01T{:02}:00:00Z", random.below(24))),
        _ => json!(random.pick(&["a", "é \"quoted\"", "two\nlines", "co,mma", "\u{1F980}", "nul\0"])),
    }
}

fn as_csv_field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
        other => other.to_string(),
    }
}

#[test]
fn the_same_rows_have_the_same_profile_in_csv_and_in_ndjson() {
    for seed in 0..200 {
        let mut random = Random::seeded(seed, 1);
        let columns = random.below(6) + 2;
        let names: Vec<String> = (0..columns).map(|n| format!("c{n}")).collect();
        let (mut as_csv, mut as_ndjson) = (names.join(",") + "\n", String::new());
        for row in 0..=random.below(60) {
            // The first column is never null: a row of nothing but nulls may be an empty line in CSV, which is skipped.
            let values: Vec<Value> = std::iter::once(json!(row))
                .chain((1..columns).map(|_| any_value(&mut random)))
                .collect();
            let fields: Vec<String> = values.iter().map(as_csv_field).collect();
            as_csv += &(fields.join(",") + "\n");
            let object: Vec<String> = names
                .iter()
                .zip(&values)
                .map(|(name, value)| format!("\"{name}\":{value}"))
                .collect();
            as_ndjson += &["{", &object.join(","), "}\n"].concat();
        }
        assert_eq!(
            rows_and_columns(csv(&as_csv)),
            rows_and_columns(ndjson(&as_ndjson)),
            "seed {seed}"
        );
    }
}

#[test]
fn no_bytes_make_it_panic_and_every_line_is_accounted_for() {
    let alphabet = b"{}[]\":,\\n\n\n\r\ttrue01.e- a\x00\xff\xc3\xa9\"";
    for seed in 0..2000 {
        let mut random = Random::seeded(seed, 2);
        let bytes: Vec<u8> = (0..random.below(200)).map(|_| *random.pick(alphabet)).collect();
        for name in ["t.csv", "t.ndjson"] {
            let Ok(profile) = profiled(name, &bytes, &json!({})) else {
                continue;
            };
            let read = profile["rows"].as_u64().unwrap() + profile["badRows"].as_u64().unwrap();
            let lines = bytes
                .split(|byte| b"\r\n".contains(byte))
                .filter(|line| !line.is_empty())
                .count();
            assert!(read <= lines as u64, "seed {seed} {name}: {profile}");
            for column in profile["columns"].as_array().unwrap() {
                let (nulls, distinct) = (column["nulls"].as_u64().unwrap(), column["distinct"].as_u64().unwrap());
                assert!(
                    nulls + distinct <= profile["rows"].as_u64().unwrap(),
                    "seed {seed} {name}: {column}"
                );
            }
        }
    }
}

#[test]
fn every_bad_row_is_found_where_it_is() {
    let table = [
        (
            "t.csv",
            "a,b\r\n1,2\r\n1\r\n\r\n1,2,3\r\n\"x\ny\",2\r\n1\r\n".as_bytes(),
            json!([3, 5, 8]),
            json!({"fieldCount": 3}),
        ),
        ("t.csv", b"a\nb\n\xff\nc", json!([3]), json!({"notUtf8": 1})),
        // Two bytes that only together are a character, in two fields.
        ("t.csv", b"a,b\n\xc3,\xa9\n1,2\n", json!([2]), json!({"notUtf8": 1})),
        (
            "t.ndjson",
            b"{\"a\":1}\n\n[1]\n{\"a\":1,\"a\":2}\n{\"a\":\"\xff\"}\n{\"a\":\"\\ud800\"}\nnull\n{} {}\n{\"a\":2}",
            json!([3, 4, 5, 6, 7, 8]),
            json!({"notAnObject": 4, "duplicateKey": 1, "notUtf8": 1}),
        ),
    ];
    for (name, bytes, lines, reasons) in table {
        let profile = profiled(name, bytes, &json!({})).unwrap();
        assert_eq!((&profile["badLines"], &profile["badReasons"]), (&lines, &reasons));
    }
}

#[test]
fn a_bad_row_leaves_no_trace_in_the_columns() {
    let profile = ndjson("{\"a\":1}\n{\"b\":2,\"b\":3}\n{\"c\":9,\"a\":\"\\ud800\"}\n");
    assert_eq!(
        profile["columns"],
        json!([{"name": "a", "type": "integer", "nulls": 0, "distinct": 1, "min": 1, "max": 1, "mean": 1.0}])
    );
}

#[test]
fn dialects_of_csv() {
    let table: [(&[u8], Value, &[&str], u64); 7] = [
        (b"\xEF\xBB\xBFa;b\n1;2\n", json!({"delimiter": ";"}), &["a", "b"], 1),
        (
            b"1\t2\n3\t4\n",
            json!({"delimiter": "\t", "header": false}),
            &["column 1", "column 2"],
            2,
        ),
        (b"a,a,\n1,2,3\n", json!({}), &["a", "a (column 2)", "column 3"], 1),
        (b"a\r1\r2\r", json!({}), &["a"], 2),
        (b"a,b", json!({}), &["a", "b"], 0),
        (b"", json!({}), &[], 0),
        (b"\n\n", json!({"header": false}), &[], 0),
    ];
    for (bytes, knobs, names, rows) in table {
        let profile = profiled("t.csv", bytes, &knobs).unwrap();
        let got: Vec<&str> = profile["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            (got.as_slice(), profile["rows"].as_u64().unwrap()),
            (names, rows),
            "{profile}"
        );
    }
}

#[test]
fn columns_of_ndjson_come_as_they_are_met_and_what_is_missing_is_null() {
    let profile = ndjson("{\"b\":[1,2]}\n{\"a\":\"\",\"b\":{}}\n{}\n{\"a\":null}\n");
    assert_eq!(
        profile["columns"],
        json!([
            {"name": "b", "type": "json", "nulls": 2, "distinct": 2},
            {"name": "a", "type": "string", "nulls": 3, "distinct": 1, "min": "", "max": ""},
        ])
    );
}

#[test]
fn what_cannot_be_profiled_fails_for_good_and_says_why() {
    let [wide, wider] = [1, 5000].map(|more| vec!["x"; COLUMN_LIMIT + more].join(","));
    let wide_object: Map<String, Value> = (0..=COLUMN_LIMIT).map(|n| (format!("c{n}"), Value::Null)).collect();
    let wide_object = Value::Object(wide_object).to_string();
    let named = "x".repeat(NAME_LIMIT + 1);
    let table = [
        ("t.csv", wide.as_str(), json!({}), "source: has more than 1000 columns"),
        ("t.csv", wider.as_str(), json!({}), "source: has more than 1000 columns"),
        (
            "t.ndjson",
            wide_object.as_str(),
            json!({}),
            "source: has more than 1000 columns",
        ),
        (
            "t.csv",
            named.as_str(),
            json!({}),
            "source: has a first row that cannot be read: tooLarge",
        ),
        (
            "t.csv",
            "a",
            json!({"delimiter": ",,"}),
            "delimiter: must be one ASCII character",
        ),
        ("t.csv", "a", json!({"header": "yes"}), "header: must be true or false"),
        ("t.ndjson", "{}", json!({"header": true}), "header: is not known here"),
        (
            "t.csv",
            "a",
            json!({"records": 1}),
            "records: is not known here; known are source, format",
        ),
        ("t.bin", "a", json!({}), "format: cannot be told"),
    ];
    for (name, text, knobs, want) in table {
        let failure = profiled(name, text.as_bytes(), &knobs).unwrap_err();
        assert!(failure.to_string().starts_with(want), "{failure}");
        assert!(matches!(failure, Failure::Permanent(_)));
    }
}

#[test]
fn a_profile_of_any_size_fits_its_limit_and_says_what_went() {
    let table: [(usize, &str, usize, &[&str]); 4] = [
        (3, "value", 3, &[]),
        (
            200,
            "value of some length that is kept as an edge of its column",
            200,
            &["badLines", "stringEdges"],
        ),
        (300, "v", 300, &["badLines", "stringEdges", "kinds", "names"]),
        (
            COLUMN_LIMIT,
            "v",
            0,
            &["badLines", "stringEdges", "kinds", "names", "columns"],
        ),
    ];
    for (columns, value, kept, reduced) in table {
        let name = |n: usize| {
            if columns == 300 {
                format!("{n} {}", "long ".repeat(12))
            } else {
                format!("name {n}")
            }
        };
        let names: Vec<String> = (0..columns).map(name).collect();
        let text = format!("{}\n{}\nbad\n", names.join(","), vec![value; columns].join(","));
        let profile = csv(&text);
        let described = profile["columns"].as_array().unwrap().len();
        let left_out = profile["columnsLeftOut"].as_u64().unwrap_or_default();
        assert_eq!(described as u64 + left_out, columns as u64);
        assert!(described >= kept && described > 0, "{described}");
        let got: Vec<&str> = profile["reduced"]
            .as_array()
            .map_or(Vec::new(), |all| all.iter().map(|s| s.as_str().unwrap()).collect());
        assert_eq!(got, reduced);
    }
}

#[test]
fn progress_ends_with_the_last_byte() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.csv"), "a\n1\n2\n").unwrap();
    let attempt = Attempt {
        data_dir: Some(folder.path().to_owned()),
        progress_file: Some(folder.path().join("progress")),
        ..Attempt::default()
    };
    tried(process_data::work, &attempt, r#"{"source":"t.csv"}"#).0.unwrap();
    assert_eq!(
        fs::read_to_string(folder.path().join("progress")).unwrap(),
        "6/6 bytes, 2 rows\n"
    );
}

#[test]
fn attempts_fail_as_told_before_anything_is_read() {
    let failure = profiled("t.csv", b"a\n", &json!({"failAttempts": 1})).unwrap_err();
    assert_eq!(
        failure,
        Failure::Retryable("attempt 1 failed after 0 records as told by failAttempts 1".to_owned())
    );
}
