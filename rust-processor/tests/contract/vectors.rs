//! Messages: each folder says what is expected of the files in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::testdata;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tallyman_processor::contract::{Event, Fault, Json, RunRecord, Task, UnitRecord};

/// Decodes bytes of one kind and encodes what was decoded.
pub type Codec = fn(&[u8]) -> Result<Result<Vec<u8>, Fault>, Fault>;

pub const KINDS: [(&str, Codec); 4] = [
    ("task", |bytes| Task::decode(bytes).map(|task| task.encode())),
    ("event", |bytes| Event::decode(bytes).map(|event| event.encode())),
    ("unit", |bytes| UnitRecord::decode(bytes).map(|unit| unit.encode())),
    ("run", |bytes| RunRecord::decode(bytes).map(|run| run.encode())),
];
pub const FOLDERS: [&str; 4] = ["valid", "tolerated", "invalid", "malformed"];

pub struct Vector {
    path: String,
    pub bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Generated {
    name: String,
    prefix: String,
    repeat: String,
    count: usize,
    #[serde(default)]
    middle: String,
    #[serde(default)]
    close: String,
    suffix: String,
}

pub fn vectors(kind: &str, folder: &str) -> Vec<Vector> {
    let place = format!("{kind}/{folder}");
    let files = fs::read_dir(testdata().join(&place)).unwrap_or_else(|e| panic!("{place}: {e}"));
    let mut all: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .map(|path| Vector {
            path: format!("{place}/{}", path.file_name().unwrap().to_str().unwrap()),
            bytes: fs::read(&path).unwrap(),
        })
        .collect();
    assert!(!all.is_empty(), "{place} is empty");
    let generated: Vec<Generated> =
        serde_json::from_slice(&fs::read(testdata().join("generated.json")).unwrap()).unwrap();
    assert!(!generated.is_empty(), "generated.json is empty");
    all.extend(
        generated
            .into_iter()
            .filter(|g| Path::new(&g.name).parent() == Some(Path::new(&place)))
            .map(|g| {
                let text = g.prefix + &g.repeat.repeat(g.count) + &g.middle + &g.close.repeat(g.count) + &g.suffix;
                Vector {
                    path: g.name,
                    bytes: text.into_bytes(),
                }
            }),
    );
    all
}

#[test]
fn every_vector_is_decoded_as_its_place_says() {
    let mut faults = Vec::new();
    for (kind, codec) in KINDS {
        for folder in FOLDERS {
            for vector in vectors(kind, folder) {
                let fault = match folder {
                    "valid" => accepted(&vector.bytes, codec, true),
                    "tolerated" => accepted(&vector.bytes, codec, false),
                    _ => refused(&vector, codec),
                };
                faults.extend(fault.err().map(|fault| format!("{}: {fault}", vector.path)));
            }
        }
    }
    assert!(faults.is_empty(), "{} vectors:\n{}", faults.len(), faults.join("\n"));
}

fn accepted(bytes: &[u8], codec: Codec, same: bool) -> Result<(), String> {
    let encoded = codec(bytes).map_err(|fault| format!("refused: {fault}"))?;
    let encoded = encoded.map_err(|fault| format!("not encoded: {fault}"))?;
    if same {
        same_value(bytes, &encoded)?;
    }
    match codec(&encoded) {
        Ok(Ok(again)) if again == encoded => Ok(()),
        other => Err(format!(
            "encoded again it is {:?}",
            other.map(|again| again.map(String::from_utf8))
        )),
    }
}

fn refused(vector: &Vector, codec: Codec) -> Result<(), String> {
    let name = vector.path.rsplit('/').next().unwrap();
    let code = name.split('.').next().unwrap();
    match codec(&vector.bytes) {
        Ok(_) => Err("accepted".to_owned()),
        Err(fault) if fault.code.as_str() == code => Ok(()),
        Err(fault) => Err(format!("refused otherwise: {fault}")),
    }
}

/// Equal as values, but what is not ours (a payload, a result) byte for byte, or token for token.
fn same_value(a: &[u8], b: &[u8]) -> Result<(), String> {
    let (a, b) = (fields(a), fields(b));
    if a.keys().ne(b.keys()) {
        return Err(format!("fields {:?} became {:?}", a.keys(), b.keys()));
    }
    for (key, raw) in &a {
        let (was, is) = (raw.get(), b[key].get());
        match key.as_str() {
            "data" => same_value(was.as_bytes(), is.as_bytes())?,
            "payload" if was == is => {}
            "result" if Json::parse(was) == Json::parse(is) => {}
            "payload" | "result" => return Err(format!("{key} was rewritten: {was} became {is}")),
            _ if value(was) == value(is) => {}
            _ => return Err(format!("{key}: {was} became {is}")),
        }
    }
    Ok(())
}

fn fields(bytes: &[u8]) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_slice(bytes).unwrap()
}

fn value(raw: &str) -> Value {
    serde_json::from_str(raw).unwrap()
}
