//! One JSON value kept byte for byte: a result, which is the work's own and none of ours to rewrite.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value as text. Only [`Json::parse`] and [`Json::string`] make one, so it is always valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// Takes text that is one JSON value; white space around it goes.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        serde_json::from_str::<&RawValue>(text).ok().map(|_| Self(text.to_owned()))
    }

    /// Makes a JSON string of any text.
    pub fn string(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string())
    }

    /// How deep it is nested.
    pub fn depth(&self) -> i64 {
        super::object::depth(self.0.as_bytes())
    }

    /// The JSON as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}
