//! What the work left behind in its result file.

use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::contract::{Json, MAX_RESULT_BYTES};
use crate::regular;

/// Levels of nesting that are left for a result inside of an event.
const MAX_DEPTH: i64 = crate::contract::MAX_DEPTH - 2;

/// Reads a result of at most 32 KiB: JSON, any other text as a JSON string, nothing where there is
/// no file or an empty one. What cannot be a result is a fault, in words for the job's owner.
pub fn read(path: &Path) -> Result<Option<Json>, String> {
    let file = match regular::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("the result file cannot be read: {e}")),
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_RESULT_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|e| format!("the result file cannot be read: {e}"))?;
    let text = String::from_utf8_lossy(&bytes);
    if text.trim().is_empty() {
        return Ok(None);
    }
    let json = if bytes.len() > MAX_RESULT_BYTES {
        None
    } else {
        Json::parse(&text)
    };
    let json = json.unwrap_or_else(|| Json::string(&text));
    if json.as_str().len() > MAX_RESULT_BYTES {
        return Err(format!(
            "the result is larger than {MAX_RESULT_BYTES} bytes, the most that a job's document holds"
        ));
    }
    if json.depth() > MAX_DEPTH {
        return Err(format!("the result is nested deeper than {MAX_DEPTH} levels"));
    }
    Ok(Some(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(bytes: &[u8]) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        std::fs::write(&path, bytes).unwrap();
        read(&path).map(|json| json.map(|json| json.as_str().to_owned()))
    }

    #[test]
    fn json_stays_and_text_becomes_a_string() {
        assert_eq!(left(b" {\"b\": 1e400}\n"), Ok(Some("{\"b\":1e400}".to_owned())));
        assert_eq!(left(b"null"), Ok(Some("null".to_owned())));
        assert_eq!(left(b"done \"well\"\n"), Ok(Some(r#""done \"well\"\n""#.to_owned())));
        assert_eq!(left(b"\xff"), Ok(Some("\"\u{fffd}\"".to_owned())));
        assert_eq!(left(b" \n"), Ok(None));
        assert_eq!(read(Path::new("/nowhere")), Ok(None));
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_named() {
        let fits = format!("\"{}\"", "x".repeat(MAX_RESULT_BYTES - 2));
        assert!(left(fits.as_bytes()).is_ok());
        assert!(left(format!("{fits} ").as_bytes()).unwrap_err().contains("32768 bytes"));
        assert!(left("\n".repeat(20_000).as_bytes()).unwrap().is_none());
        assert!(
            left("\t.".repeat(16_000).as_bytes())
                .unwrap_err()
                .contains("32768 bytes")
        );
        let deep = "[".repeat(511) + &"]".repeat(511);
        assert!(left(deep.as_bytes()).unwrap_err().contains("510 levels"));
    }
}
