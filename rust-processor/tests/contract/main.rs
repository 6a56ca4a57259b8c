//! Rust and Go agree about everything in `contract/testdata`. Its README says what is expected of each file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody links it"
)]

mod config;
mod mutations;
mod names;
mod vectors;

use std::path::{Path, PathBuf};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contract/testdata")
}
