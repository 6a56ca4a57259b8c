//! The result: what is known of the file, made to fit the limit of a result.
//!
//! A profile never fails for its size. What is least needed goes first, one step at a time until it fits: the lines of
//! bad rows beyond the first ten, the smallest and largest strings, the kinds of mixed columns, long names, and at last
//! the columns at the end. `reduced` names the steps that were taken.

use std::collections::BTreeMap;

use serde::Serialize;

use super::column::{Column, Edge, Type, start_of};
use super::distinct::STANDARD_ERROR;
use super::source::Format;
use super::table::Table;
use crate::work::failure::Failure;
use crate::work::outcome::{self, Outcome};

/// What is left of the lines of bad rows, and of the name of a column, when room is needed.
const FEW_LINES: usize = 10;
const SHORT_NAME: usize = 32;

/// A step of reduction, by its name in a result.
type Step = (&'static str, fn(&mut Report));

/// The steps of reduction, the cheapest loss first.
const STEPS: [Step; 4] = [
    ("badLines", Report::keep_few_bad_lines),
    ("stringEdges", |report| report.each_column(Described::drop_string_edges)),
    ("kinds", |report| report.each_column(|column| column.kinds.clear())),
    ("names", |report| report.each_column(Described::shorten_name)),
];

/// The profile of a file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    source: String,
    format: &'static str,
    bytes: u64,
    duration_ms: u64,
    rows: u64,
    bad_rows: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    bad_reasons: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bad_lines: Vec<u64>,
    columns: Vec<Described>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reduced: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns_left_out: Option<usize>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    name: String,
    #[serde(rename = "type")]
    column_type: &'static str,
    nulls: u64,
    distinct: u64,
    /// Only there when `distinct` is an estimate: its standard error as a share of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct_error: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    kinds: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Shown {
    Integer(i64),
    Number(f64),
    Text(String),
}

impl From<Edge> for Shown {
    fn from(edge: Edge) -> Self {
        match edge {
            Edge::Integer(value) => Self::Integer(value),
            Edge::Number(value) => Self::Number(value),
            Edge::Text(text) => Self::Text(text),
        }
    }
}

impl Report {
    /// Describes what was read.
    pub fn of(source: &str, format: &Format, bytes: u64, duration_ms: u64, table: &Table) -> Self {
        Self {
            source: start_of(source, 256).to_owned(),
            format: format.name(),
            bytes,
            duration_ms,
            rows: table.rows(),
            bad_rows: table.bad().values().sum(),
            bad_reasons: table.bad().iter().map(|(why, count)| (why.name(), *count)).collect(),
            bad_lines: table.bad_lines().to_vec(),
            columns: table
                .columns()
                .iter()
                .map(|column| Described::of(column, table.rows()))
                .collect(),
            reduced: Vec::new(),
            columns_left_out: None,
        }
    }

    /// The report as the result of an attempt, reduced as far as it must be.
    pub fn into_outcome(mut self) -> Result<Outcome, Failure> {
        for (name, step) in STEPS {
            if self.size()? <= outcome::LIMIT {
                break;
            }
            step(&mut self);
            self.reduced.push(name);
        }
        self.leave_out_columns()?;
        Outcome::shown(&self)
    }

    fn keep_few_bad_lines(&mut self) {
        self.bad_lines.truncate(FEW_LINES);
    }

    fn each_column(&mut self, step: fn(&mut Described)) {
        self.columns.iter_mut().for_each(step);
    }

    fn size(&self) -> Result<usize, Failure> {
        Ok(outcome::encode(self)?.len())
    }

    /// Leaves out as many columns from the end as must go.
    fn leave_out_columns(&mut self) -> Result<(), Failure> {
        if self.size()? <= outcome::LIMIT {
            return Ok(());
        }
        let columns = std::mem::take(&mut self.columns);
        self.reduced.push("columns");
        self.columns_left_out = Some(columns.len());
        let mut size = self.size()?;
        for column in &columns {
            // One more for the comma between two columns.
            size += outcome::encode(column)?.len() + 1;
            if size > outcome::LIMIT {
                break;
            }
            self.columns.push(column.clone());
        }
        self.columns_left_out = Some(columns.len() - self.columns.len());
        Ok(())
    }
}

impl Described {
    fn of(column: &Column, rows: u64) -> Self {
        let column_type = column.column_type();
        let (min, max) = column.edges().unzip();
        let exact = column.distinct().is_exact();
        Self {
            name: column.name().to_owned(),
            column_type: column_type.name(),
            nulls: rows - column.values(),
            // An estimate may be a little more than there are values at all, which would look absurd.
            distinct: column.distinct().count().min(column.values()),
            distinct_error: (!exact).then_some(STANDARD_ERROR),
            min: min.map(Shown::from),
            max: max.map(Shown::from),
            mean: column.mean(),
            kinds: if column_type == Type::Mixed {
                column.kinds()
            } else {
                BTreeMap::new()
            },
        }
    }

    fn drop_string_edges(&mut self) {
        if self.column_type == Type::String.name() {
            (self.min, self.max) = (None, None);
        }
    }

    fn shorten_name(&mut self) {
        self.name = start_of(&self.name, SHORT_NAME).to_owned();
    }
}
