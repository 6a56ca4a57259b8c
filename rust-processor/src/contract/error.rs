//! What can be wrong with bytes: a closed set of codes, shared with Go.

use std::fmt;

use super::words::words;

words! {
    /// What is wrong, in one word that programs may branch on.
    pub enum Code {
        /// Not JSON, not UTF-8, or more than one value.
        Malformed = "malformed",
        /// The first byte is not `{`.
        NotObject = "not_object",
        /// One key twice, so two readers could read two things.
        DuplicateKey = "duplicate_key",
        /// A required field is absent.
        MissingField = "missing_field",
        /// A known field is null; absent is how we say nothing.
        NullField = "null_field",
        /// A string where a number belongs, a fraction where an integer does.
        WrongType = "wrong_type",
        /// The right type, outside of what is allowed.
        InvalidValue = "invalid_value",
        /// Of a future version; leave it for those who know it.
        UnknownVersion = "unknown_version",
        /// Over a limit of size or number.
        TooLarge = "too_large",
        /// Nested deeper than the limit.
        TooDeep = "too_deep",
    }
}

/// A fault that a sender can mend: a code, the field that has it, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub code: Code,
    /// Where; empty for the whole.
    pub field: String,
    /// A sentence for a person.
    pub message: String,
}

impl Fault {
    /// Makes a fault; `field` may be empty.
    pub fn new(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            field: field.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "{}: {}", self.code, self.message)
        } else {
            write!(f, "{}: {}: {}", self.code, self.field, self.message)
        }
    }
}

impl std::error::Error for Fault {}

/// Writes a value of ours as JSON. What we write has string keys and sound numbers, so only a defect can fail.
pub(super) fn encoded(value: &impl serde::Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(|e| Fault::new(Code::Malformed, "", e.to_string()))
}
