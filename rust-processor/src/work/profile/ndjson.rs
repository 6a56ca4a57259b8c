//! NDJSON in, rows out: one JSON object on each line.
//!
//! Only the first level is looked at. What an object or an array inside it holds is never parsed, however deep it is.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cell::{self, Kind};
use super::source::Source;
use super::table::{Bad, Table};
use super::{COLUMN_LIMIT, NAME_LIMIT, ROW_LIMIT};
use crate::work::failure::Failure;
use crate::work::progress::Progress;

/// Progress is looked at once in as many lines.
const TELL_EVERY: u64 = 1024;

/// Reads the whole file into the table.
pub fn read(input: &mut Source, table: &mut Table, progress: &mut Progress) -> Result<(), Failure> {
    let mut line = Vec::new();
    let mut number = 0_u64;
    while let Some(whole) = next_line(input, &mut line)? {
        number += 1;
        if number.is_multiple_of(TELL_EVERY) {
            input.tell(table, progress);
        }
        let row = if whole { Row::parse(&line) } else { Err(Bad::TooLarge) };
        match row {
            Ok(None) => {}
            Ok(Some(row)) => row.enter(table)?,
            Err(why) => table.bad_row(number, why),
        }
    }
    Ok(())
}

/// Reads the next line without its end. `None` at the end of the file, false when only the start of the line fits.
fn next_line(input: &mut Source, line: &mut Vec<u8>) -> Result<Option<bool>, Failure> {
    line.clear();
    let (mut whole, mut any) = (true, false);
    loop {
        let chunk = input.chunk()?;
        if chunk.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = memchr::memchr(b'\n', chunk);
        let length = end.unwrap_or(chunk.len());
        whole &= line.len() + length <= ROW_LIMIT;
        if whole {
            line.extend_from_slice(chunk.get(..length).unwrap_or_default());
        }
        input.consume(length + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

/// The values of a line that was read whole, by the names of their columns. Nulls are left out.
struct Row<'a>(Vec<(Cow<'a, str>, Option<Value<'a>>)>);

type Value<'a> = (Cow<'a, str>, Kind);

impl<'a> Row<'a> {
    /// Parses a line; `None` when there is nothing on it.
    fn parse(line: &'a [u8]) -> Result<Option<Self>, Bad> {
        let text = std::str::from_utf8(line).map_err(|_| Bad::NotUtf8)?.trim_ascii();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.starts_with('{') {
            return Err(Bad::NotAnObject);
        }
        let Object(pairs) = serde_json::from_str(text).map_err(|_| Bad::NotAnObject)?;
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(Bad::DuplicateKey);
        }
        if names.iter().any(|name| name.len() > NAME_LIMIT) {
            return Err(Bad::TooLarge);
        }
        let values = pairs.into_iter().map(|(name, raw)| Ok((name, value(raw.get())?)));
        values.collect::<Result<_, Bad>>().map(|values| Some(Self(values)))
    }

    /// Takes the row into the table, which gets a column for each name that it has not met.
    fn enter(self, table: &mut Table) -> Result<(), Failure> {
        for (name, value) in self.0 {
            let place = match table.place(&name) {
                Some(place) => place,
                None => table.add_column(&name)?,
            };
            if let Some((text, kind)) = value {
                table.add(place, &text, kind);
            }
        }
        table.end_row();
        Ok(())
    }
}

/// The text and the kind of a value; `None` for null.
fn value(raw: &str) -> Result<Option<Value<'_>>, Bad> {
    Ok(match raw.as_bytes().first() {
        Some(b'n') => None,
        Some(b't' | b'f') => Some((Cow::Borrowed(raw), Kind::Boolean)),
        Some(b'{' | b'[') => Some((Cow::Borrowed(raw), Kind::Nested)),
        Some(b'"') => {
            let Text(text) = serde_json::from_str(raw).map_err(|_| Bad::NotAnObject)?;
            let kind = cell::of_string(&text);
            Some((text, kind))
        }
        _ => Some((Cow::Borrowed(raw), cell::number(raw).unwrap_or(Kind::Text))),
    })
}

/// A JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The pairs of a JSON object in the order in which they stand, which is the order of the columns.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut pairs = Vec::new();
        // A pair beyond the limit of columns is read, so that the table can refuse the file, and the rest is skipped.
        while let Some(Text(name)) = map.next_key()? {
            let value = map.next_value()?;
            if pairs.len() <= COLUMN_LIMIT {
                pairs.push((name, value));
            }
        }
        Ok(Object(pairs))
    }
}
