//! One column: what all its values have in common.

use std::collections::BTreeMap;

use super::cell::Kind;
use super::distinct::Distinct;
use crate::work::calendar::Moment;

/// As many characters of a string are remembered, and compared, for the smallest and the largest.
const TEXT_LIMIT: usize = 64;

/// What a column holds. A column of several kinds is [`Type::Mixed`], except that integers widen to numbers, and dates
/// to timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Nothing but nulls.
    Empty,
    /// Whole numbers.
    Integer,
    /// Numbers, some of them not whole.
    Number,
    /// `true` and `false`.
    Boolean,
    /// Days.
    Date,
    /// Moments, perhaps some days among them.
    Timestamp,
    /// Text.
    String,
    /// JSON objects and arrays.
    Json,
    /// Several of these.
    Mixed,
}

impl Type {
    /// The name of the type in a result.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::String => "string",
            Self::Json => "json",
            Self::Mixed => "mixed",
        }
    }
}

/// The smallest or the largest value, in the form of a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Edge {
    /// Of an integer column.
    Integer(i64),
    /// Of a number column.
    Number(f64),
    /// Of dates and timestamps as they stood, and of strings, cut to 64 characters.
    Text(String),
}

/// How many values there were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    integers: u64,
    numbers: u64,
    booleans: u64,
    dates: u64,
    timestamps: u64,
    texts: u64,
    nested: u64,
}

/// The smallest and the largest of some values, by a key.
#[derive(Clone, Debug, Default)]
struct Range<K, V>(Option<((K, V), (K, V))>);

impl<K: PartialOrd + Clone, V: Clone> Range<K, V> {
    /// Takes a value in; `shown` is only called for a value that is an edge.
    fn add(&mut self, key: K, shown: impl FnOnce() -> V) {
        match &mut self.0 {
            None => {
                let edge = (key, shown());
                self.0 = Some((edge.clone(), edge));
            }
            Some((least, most)) => {
                if key < least.0 {
                    *least = (key, shown());
                } else if key > most.0 {
                    *most = (key, shown());
                }
            }
        }
    }

    fn edges(&self, edge: impl Fn(&K, &V) -> Edge) -> Option<(Edge, Edge)> {
        let ((least, least_shown), (most, most_shown)) = self.0.as_ref()?;
        Some((edge(least, least_shown), edge(most, most_shown)))
    }
}

/// A sum that keeps what rounding would lose (Neumaier's), so that the mean of a million prices is right to the cent.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    fn value(self) -> f64 {
        self.sum + self.lost
    }
}

/// What is known of a column.
#[derive(Clone, Debug)]
pub struct Column {
    name: String,
    counts: Counts,
    distinct: Distinct,
    integers: Range<i64, ()>,
    numbers: Range<f64, ()>,
    sum: Sum,
    moments: Range<i128, String>,
    texts: Range<String, ()>,
}

impl Column {
    /// A column that has no values yet.
    pub fn named(name: String) -> Self {
        Self {
            name,
            counts: Counts::default(),
            distinct: Distinct::default(),
            integers: Range(None),
            numbers: Range(None),
            sum: Sum::default(),
            moments: Range(None),
            texts: Range(None),
        }
    }

    /// Takes in a value that is not null. Two values are the same when they are spelt the same.
    pub fn add(&mut self, text: &str, kind: Kind) {
        self.distinct.add(text.as_bytes());
        match kind {
            Kind::Integer(value) => {
                self.counts.integers += 1;
                self.integers.add(value, || ());
                self.sum.add(value as f64);
            }
            Kind::Number(value) => {
                self.counts.numbers += 1;
                self.numbers.add(value, || ());
                self.sum.add(value);
            }
            Kind::Boolean => self.counts.booleans += 1,
            Kind::Date(moment) => {
                self.counts.dates += 1;
                self.add_moment(text, moment);
            }
            Kind::Timestamp(moment) => {
                self.counts.timestamps += 1;
                self.add_moment(text, moment);
            }
            Kind::Text => {
                self.counts.texts += 1;
                self.add_text(text);
            }
            Kind::Nested => self.counts.nested += 1,
        }
    }

    fn add_moment(&mut self, text: &str, moment: Moment) {
        self.moments.add(moment.nanos, || text.to_owned());
    }

    fn add_text(&mut self, text: &str) {
        let start = start_of(text, TEXT_LIMIT);
        // Most values are no edge, and comparing before owning saves an allocation for each of them.
        let inside = self
            .texts
            .0
            .as_ref()
            .is_some_and(|((least, ()), (most, ()))| least.as_str() <= start && start <= most.as_str());
        if !inside {
            self.texts.add(start.to_owned(), || ());
        }
    }

    /// The name of the column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many values there are, nulls not counted.
    pub fn values(&self) -> u64 {
        self.kinds().values().sum()
    }

    /// How many different values there are.
    pub const fn distinct(&self) -> &Distinct {
        &self.distinct
    }

    /// What the column holds.
    pub fn column_type(&self) -> Type {
        let c = self.counts;
        let all = self.values();
        let table = [
            (0, Type::Empty),
            (c.integers, Type::Integer),
            (c.integers + c.numbers, Type::Number),
            (c.booleans, Type::Boolean),
            (c.dates, Type::Date),
            (c.dates + c.timestamps, Type::Timestamp),
            (c.texts, Type::String),
            (c.nested, Type::Json),
        ];
        table
            .iter()
            .find(|(count, _)| *count == all)
            .map_or(Type::Mixed, |(_, kind)| *kind)
    }

    /// How many values there are of each kind that occurs.
    pub fn kinds(&self) -> BTreeMap<&'static str, u64> {
        let c = self.counts;
        [
            (Type::Integer, c.integers),
            (Type::Number, c.numbers),
            (Type::Boolean, c.booleans),
            (Type::Date, c.dates),
            (Type::Timestamp, c.timestamps),
            (Type::String, c.texts),
            (Type::Json, c.nested),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| (kind.name(), count))
        .collect()
    }

    /// The smallest and the largest value, where the type has an order.
    pub fn edges(&self) -> Option<(Edge, Edge)> {
        match self.column_type() {
            Type::Integer => self.integers.edges(|value, ()| Edge::Integer(*value)),
            Type::Number => {
                let mut all = self.numbers.clone();
                if let Some(((least, ()), (most, ()))) = self.integers.0 {
                    all.add(least as f64, || ());
                    all.add(most as f64, || ());
                }
                all.edges(|value, ()| Edge::Number(*value))
            }
            Type::Date | Type::Timestamp => self.moments.edges(|_, shown| Edge::Text(shown.clone())),
            Type::String => self.texts.edges(|text, ()| Edge::Text(text.clone())),
            Type::Empty | Type::Boolean | Type::Json | Type::Mixed => None,
        }
    }

    /// The mean of a column of numbers; `None` when their sum is beyond 64 bits of floating point.
    pub fn mean(&self) -> Option<f64> {
        let mean = self.sum.value() / self.values() as f64;
        let numeric = matches!(self.column_type(), Type::Integer | Type::Number);
        (numeric && mean.is_finite()).then_some(mean)
    }
}

/// The first `characters` of a text.
pub fn start_of(text: &str, characters: usize) -> &str {
    text.char_indices()
        .nth(characters)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::super::cell;
    use super::*;

    fn of(values: &[&str]) -> Column {
        let mut column = Column::named("c".to_owned());
        for text in values {
            column.add(text, cell::of_text(text));
        }
        column
    }

    #[test]
    fn types_widen_and_mix() {
        let table: [(&[&str], Type); 12] = [
            (&[], Type::Empty),
            (&["1", "-2"], Type::Integer),
            (&["1", "2.5"], Type::Number),
            (&["2.5"], Type::Number),
            (&["true", "FALSE"], Type::Boolean),
            (&["2026-03-01"], Type::Date),
            (&["2026-03-01", "2026-03-01T10:00"], Type::Timestamp),
            (&["a", "007"], Type::String),
            (&["1", "n/a"], Type::Mixed),
            (&["1", "true"], Type::Mixed),
            (&["1", "2026-03-01"], Type::Mixed),
            (&["true", "yes"], Type::Mixed),
        ];
        for (values, want) in table {
            assert_eq!(of(values).column_type(), want, "{values:?}");
        }
    }

    type Case<'a> = (&'a [&'a str], Option<(Edge, Edge)>, Option<f64>);

    #[test]
    fn edges_and_means() {
        let text = |text: &str| Edge::Text(text.to_owned());
        let long = "ä".repeat(100);
        let table: [Case; 9] = [
            (
                &["3", "-1", "10"],
                Some((Edge::Integer(-1), Edge::Integer(10))),
                Some(4.0),
            ),
            (
                &["9223372036854775807"],
                Some((Edge::Integer(i64::MAX), Edge::Integer(i64::MAX))),
                Some(9.223_372_036_854_776e18),
            ),
            (
                &["3", "0.5", "2.5"],
                Some((Edge::Number(0.5), Edge::Number(3.0))),
                Some(2.0),
            ),
            (
                &["1e308", "1e308"],
                Some((Edge::Number(1e308), Edge::Number(1e308))),
                None,
            ),
            (&["b", "a", "é"], Some((text("a"), text("é"))), None),
            (&[&long], Some((text(&"ä".repeat(64)), text(&"ä".repeat(64)))), None),
            // 01:00+02:00 of the second is 23:00 UTC of the first, and so the earlier one.
            (
                &["2026-03-01T23:30Z", "2026-03-02T01:00+02:00"],
                Some((text("2026-03-02T01:00+02:00"), text("2026-03-01T23:30Z"))),
                None,
            ),
            (&["true"], None, None),
            (&["1", "x"], None, None),
        ];
        for (values, edges, mean) in table {
            let column = of(values);
            assert_eq!(column.edges(), edges, "{values:?}");
            assert_eq!(column.mean(), mean, "{values:?}");
        }
    }

    #[test]
    fn the_mean_of_many_prices_is_exact_to_the_last_digit() {
        let mut column = Column::named("price".to_owned());
        for _ in 0..100_000 {
            column.add("0.1", Kind::Number(0.1));
        }
        assert_eq!(column.mean(), Some(0.1));
    }

    #[test]
    fn distinct_counts_spellings() {
        assert_eq!(of(&["1", "1.0", "1", "1e0"]).distinct().count(), 3);
    }
}
