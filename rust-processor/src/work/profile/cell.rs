//! One value: what kind it is.
//!
//! The same rules read CSV and NDJSON, so that the same rows have the same profile in both. A number is what JSON calls
//! one: `007` and `+5` are strings, as a postcode or a telephone number should be.

use crate::work::calendar::{self, Moment, Precision};

/// What a value is, with what is needed to compare it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number of 64 bits.
    Integer(i64),
    /// Any other number; finite.
    Number(f64),
    /// `true` or `false`.
    Boolean,
    /// A day.
    Date(Moment),
    /// A day and a time.
    Timestamp(Moment),
    /// Any other text.
    Text,
    /// A JSON object or array.
    Nested,
}

/// The kind of a field of CSV, where everything is text. The field is not empty: an empty one is null.
pub fn of_text(text: &str) -> Kind {
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'-') => number(text).unwrap_or_else(|| of_string(text)),
        Some(b't' | b'T' | b'f' | b'F') if is_boolean(text) => Kind::Boolean,
        _ => Kind::Text,
    }
}

/// The kind of a JSON string, or of a text that is no number: only dates and times are looked for.
pub fn of_string(text: &str) -> Kind {
    match calendar::moment(text) {
        Some(moment) if moment.precision == Precision::Date => Kind::Date(moment),
        Some(moment) => Kind::Timestamp(moment),
        None => Kind::Text,
    }
}

/// Spreadsheets write TRUE.
fn is_boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

/// The kind of a text that follows JSON's grammar of numbers; `None` when it does not, or is too large for 64 bits of
/// floating point.
pub fn number(text: &str) -> Option<Kind> {
    if !is_json_number(text.as_bytes()) {
        return None;
    }
    if let Ok(integer) = text.parse() {
        return Some(Kind::Integer(integer));
    }
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .map(Kind::Number)
}

fn is_json_number(bytes: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let whole = digits(unsigned);
    let leading_zero = whole > 1 && unsigned.starts_with(b"0");
    let mut rest = unsigned.get(whole..).unwrap_or_default();
    let mut good = whole > 0 && !leading_zero;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        good &= length > 0;
        rest = fraction.get(length..).unwrap_or_default();
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent
            .strip_prefix(b"-")
            .or(exponent.strip_prefix(b"+"))
            .unwrap_or(exponent);
        let length = digits(exponent);
        good &= length > 0;
        rest = exponent.get(length..).unwrap_or_default();
    }
    good && rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_text() {
        let table = [
            ("0", Kind::Integer(0)),
            ("-12", Kind::Integer(-12)),
            ("9223372036854775807", Kind::Integer(i64::MAX)),
            ("9223372036854775808", Kind::Number(9.223_372_036_854_776e18)),
            ("1.50", Kind::Number(1.5)),
            ("1e3", Kind::Number(1000.0)),
            ("-1.5E-1", Kind::Number(-0.15)),
            ("TRUE", Kind::Boolean),
            ("false", Kind::Boolean),
        ];
        for (text, want) in table {
            assert_eq!(of_text(text), want, "{text}");
        }
        for text in [
            "007", "+5", ".5", "5.", "1e", "1e400", "-", "--1", "1_000", "1,5", "0x1f", "NaN", "inf", " 1", "1 ",
            "truth", "t", "\0", "-0-", "12a", "é",
        ] {
            assert_eq!(of_text(text), Kind::Text, "{text}");
        }
        assert!(matches!(of_text("2026-03-01"), Kind::Date(_)));
        assert!(matches!(of_text("2026-03-01T10:00:00Z"), Kind::Timestamp(_)));
        assert_eq!(of_string("12"), Kind::Text);
    }

    #[test]
    fn the_grammar_of_numbers_is_jsons() {
        let alphabet = b"0123456789-+.eE";
        let mut random = crate::work::random::Random::seeded(1, 1);
        for _ in 0..50_000 {
            let text: String = (0..random.below(6))
                .map(|_| char::from(*random.pick(alphabet)))
                .collect();
            let json = serde_json::from_str::<serde_json::Number>(&text).is_ok();
            assert_eq!(number(&text).is_some(), json, "{text}");
        }
    }
}
