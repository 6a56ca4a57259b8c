//! Dates and times as they stand in data.
//!
//! Only the ISO 8601 forms that programs write are read: `2026-03-01`, and with a time `2026-03-01T09:30`, with or
//! without seconds, a fraction and a zone (`Z`, `+02:00`, `+0200`), a space being as good as the `T`. Everything else is
//! a string. A time without a zone counts as UTC when moments are compared.

/// How exact a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// A day.
    Date,
    /// A moment.
    Timestamp,
}

/// A date or a time that stood in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Whether the text had a time.
    pub precision: Precision,
    /// Nanoseconds from 1970-01-01T00:00Z; 128 bits, since the years 0000 to 9999 need more than 64.
    pub nanos: i128,
}

const SECONDS_A_DAY: i64 = 86_400;

/// Reads a whole text; `None` when it is not one of the forms or names a day that no calendar has.
pub fn moment(text: &str) -> Option<Moment> {
    let mut rest = Cursor(text.as_bytes());
    let day = rest.day()?;
    if rest.0.is_empty() {
        return Some(at(Precision::Date, day * SECONDS_A_DAY, 0));
    }
    if !(rest.eat(b'T') || rest.eat(b' ')) {
        return None;
    }
    let (hour, minute) = (rest.number(2, 23)?, rest.colon_number(59)?);
    let second = if rest.0.first() == Some(&b':') {
        rest.colon_number(59)?
    } else {
        0
    };
    let fraction = rest.fraction()?;
    let offset = rest.zone()?;
    rest.0.is_empty().then(|| {
        let seconds = day * SECONDS_A_DAY + hour * 3600 + minute * 60 + second - offset;
        at(Precision::Timestamp, seconds, fraction)
    })
}

fn at(precision: Precision, seconds: i64, fraction: i64) -> Moment {
    Moment {
        precision,
        nanos: i128::from(seconds) * 1_000_000_000 + i128::from(fraction),
    }
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// A number of exactly `digits` digits, `most` at most.
    fn number(&mut self, digits: usize, most: i64) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        let mut number = 0;
        for byte in head {
            number = number * 10 + i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        }
        self.0 = rest;
        (number <= most).then_some(number)
    }

    fn colon_number(&mut self, most: i64) -> Option<i64> {
        self.eat(b':').then_some(())?;
        self.number(2, most)
    }

    /// `YYYY-MM-DD` as days from 1970-01-01.
    fn day(&mut self) -> Option<i64> {
        let year = self.number(4, 9999)?;
        self.eat(b'-').then_some(())?;
        let month = self.number(2, 12)?;
        self.eat(b'-').then_some(())?;
        let day = self.number(2, days_in(year, month)?)?;
        (day >= 1).then(|| days_from_1970(year, month, day))
    }

    /// A fraction of one to nine digits as nanoseconds; 0 where there is none.
    fn fraction(&mut self) -> Option<i64> {
        if !self.eat(b'.') {
            return Some(0);
        }
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let scale = 10_i64.pow(u32::try_from(9 - digits).ok()?);
        Some(self.number(digits, i64::MAX)? * scale)
    }

    /// A zone as seconds east of UTC; 0 where there is none.
    fn zone(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.eat(b'Z') {
            return Some(0);
        }
        let sign = if self.eat(b'+') { 1 } else { -1 };
        if sign < 0 && !self.eat(b'-') {
            return None;
        }
        let hours = self.number(2, 23)?;
        self.eat(b':');
        Some(sign * (hours * 3600 + self.number(2, 59)? * 60))
    }
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(28 + i64::from(leap)),
        _ => None,
    }
}

/// Howard Hinnant's `days_from_civil`: the year is made to begin in March, so that the leap day is its last.
fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_where_the_calendar_has_them() {
        let table = [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:01", 1),
            ("1969-12-31", -86_400),
            ("2000-02-29", 951_782_400),
            ("2001-09-09T01:46:40Z", 1_000_000_000),
            ("2001-09-09 03:46:40+02:00", 1_000_000_000),
            ("2001-09-08T21:46:40-0400", 1_000_000_000),
            ("0000-01-01", -62_167_219_200),
            ("9999-12-31T23:59:59", 253_402_300_799),
        ];
        for (text, seconds) in table {
            assert_eq!(moment(text).unwrap().nanos, seconds * 1_000_000_000, "{text}");
        }
        assert_eq!(moment("1970-01-01T00:00:00.000000001Z").unwrap().nanos, 1);
        assert_eq!(
            moment("2021-05-14T12:34:56.789012").unwrap().precision,
            Precision::Timestamp
        );
        assert_eq!(moment("2021-05-14T12:34").unwrap().precision, Precision::Timestamp);
        assert_eq!(moment("2021-05-14").unwrap().precision, Precision::Date);
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "2021",
            "2021-5-14",
            "2021-13-01",
            "2021-00-10",
            "2021-02-29",
            "1900-02-29",
            "2021-04-31",
            "2021-01-00",
            "2021-05-14T",
            "2021-05-14T24:00",
            "2021-05-14T12:60",
            "2021-05-14T12:34:60",
            "2021-05-14T12:34:56.",
            "2021-05-14T12:34:56.0123456789",
            "2021-05-14T12:34:56+2",
            "2021-05-14T12:34:56+24:00",
            "2021-05-14x",
            "2021-05-14T12:34:56Zz",
            "14.05.2021",
            "2021/05/14",
            "+021-05-14",
            "２021-05-14",
            "2021-05-14T12:34:56z",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
