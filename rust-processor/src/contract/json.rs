//! One JSON value kept byte for byte: a result, which is the work's own and none of ours to rewrite.

use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::object::{compact, depth};

/// One JSON value as text, with no white space between its tokens, so that equal results are equal bytes. Only [`Json::parse`] and [`Json::string`] make one, so it is always valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// Takes text that is one JSON value.
    pub fn parse(text: &str) -> Option<Self> {
        Self::is(text).then(|| Self(compact(text)))
    }

    /// Whether text is one JSON value.
    pub fn is(text: &str) -> bool {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    /// Makes a JSON string of any text.
    pub fn string(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string())
    }

    /// How deep it is nested.
    pub fn depth(&self) -> i64 {
        depth(self.0.as_bytes())
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
