//! Timestamps with exactly one spelling: `2026-11-21T16:00:00.000Z`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

const DAY_MS: i64 = 24 * 3600 * 1000;
const LAYOUT: &str = "2006-01-02T15:04:05.000Z";

/// A moment in UTC to the millisecond, after the Unix epoch and to the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(i64);

impl Time {
    /// The moment `ms` milliseconds after the Unix epoch.
    pub const fn at_milli(ms: i64) -> Self {
        Self(ms)
    }

    /// The moment of a system clock, cut to the millisecond.
    pub fn at(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds after the Unix epoch.
    pub const fn milli(self) -> i64 {
        self.0
    }

    /// Reads the one spelling: what is parsed must format back to the same bytes.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LAYOUT.len() {
            return None;
        }
        let number = |from: usize, to: usize| -> Option<i64> {
            let digits = text.get(from..to)?;
            digits
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| digits.parse().ok())?
        };
        let days = days_from_civil(number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let seconds = (number(11, 13)? * 60 + number(14, 16)?) * 60 + number(17, 19)?;
        let time = Self(days * DAY_MS + seconds * 1000 + number(20, 23)?);
        (time.0 > 0 && time.to_string() == text).then_some(time)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
            ms % 1000
        )
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Days since 1970-01-01 of a date; a date that does not exist gives the days of another, which spells otherwise.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_both_ways() {
        for text in [
            "1970-01-01T00:00:00.001Z",
            "2000-02-29T23:59:59.999Z",
            "2026-11-21T16:00:00.001Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            assert_eq!(Time::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Time::parse("2026-11-21T16:00:00.000Z").unwrap().milli(),
            1_795_276_800_000
        );
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for text in [
            "",
            "2026-11-21T16:00:00Z",
            "2026-11-21T16:00:00.000z",
            "2026-11-21 16:00:00.000Z",
            "2026-11-21T16:00:00,000Z",
            "2026-11-21T16:00:00.000+00:00",
            "2026-02-29T16:00:00.000Z",
            "2026-13-01T16:00:00.000Z",
            "2026-00-01T16:00:00.000Z",
            "2026-01-00T16:00:00.000Z",
            "2026-01-01T24:00:00.000Z",
            "2026-01-01T23:60:00.000Z",
            "2026-01-01T23:59:60.000Z",
            "1970-01-01T00:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "+026-11-21T16:00:00.000Z",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }
}
