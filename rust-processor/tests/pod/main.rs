//! The two containers of a pod against a real NATS and a real SQS, by the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody links it"
)]

mod claim;
#[cfg(feature = "testpoints")]
mod crash;
#[cfg(feature = "testpoints")]
mod hold;
mod jobs;
mod orphans;
mod pods;
mod replaced;
mod run;
mod server;
#[cfg(not(feature = "testpoints"))]
mod shipped;
mod stopped;
mod world;
