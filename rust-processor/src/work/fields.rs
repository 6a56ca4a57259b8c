//! The fields of a payload, taken one by one.
//!
//! A handler takes the fields it knows and then calls [`Fields::finish`], so that a misspelt knob is refused by its name
//! and never silently ignored. A value stays raw text until it is taken, so that depth and size of what nobody asks for
//! cannot hurt. Values are never quoted in a reason: payloads stay out of logs.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::failure::Failure;

/// A JSON object whose values have not been looked at yet.
#[derive(Debug, Default)]
pub struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// Parses a payload. Nothing at all, `null` and `{}` mean that every field has its default.
    pub fn parse(payload: &[u8]) -> Result<Self, Failure> {
        let text = std::str::from_utf8(payload)
            .map_err(|_| Failure::of("payload", "is not UTF-8"))?
            .trim_ascii();
        if text.is_empty() || text == "null" {
            return Ok(Self::default());
        }
        if !text.starts_with('{') {
            return Err(Failure::of("payload", "must be a JSON object"));
        }
        serde_json::from_str(text).map_err(|e| Failure::of("payload", format!("is not a JSON object: {e}")))
    }

    /// Takes a field as `T`; `None` when it is absent or null. `wanted` completes the sentence "must be …".
    pub fn take<T: DeserializeOwned>(&mut self, name: &str, wanted: &str) -> Result<Option<T>, Failure> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(raw) => serde_json::from_str(raw.get()).map_err(|_| Failure::of(name, format!("must be {wanted}"))),
        }
    }

    /// Takes a whole number within a range.
    pub fn whole(&mut self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Failure> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        match self.take(name, &wanted)? {
            Some(number) if !range.contains(&number) => Err(Failure::of(name, format!("must be {wanted}"))),
            taken => Ok(taken),
        }
    }

    /// Takes a string.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        self.take(name, "a string")
    }

    /// Refuses whatever was not taken; `known` is what could have been.
    pub fn finish(self, known: &[&str]) -> Result<(), Failure> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(Failure::of(
                &name,
                format!("is not known here; known are {}", known.join(", ")),
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Unique)
    }
}

/// Reads an object and refuses a key that stands in it twice, which every reader would otherwise resolve its own way.
struct Unique;

impl<'de> Visitor<'de> for Unique {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if fields.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::random::Random;

    #[test]
    fn nothing_null_and_an_empty_object_are_all_defaults() {
        for payload in ["", " \n", "null", "{}", " { } "] {
            let mut fields = Fields::parse(payload.as_bytes()).unwrap();
            assert_eq!(fields.whole("records", 0..=9).unwrap(), None, "{payload:?}");
            fields.finish(&["records"]).unwrap();
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let table: [&[u8]; 8] = [
            b"[1]",
            b"7",
            b"\"x\"",
            b"{",
            b"{\"a\":1}{}",
            b"{\"a\":1,\"a\":2}",
            b"\xff",
            b"nul",
        ];
        for payload in table {
            let failure = Fields::parse(payload).unwrap_err();
            assert!(failure.to_string().starts_with("payload: "), "{failure}");
            assert!(matches!(failure, Failure::Permanent(_)));
        }
    }

    #[test]
    fn a_wrong_value_is_refused_by_its_name_and_not_quoted() {
        let table = [
            (r#"{"records":"secret"}"#, "records: must be a whole number from 1 to 9"),
            (r#"{"records":10}"#, "records: must be a whole number from 1 to 9"),
            (r#"{"records":-1}"#, "records: must be a whole number from 1 to 9"),
            (r#"{"records":1.5}"#, "records: must be a whole number from 1 to 9"),
            (
                r#"{"recods":1}"#,
                "recods: is not known here; known are records, pauseMs",
            ),
        ];
        for (payload, want) in table {
            let mut fields = Fields::parse(payload.as_bytes()).unwrap();
            let failure = fields
                .whole("records", 1..=9)
                .and_then(|_| fields.finish(&["records", "pauseMs"]))
                .unwrap_err();
            assert_eq!(failure.to_string(), want);
        }
    }

    #[test]
    fn depth_that_nobody_asks_for_does_no_harm() {
        let deep = format!(r#"{{"a":1,"deep":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let mut fields = Fields::parse(deep.as_bytes()).unwrap();
        assert_eq!(fields.whole("a", 0..=1).unwrap(), Some(1));
        assert!(fields.text("deep").is_err());
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let alphabet = b"{}[]\":,\\ntrue01.e-\x00\xff \n";
        for seed in 0..20_000 {
            let mut random = Random::seeded(seed, 1);
            let bytes: Vec<u8> = (0..random.below(40)).map(|_| *random.pick(alphabet)).collect();
            if let Ok(mut fields) = Fields::parse(&bytes) {
                let _ = fields.text("t");
                let _ = fields.finish(&[]);
            }
        }
    }
}
