//! The Rust processor: one task, then exit.
//!
//! | module | what it is |
//! |---|---|
//! | [`exit`] | the exit codes, which are this program's contract with Kubernetes and with `processor run` |
//! | [`cli`] | the command line, parsed |
//! | [`panics`] | what a panic leaves on stderr |
//! | [`pod`] | what `claim` and `run` have in common: the environment in, a termination message and an exit code out |
//! | [`install`] | `processor install`: goes where the image is a queue's own |
//! | [`claim`] | `processor claim`: makes this unit the owner of one run |
//! | [`run`] | `processor run`: does the work of one attempt and speaks for it |
//! | [`closing`], [`records`], [`voice`] | outcomes recorded before they are said; the claim's records; events |
//! | [`handover`], [`termination`] | what `claim` leaves for `run`, and `run` for the bridge |
//! | [`stream`], [`queue`], [`patience`] | the only doors to NATS and SQS, and trying again while those are away |
//! | [`contract`] | the words on the wire, the same as in Go |
//! | [`regular`] | files where the work may have put something else |
//! | [`settings`], [`log`], [`stop`], [`testpoint`] | environment, log lines, signals, steps to die at in tests |
//! | [`work`] | the built-in types of work, each run as `processor work TYPE` |
//!
//! `processor run` starts every attempt as a child process, and a built-in type is a child like any other: it knows
//! nothing of SQS, NATS or Kubernetes, and its whole world is a payload, a few environment variables and an exit code.
//! So a type of work can be tried by hand with `echo '{"records":100}' | processor work process-data`, and a user's own
//! command is never a second-class citizen.

#![forbid(unsafe_code)]

pub mod claim;
pub mod cli;
pub mod closing;
pub mod contract;
pub mod exit;
pub mod handover;
pub mod install;
pub mod log;
pub mod panics;
pub mod patience;
pub mod pod;
pub mod queue;
pub mod records;
pub mod regular;
pub mod run;
pub mod settings;
pub mod stop;
pub mod stream;
pub mod termination;
pub mod testpoint;
pub mod voice;
pub mod work;
