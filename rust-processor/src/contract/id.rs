//! Ids that are derived, so that a repeat is the same job, and what may be an id at all.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::MAX_TOKEN;

/// The id of a job whose message was not sent by us.
pub fn foreign_id(queue: &str, message_id: &str) -> String {
    derived_id(["foreign", queue, message_id])
}

/// Hashes three length-prefixed strings, so that no two triples can run into one another, and sets the UUID's version
/// (8, of its maker's own rules) and variant.
pub fn derived_id(parts: [&str; 3]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hasher.update(part);
    }
    let hash: [u8; 32] = hasher.finalize().into();
    let mut id = String::with_capacity(36);
    for (i, byte) in hash.into_iter().take(16).enumerate() {
        let byte = match i {
            6 => byte & 0x0f | 0x80,
            8 => byte & 0x3f | 0x80,
            _ => byte,
        };
        if matches!(i, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        hex(&mut id, byte);
    }
    id
}

/// Names one receiving of a message in the id of a unit's fact: 16 hexadecimal digits.
pub fn receipt_hash(receipt: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(receipt).into();
    hash.into_iter()
        .take(8)
        .fold(String::with_capacity(16), |mut text, byte| {
            hex(&mut text, byte);
            text
        })
}

fn hex(text: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{byte:02x}");
}

/// Whether `text` is a UUID in lower case.
pub fn valid_job_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, c)| match i {
            8 | 13 | 18 | 23 => c == b'-',
            _ => matches!(c, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Whether `text` may be one token of a subject and of a key.
pub fn valid_token(text: &str) -> bool {
    (1..=MAX_TOKEN).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

/// Whether `text` is 1 to `limit` printable ASCII characters without spaces.
pub fn valid_label(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic())
}
