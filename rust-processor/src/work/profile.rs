//! `process-data` with a `source`: real records, described.
//!
//! | module | what it is |
//! |---|---|
//! | [`source`] | the file: where it may be, its format, its bytes, counted |
//! | [`csv`], [`ndjson`] | bytes in, rows out; a row that cannot be read is bad and the next one is not |
//! | [`table`] | the rows so far: how many, how many bad, and the columns |
//! | [`cell`] | one value: what kind it is |
//! | [`mod@column`] | one column: kinds, nulls, distinct values, smallest, largest, mean |
//! | [`distinct`] | how many different values, exactly for few and estimated for many |
//! | [`report`] | the result, made to fit its limit |
//!
//! Memory is bounded whatever the file holds: a row, the number of columns, and what a column remembers all have limits,
//! and nothing grows with the number of rows.

pub mod cell;
pub mod column;
pub mod csv;
pub mod distinct;
pub mod ndjson;
pub mod report;
pub mod source;
pub mod table;

use super::World;
use super::attempt::Attempt;
use super::failure::Failure;
use super::fields::Fields;
use super::outcome::Outcome;
use super::process_data::{as_told, told_to_fail, whole_millis};
use report::Report;
use source::{Format, Source};
use table::Table;

/// The most columns of a file.
pub const COLUMN_LIMIT: usize = 1000;

/// The largest row in bytes. A larger one is bad, and is skipped without being held.
pub const ROW_LIMIT: usize = 1024 * 1024;

/// The largest name of a column in bytes.
pub const NAME_LIMIT: usize = 256;

const KNOWN: [&str; 5] = ["source", "format", "delimiter", "header", "failAttempts"];

/// Reads the source whole, and describes it. `fields` is the payload without its `source`.
pub fn work(source: &str, mut fields: Fields, attempt: &Attempt, world: &mut World) -> Result<Outcome, Failure> {
    let start = world.clock.elapsed();
    let format = Format::take(source, &mut fields)?;
    let fail_attempts = fields.whole("failAttempts", 0..=u64::from(u32::MAX))?.unwrap_or(0);
    fields.finish(&KNOWN)?;
    if told_to_fail(attempt, fail_attempts) {
        return Err(as_told(attempt, fail_attempts, 0));
    }
    let mut input = Source::open(source, attempt.data_dir.as_deref())?;
    let mut table = Table::default();
    match &format {
        Format::Csv(dialect) => csv::read(&mut input, dialect, &mut table, &mut world.progress)?,
        Format::Ndjson => ndjson::read(&mut input, &mut table, &mut world.progress)?,
    }
    input.tell(&table, &mut world.progress);
    let took = whole_millis(world.clock.elapsed().saturating_sub(start));
    Report::of(source, &format, input.total(), took, &table).into_outcome()
}

#[cfg(test)]
mod tests;
