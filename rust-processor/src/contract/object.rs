//! Decoding that Go and Rust agree on, byte for byte.
//!
//! Plain serde and plain encoding/json disagree on half of the odd inputs (other case, duplicates, null, lone
//! surrogates, trailing bytes). These rules are few enough to be the same in both languages, and the vectors hold them
//! to it. A reader keeps the first fault and goes on with empty values, so that decoding reads as a list of fields.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;

use super::error::{Code, Fault};
use super::id::{valid_job_id, valid_label, valid_token};
use super::json::Json;
use super::time::Time;
use super::{MAX_DEPTH, MAX_FIELDS};
pub(super) use scan::{compact, depth};
use scan::{skip_space, skip_string, skip_value, unquote};

mod scan;

/// What a token is, in words.
pub const TOKEN: &str = "1 to 64 of A-Z a-z 0-9 _ -";

/// What a label is, in words.
pub fn label_form(limit: usize) -> String {
    format!("1 to {limit} printable ASCII characters without spaces")
}

/// The fields of one JSON object, and the first fault that was found in them.
pub struct Object<'a> {
    prefix: &'static str,
    fields: Vec<(String, &'a str)>,
    fault: Option<Fault>,
}

impl<'a> Object<'a> {
    /// Checks the whole of `bytes` once: size, UTF-8, depth, syntax, and no key twice at the top.
    pub fn open(bytes: &'a [u8], limit: usize) -> Result<Self, Fault> {
        if bytes.len() > limit {
            let message = format!("{} bytes, at most {limit} are allowed", bytes.len());
            return Err(Fault::new(Code::TooLarge, "", message));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Fault::new(Code::Malformed, "", "not UTF-8"))?;
        if depth(bytes) > MAX_DEPTH {
            return Err(Fault::new(Code::TooDeep, "", format!("nested deeper than {MAX_DEPTH}")));
        }
        if serde_json::from_str::<IgnoredAny>(text).is_err() {
            return Err(Fault::new(Code::Malformed, "", "not one JSON value"));
        }
        Self::split(text, "")
    }

    /// Cuts valid JSON into its fields without copying their values.
    pub fn split(text: &'a str, prefix: &'static str) -> Result<Self, Fault> {
        let bytes = text.as_bytes();
        if bytes.first() != Some(&b'{') {
            let field = prefix.trim_end_matches('.');
            return Err(Fault::new(Code::NotObject, field, "the first byte must be {"));
        }
        let mut object = Self {
            prefix,
            fields: Vec::new(),
            fault: None,
        };
        let mut at = skip_space(bytes, 1);
        while bytes.get(at) == Some(&b'"') {
            let quote = skip_string(bytes, at);
            let key = text.get(at..=quote).and_then(unquote);
            let key = key.ok_or_else(|| Fault::new(Code::Malformed, "", "a key is not text"))?;
            let start = skip_space(bytes, skip_space(bytes, quote + 1) + 1); // past the colon
            let end = skip_value(bytes, start);
            object.add(key, text.get(start..end).unwrap_or_default())?;
            at = skip_space(bytes, end);
            if bytes.get(at) == Some(&b',') {
                at = skip_space(bytes, at + 1);
            }
        }
        Ok(object)
    }

    fn add(&mut self, key: String, raw: &'a str) -> Result<(), Fault> {
        let field = || format!("{}{key}", self.prefix);
        if self.has(&key) {
            return Err(Fault::new(Code::DuplicateKey, field(), "stands twice"));
        }
        if self.fields.len() == MAX_FIELDS {
            return Err(Fault::new(
                Code::TooLarge,
                field(),
                format!("more than {MAX_FIELDS} fields"),
            ));
        }
        self.fields.push((key, raw));
        Ok(())
    }

    /// The first fault, or nothing where there is none.
    pub fn finish(self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)
    }

    /// Whether no fault has been found so far.
    pub const fn sound(&self) -> bool {
        self.fault.is_none()
    }

    /// Keeps a fault, unless there is one already.
    pub fn fail(&mut self, code: Code, key: &str, message: impl Into<String>) {
        if self.fault.is_none() {
            self.fault = Some(Fault::new(code, format!("{}{key}", self.prefix), message));
        }
    }

    /// The value of a field as it stands there.
    pub fn raw(&self, key: &str) -> Option<&'a str> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, raw)| *raw)
    }

    /// Whether the field is there, null or not.
    pub fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    /// Refuses a field that must not be there.
    pub fn absent(&mut self, key: &str, why: &str) {
        if self.has(key) {
            self.fail(Code::InvalidValue, key, why);
        }
    }

    /// The raw value of a field; a null is a fault, and so is the absence of a required one.
    pub fn want(&mut self, key: &str, required: bool) -> Option<&'a str> {
        match self.raw(key) {
            Some("null") => {
                self.fail(Code::NullField, key, "is null; leave it out instead");
                None
            }
            None if required => {
                self.fail(Code::MissingField, key, "is required");
                None
            }
            raw => raw,
        }
    }

    /// A string of at most `limit` bytes; empty where it is absent.
    pub fn text(&mut self, key: &str, required: bool, limit: usize) -> String {
        let Some(raw) = self.want(key, required) else {
            return String::new();
        };
        if !raw.starts_with('"') {
            self.fail(Code::WrongType, key, "must be a string");
            return String::new();
        }
        let text = unquote(raw);
        if text.is_none() {
            self.fail(Code::InvalidValue, key, "is not text");
        }
        let text = text.unwrap_or_default();
        if text.len() > limit {
            let message = format!("{} bytes, at most {limit} are allowed", text.len());
            self.fail(Code::TooLarge, key, message);
        }
        text
    }

    /// A string that `parse` must accept; an empty optional one is refused too.
    pub fn word<T>(&mut self, key: &str, required: bool, parse: impl Fn(&str) -> Option<T>, form: &str) -> Option<T> {
        let text = self.text(key, required, 4096);
        if !self.has(key) || !self.sound() {
            return None;
        }
        let value = parse(&text);
        if value.is_none() {
            self.fail(Code::InvalidValue, key, format!("must be {form}"));
        }
        value
    }

    fn checked(&mut self, key: &str, required: bool, check: impl Fn(&str) -> bool, form: &str) -> String {
        let own = |text: &str| check(text).then(|| text.to_owned());
        self.word(key, required, own, form).unwrap_or_default()
    }

    /// One token of a subject.
    pub fn token(&mut self, key: &str, required: bool) -> String {
        self.checked(key, required, valid_token, TOKEN)
    }

    /// A job's id.
    pub fn job_id(&mut self, key: &str, required: bool) -> String {
        self.checked(key, required, valid_job_id, "a UUID in lower case")
    }

    /// Printable ASCII without spaces.
    pub fn label(&mut self, key: &str, required: bool, limit: usize) -> String {
        self.checked(key, required, |text| valid_label(text, limit), &label_form(limit))
    }

    /// A word that must be this one.
    pub fn constant(&mut self, key: &str, required: bool, value: &str) {
        self.checked(key, required, |text| text == value, value);
    }

    /// A timestamp.
    pub fn time(&mut self, key: &str, required: bool) -> Option<Time> {
        self.word(key, required, Time::parse, "a time like 2026-11-21T16:00:00.000Z")
    }

    /// Digits without fraction and exponent; nothing of ours is negative, not even 0. 0 where it is absent.
    pub fn integer(&mut self, key: &str, required: bool, least: i64, most: i64) -> i64 {
        let Some(raw) = self.want(key, required) else {
            return 0;
        };
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
            self.fail(Code::WrongType, key, "must be an integer");
            return 0;
        }
        let number = raw
            .parse()
            .ok()
            .filter(|n| !raw.starts_with('-') && (least..=most).contains(n));
        if number.is_none() {
            self.fail(Code::InvalidValue, key, format!("must be {least} to {most}"));
        }
        number.unwrap_or_default()
    }

    /// An integer that may be absent.
    pub fn optional_integer(&mut self, key: &str, least: i64, most: i64) -> Option<i64> {
        self.has(key).then(|| self.integer(key, true, least, most))
    }

    /// true or false; false where it is absent.
    pub fn boolean(&mut self, key: &str) -> bool {
        let raw = self.want(key, false);
        if !matches!(raw, None | Some("true" | "false")) {
            self.fail(Code::WrongType, key, "must be true or false");
        }
        raw == Some("true")
    }

    /// Standard base64 with padding, of `least` to `most` bytes.
    pub fn bytes(&mut self, key: &str, required: bool, least: usize, most: usize) -> Option<Vec<u8>> {
        let text = self.text(key, required, most.div_ceil(3) * 4);
        if !self.has(key) || !self.sound() {
            return None;
        }
        let bytes = STANDARD.decode(text).ok();
        match bytes.as_ref().map(Vec::len) {
            None => self.fail(Code::InvalidValue, key, "must be base64"),
            Some(length) if length < least => self.fail(Code::InvalidValue, key, "is empty"),
            Some(length) if length > most => {
                self.fail(
                    Code::TooLarge,
                    key,
                    format!("{length} bytes, at most {most} are allowed"),
                );
            }
            Some(_) => {}
        }
        bytes
    }

    /// A list of at most `count` words that `check` accepts.
    pub fn words(&mut self, key: &str, count: usize, check: impl Fn(&str) -> bool, form: &str) -> Vec<String> {
        let Some(raw) = self.want(key, false) else {
            return Vec::new();
        };
        if !raw.starts_with('[') {
            self.fail(Code::WrongType, key, "must be a list of strings");
            return Vec::new();
        }
        let items = scan::items(raw);
        if items.len() > count {
            self.fail(
                Code::TooLarge,
                key,
                format!("{}, at most {count} are allowed", items.len()),
            );
            return Vec::new();
        }
        let items = items.into_iter().enumerate();
        items
            .map(|(i, item)| self.item(&format!("{key}[{i}]"), item, &check, form))
            .collect()
    }

    fn item(&mut self, key: &str, raw: &'a str, check: impl Fn(&str) -> bool, form: &str) -> String {
        let mut one = Self {
            prefix: self.prefix,
            fields: vec![(key.to_owned(), raw)],
            fault: self.fault.take(),
        };
        let text = one.checked(key, true, check, form);
        self.fault = one.fault;
        text
    }

    /// One JSON value of at most `limit` bytes; null is a value like any other.
    pub fn json(&mut self, key: &str, limit: usize) -> Option<Json> {
        let raw = self.raw(key)?;
        if raw.len() > limit {
            self.fail(
                Code::TooLarge,
                key,
                format!("{} bytes, at most {limit} are allowed", raw.len()),
            );
            return None;
        }
        Json::parse(raw)
    }

    /// Reads `v`, before anything else is judged: a newer writer may mean other things by the rest. There never was a
    /// version 0, so nobody need wait for a program that knows it.
    pub fn version(&mut self, newest: i64) {
        let version = self.integer("v", true, 1, (1 << 31) - 1);
        if self.sound() && version > newest {
            let message = format!("version {version} is not known here");
            self.fail(Code::UnknownVersion, "v", message);
        }
    }
}
