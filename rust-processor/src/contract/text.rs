//! Texts cut to a limit, so that no writer can lose an event to a long message.

/// Cuts `text` to `limit` bytes at a character, with an ellipsis where it was cut.
pub fn cut(text: &str, limit: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub(ELLIPSIS.len()));
    text.get(..end).unwrap_or_default().to_owned() + ELLIPSIS
}

/// Keeps the last `limit` bytes of `text`, from a character on.
pub fn cut_tail(text: &str, limit: usize) -> &str {
    let start = text.ceil_char_boundary(text.len().saturating_sub(limit));
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_character() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcdef", 5), "ab…");
        assert_eq!(cut("äöü", 5), "ä…");
        assert_eq!(cut_tail("abcdef", 3), "def");
        assert_eq!(cut_tail("äöü", 3), "ü");
        assert_eq!(cut_tail("äöü", 0), "");
    }
}
