//! The rows so far: how many, how many bad, and the columns.

use std::collections::{BTreeMap, HashMap};

use super::COLUMN_LIMIT;
use super::cell::Kind;
use super::column::Column;
use crate::work::failure::Failure;

/// The lines of as many bad rows are remembered.
const BAD_LINES: usize = 100;

/// Why a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bad {
    /// It has more or fewer fields than the first row.
    FieldCount,
    /// It is not UTF-8.
    NotUtf8,
    /// It, or the name of one of its columns, is larger than the limit.
    TooLarge,
    /// It is not a JSON object.
    NotAnObject,
    /// It names a column twice.
    DuplicateKey,
}

impl Bad {
    /// The name of the reason in a result.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FieldCount => "fieldCount",
            Self::NotUtf8 => "notUtf8",
            Self::TooLarge => "tooLarge",
            Self::NotAnObject => "notAnObject",
            Self::DuplicateKey => "duplicateKey",
        }
    }
}

/// What is known of a file.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: u64,
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    bad: BTreeMap<Bad, u64>,
    bad_lines: Vec<u64>,
}

impl Table {
    /// Makes a column, and returns its place. Too many columns fail the whole file: a profile of some of them would look
    /// like one of all.
    pub fn add_column(&mut self, name: &str) -> Result<usize, Failure> {
        if self.columns.len() == COLUMN_LIMIT {
            return Err(too_many_columns());
        }
        let place = self.columns.len();
        self.by_name.insert(name.to_owned(), place);
        self.columns.push(Column::named(name.to_owned()));
        Ok(place)
    }

    /// The place of the column with this name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Takes in one value of the row that is being read.
    pub fn add(&mut self, place: usize, text: &str, kind: Kind) {
        if let Some(column) = self.columns.get_mut(place) {
            column.add(text, kind);
        }
    }

    /// Ends a row that was read whole.
    pub fn end_row(&mut self) {
        self.rows += 1;
    }

    /// Notes a row that could not be read. No value of it has been taken in.
    pub fn bad_row(&mut self, line: u64, why: Bad) {
        *self.bad.entry(why).or_default() += 1;
        if self.bad_lines.len() < BAD_LINES {
            self.bad_lines.push(line);
        }
    }

    /// The rows that were read whole.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns, in the order in which they were met.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many rows were bad, by reason.
    pub const fn bad(&self) -> &BTreeMap<Bad, u64> {
        &self.bad
    }

    /// The lines, counted from 1, at which the first bad rows begin.
    pub fn bad_lines(&self) -> &[u64] {
        &self.bad_lines
    }
}

/// The failure of a file that is too wide.
pub fn too_many_columns() -> Failure {
    Failure::of("source", format!("has more than {COLUMN_LIMIT} columns"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_rows_are_all_counted_and_the_first_hundred_located() {
        let mut table = Table::default();
        (1..=150).for_each(|line| table.bad_row(line, Bad::NotUtf8));
        assert_eq!(table.bad()[&Bad::NotUtf8], 150);
        assert_eq!(table.bad_lines(), (1..=100).collect::<Vec<u64>>());
    }

    #[test]
    fn columns_have_a_limit() {
        let mut table = Table::default();
        (0..COLUMN_LIMIT).for_each(|n| assert_eq!(table.add_column(&n.to_string()).unwrap(), n));
        let failure = table.add_column("one more").unwrap_err();
        assert_eq!(
            failure,
            Failure::Permanent("source: has more than 1000 columns".to_owned())
        );
    }
}
