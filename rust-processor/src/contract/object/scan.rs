//! Walking over the bytes of JSON. Only [`depth`] may meet bytes that are no JSON; everything else walks over valid
//! JSON and would stop at the end of other bytes, never panic.

/// The deepest nesting outside of strings.
pub(in super::super) fn depth(bytes: &[u8]) -> i64 {
    let (mut level, mut deepest, mut at) = (0, 0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = skip_string(bytes, at),
            b'{' | b'[' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' => level -= 1,
            _ => {}
        }
        at += 1;
    }
    deepest
}

/// The index of the quote that ends the string beginning at `start`, or the last index.
pub(super) fn skip_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len().saturating_sub(1)
}

/// The index of the first byte from `start` on that is no white space.
pub(super) fn skip_space(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let space = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    start + space.count()
}

/// The index after the value that begins at `start`.
pub(super) fn skip_value(bytes: &[u8], start: usize) -> usize {
    let (mut level, mut at) = (0_i64, start);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = skip_string(bytes, at),
            b'{' | b'[' => level += 1,
            b'}' | b']' => level -= 1,
            _ if level == 0 => return skip_scalar(bytes, at),
            _ => {}
        }
        at += 1;
        if level <= 0 {
            break;
        }
    }
    at
}

fn skip_scalar(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let scalar = rest
        .iter()
        .take_while(|byte| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
    start + scalar.count()
}

/// The items of a list.
pub(super) fn items(list: &str) -> Vec<&str> {
    let bytes = list.as_bytes();
    let mut items = Vec::new();
    let mut at = skip_space(bytes, 1);
    while bytes.get(at).is_some_and(|byte| *byte != b']') {
        let end = skip_value(bytes, at);
        items.push(list.get(at..end).unwrap_or_default());
        at = skip_space(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = skip_space(bytes, at + 1);
        }
    }
    items
}

/// Reads a JSON string, quotes and all. Half of a surrogate pair is no text.
pub(super) fn unquote(raw: &str) -> Option<String> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(inner.to_owned());
    }
    unescape(inner)
}

fn unescape(mut rest: &str) -> Option<String> {
    let mut text = String::with_capacity(rest.len());
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let kind = escape.chars().next()?;
        rest = escape.get(kind.len_utf8()..)?;
        text.push(match kind {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, after) = code_point(rest)?;
                rest = after;
                character
            }
            other => other,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// Reads what follows `\u`: four digits, or a pair of surrogates.
fn code_point(rest: &str) -> Option<(char, &str)> {
    let (first, after) = hex4(rest)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, after));
    }
    let (second, after) = after.strip_prefix("\\u").and_then(hex4)?;
    if first >= 0xDC00 || !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    let pair = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    Some((char::from_u32(pair)?, after))
}

fn hex4(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// Takes out the white space between the tokens of valid JSON, and nothing else.
pub(in super::super) fn compact(json: &str) -> String {
    let bytes = json.as_bytes();
    let mut text = String::with_capacity(json.len());
    let mut at = skip_space(bytes, 0);
    while let Some(byte) = bytes.get(at) {
        let end = if *byte == b'"' {
            skip_string(bytes, at) + 1
        } else {
            at + 1
        };
        text.push_str(json.get(at..end).unwrap_or_default());
        at = skip_space(bytes, end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_as_go_reads_them() {
        let table = [
            (r#""plain""#, Some("plain")),
            (r#""\"\\\/\b\f\n\r\t""#, Some("\"\\/\u{8}\u{c}\n\r\t")),
            (r#""\u00e4\uD83D\uDE00""#, Some("ä😀")),
            (r#""\ud83d""#, None),
            (r#""\ude00\ud83d""#, None),
            (r#""\ud83d\u0041""#, None),
            (r#""\uFFFD""#, Some("\u{fffd}")),
            (r#""\ufffd\ud83d""#, None),
            (r#""\\ud83d""#, Some("\\ud83d")),
        ];
        for (raw, want) in table {
            assert_eq!(unquote(raw).as_deref(), want, "{raw}");
        }
    }

    #[test]
    fn depth_is_counted_outside_of_strings_even_in_rubbish() {
        assert_eq!(depth(br#"{"a":[[]],"b":"[[[[["}"#), 3);
        assert_eq!(depth(b"]]]][[["), 0);
        assert_eq!(depth(b"[[\"[[["), 2);
        assert_eq!(depth(b"[\"\\"), 1);
        assert_eq!(depth(b""), 0);
    }

    #[test]
    fn only_white_space_between_tokens_goes() {
        assert_eq!(
            compact(" { \"a b\\\"\" : [ 1 ,\t-2e+3 ] ,\r\n\"ä\":null } "),
            r#"{"a b\"":[1,-2e+3],"ä":null}"#
        );
    }

    #[test]
    fn lists_are_cut_into_their_items() {
        assert_eq!(items("[ ]"), Vec::<&str>::new());
        assert_eq!(
            items(r#"[ "a" ,1.5, {"b":[1,2]} ,[ ] ]"#),
            [r#""a""#, "1.5", r#"{"b":[1,2]}"#, "[ ]"]
        );
    }
}
