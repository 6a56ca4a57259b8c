//! The Rust processor: one task, then exit.
//!
//! | module | what it is |
//! |---|---|
//! | [`exit`] | the exit codes, which are this program's contract with Kubernetes and with `processor run` |
//! | [`cli`] | the command line, parsed |
//! | [`panics`] | what a panic leaves on stderr |
//! | [`work`] | the built-in types of work, each run as `processor work TYPE` |
//!
//! `processor run` starts every attempt as a child process, and a built-in type is a child like any other: it knows
//! nothing of SQS, NATS or Kubernetes, and its whole world is a payload, a few environment variables and an exit code.
//! So a type of work can be tried by hand with `echo '{"records":100}' | processor work process-data`, and a user's own
//! command is never a second-class citizen.

#![forbid(unsafe_code)]

pub mod cli;
pub mod exit;
pub mod panics;
pub mod work;
