//! What a panic leaves on stderr.
//!
//! The last line on stderr of a failed attempt is taken as its message. Rust's usual panic text ends with a note on
//! `RUST_BACKTRACE`, which would be the message of every panic; this hook prints the same text without the note.

use std::env;
use std::io::{self, Write};
use std::panic;
use std::thread;

/// Installs the hook. With `RUST_BACKTRACE` set, Rust's own text stays, since somebody wants to read the backtrace.
pub fn end_with_the_message() {
    if env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        return;
    }
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(io::stderr(), "\nthread '{name}' {info}");
    }));
}
