//! CSV in, rows out.
//!
//! The parser is `csv-core`, the one inside the `csv` crate, which writes into a buffer that we bring. The `csv` crate's
//! own buffer grows with the row, and one quote that is never closed would make it hold the rest of the file.

use super::cell;
use super::source::Source;
use super::table::{Bad, Table, too_many_columns};
use super::{COLUMN_LIMIT, NAME_LIMIT, ROW_LIMIT};
use crate::work::failure::Failure;
use crate::work::fields::Fields;
use crate::work::progress::Progress;

/// Progress is looked at once in as many rows.
const TELL_EVERY: u64 = 1024;

/// How a file of CSV is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What stands between two fields.
    pub delimiter: u8,
    /// Whether the first row names the columns.
    pub header: bool,
}

impl Dialect {
    /// Takes the dialect from the payload.
    pub fn take(fields: &mut Fields, usual: u8) -> Result<Self, Failure> {
        let delimiter = match fields.text("delimiter")?.as_deref().map(str::as_bytes) {
            None => usual,
            Some([byte]) if byte.is_ascii() && !b"\"\r\n\0".contains(byte) => *byte,
            Some(_) => {
                return Err(Failure::of(
                    "delimiter",
                    "must be one ASCII character, no quote and no line end",
                ));
            }
        };
        let header = fields.take("header", "true or false")?.unwrap_or(true);
        Ok(Self { delimiter, header })
    }
}

/// Reads the whole file into the table.
pub fn read(input: &mut Source, dialect: &Dialect, table: &mut Table, progress: &mut Progress) -> Result<(), Failure> {
    let mut rows = Rows::new(dialect.delimiter);
    let mut seen = 0_u64;
    while rows.next(input)? {
        seen += 1;
        if seen.is_multiple_of(TELL_EVERY) {
            input.tell(table, progress);
        }
        if table.columns().is_empty() {
            name_columns(&rows, dialect.header, table)?;
            if dialect.header {
                continue;
            }
        }
        take_row(&rows, table);
    }
    Ok(())
}

fn take_row(rows: &Rows, table: &mut Table) {
    let fields = match rows.fields() {
        Ok(fields) if fields.len() == table.columns().len() => fields,
        Ok(_) => return table.bad_row(rows.line, Bad::FieldCount),
        Err(why) => return table.bad_row(rows.line, why),
    };
    for (place, text) in fields.iter().enumerate() {
        // An empty field is null: CSV has no other way to say it.
        if !text.is_empty() {
            table.add(place, text, cell::of_text(text));
        }
    }
    table.end_row();
}

/// Names the columns by the first row, or by their number where it is no header. A first row that cannot be read fails
/// the file, since nothing after it would mean anything.
fn name_columns(rows: &Rows, header: bool, table: &mut Table) -> Result<(), Failure> {
    let unreadable = |why: Bad| match why {
        Bad::FieldCount => too_many_columns(),
        why => Failure::of("source", format!("has a first row that cannot be read: {}", why.name())),
    };
    let fields = rows.fields().map_err(unreadable)?;
    for (place, text) in fields.iter().enumerate() {
        let number = place + 1;
        let name = match *text {
            _ if !header => format!("column {number}"),
            "" => format!("column {number}"),
            _ if text.len() > NAME_LIMIT => return Err(unreadable(Bad::TooLarge)),
            _ if table.place(text).is_some() => format!("{text} (column {number})"),
            name => name.to_owned(),
        };
        table.add_column(&name)?;
    }
    Ok(())
}

/// One row at a time, in buffers that never grow.
struct Rows {
    parser: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// How many of `ends` are of the row.
    fields: usize,
    /// The row did not fit the buffers, and only its end was read.
    overflowed: Option<Bad>,
    /// The line at which the row begins.
    line: u64,
    next_line: u64,
}

impl Rows {
    fn new(delimiter: u8) -> Self {
        Self {
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            text: vec![0; ROW_LIMIT],
            ends: vec![0; COLUMN_LIMIT + 1],
            fields: 0,
            overflowed: None,
            line: 1,
            next_line: 1,
        }
    }

    /// Reads the next row; false at the end.
    fn next(&mut self, input: &mut Source) -> Result<bool, Failure> {
        self.skip_line_ends(input)?;
        self.line = self.next_line;
        self.overflowed = None;
        let (mut text, mut end) = (0, 0);
        loop {
            let chunk = input.chunk()?;
            let (state, read, written, ended) = self.parser.read_record(
                chunk,
                self.text.get_mut(text..).unwrap_or_default(),
                self.ends.get_mut(end..).unwrap_or_default(),
            );
            self.next_line += line_ends(chunk.get(..read).unwrap_or_default());
            input.consume(read);
            text += written;
            end += ended;
            match state {
                csv_core::ReadRecordResult::InputEmpty => {}
                csv_core::ReadRecordResult::OutputFull => {
                    self.overflowed = Some(Bad::TooLarge);
                    text = 0;
                }
                csv_core::ReadRecordResult::OutputEndsFull => {
                    self.overflowed = self.overflowed.or(Some(Bad::FieldCount));
                    end = 0;
                }
                csv_core::ReadRecordResult::Record => {
                    self.fields = end;
                    return Ok(true);
                }
                csv_core::ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// Goes past empty lines, which the parser skips too, but without saying at which line its row begins.
    fn skip_line_ends(&mut self, input: &mut Source) -> Result<(), Failure> {
        loop {
            let chunk = input.chunk()?;
            let skipped = chunk.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if skipped == 0 {
                return Ok(());
            }
            self.next_line += line_ends(chunk.get(..skipped).unwrap_or_default());
            input.consume(skipped);
        }
    }

    /// The fields of the row that was read last.
    fn fields(&self) -> Result<Vec<&str>, Bad> {
        if let Some(why) = self.overflowed {
            return Err(why);
        }
        let ends = self.ends.get(..self.fields).unwrap_or_default();
        let length = ends.last().copied().unwrap_or_default();
        let text = self.text.get(..length).unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| Bad::NotUtf8)?;
        let mut start = 0;
        ends.iter()
            .map(|end| {
                // A field may end inside a character only if the bytes of two fields together happen to be one.
                let field = text.get(start..*end).ok_or(Bad::NotUtf8);
                start = *end;
                field
            })
            .collect()
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
