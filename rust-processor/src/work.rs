//! The built-in types of work, by the same contract as a user's own command (the README tells it whole).
//!
//! | module | what it is |
//! |---|---|
//! | [`process_data`] | the original's 5000 records, or with a `source` the profile of a file |
//! | [`probe`] | whether a host answers, for some seconds |
//! | [`store_event`] | an event checked and written once per job into the store |
//! | [`profile`] | CSV or NDJSON in, a description of each column out, in bounded memory |
//! | [`attempt`] | what the environment says about this attempt |
//! | [`payload`], [`fields`] | the bytes of the payload, and its fields one by one |
//! | [`failure`] | how an attempt fails: for good, or until the next attempt |
//! | [`outcome`] | the result of an attempt and where it goes |
//! | [`progress`] | how far the work has come, told a few times a second |
//! | [`calendar`], [`clock`], [`random`], [`whole_file`] | dates in text, time, chance, files that appear whole |
//!
//! A handler is a plain function from (attempt, payload, world) to an outcome or a failure. It never touches the clock,
//! the environment or chance except through its arguments, which is what makes the tests quick and exact.

pub mod attempt;
pub mod calendar;
pub mod clock;
pub mod failure;
pub mod fields;
pub mod outcome;
pub mod payload;
pub mod probe;
pub mod process_data;
pub mod profile;
pub mod progress;
pub mod random;
pub mod store_event;
pub mod whole_file;

use std::env;
use std::io::{self, Write};

use crate::exit::Exit;
use attempt::Attempt;
use clock::{Clock, SystemClock};
use failure::Failure;
use outcome::Outcome;
use progress::Progress;

/// What a handler may touch besides its attempt and its payload.
pub struct World<'a> {
    /// Where the work prints; the attempt's stdout.
    pub out: &'a mut dyn Write,
    /// Time, and waiting.
    pub clock: &'a dyn Clock,
    /// A number that nobody can foresee, for work that was given no seed.
    pub entropy: fn() -> io::Result<u64>,
    /// How far the work has come.
    pub progress: Progress<'a>,
}

/// One type of work.
type Handler = fn(&Attempt, &[u8], &mut World) -> Result<Outcome, Failure>;

/// Every built-in type by its name.
const TYPES: [(&str, Handler); 3] = [
    ("process-data", process_data::work),
    ("probe", probe::work),
    ("store-event", store_event::work),
];

/// Does one attempt of the named type in the real world, and says a failure's reason as one line on stderr.
pub fn main(work_type: &str) -> Exit {
    match attempt_once(work_type) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            // The exit code still tells the kind of failure when stderr is closed.
            let _ = writeln!(io::stderr(), "{failure}");
            failure.exit()
        }
    }
}

fn attempt_once(work_type: &str) -> Result<(), Failure> {
    let handler = handler(work_type)?;
    let attempt = Attempt::from_env(|name| env::var_os(name))?;
    let payload = payload::read(attempt.payload_file.as_deref())?;
    let clock = SystemClock::start();
    let mut out = io::stdout().lock();
    let mut world = World {
        out: &mut out,
        clock: &clock,
        entropy: random::from_the_system,
        progress: Progress::to(attempt.progress_file.as_deref(), &clock),
    };
    handler(&attempt, &payload, &mut world)?.deliver(attempt.result_file.as_deref(), world.out)
}

fn handler(work_type: &str) -> Result<Handler, Failure> {
    TYPES
        .iter()
        .find(|(name, _)| *name == work_type)
        .map(|(_, handler)| *handler)
        .ok_or_else(|| {
            let known = TYPES.map(|(name, _)| name).join(", ");
            Failure::Permanent(format!("type {work_type:?} is not built in; built in are {known}"))
        })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use clock::FakeClock;

    /// Runs a handler in a world of its own: a clock that only moves when somebody sleeps, chance that is always 1, and
    /// output that is returned beside the outcome.
    pub(crate) fn tried(handler: Handler, attempt: &Attempt, payload: &str) -> (Result<Outcome, Failure>, String) {
        let clock = FakeClock::default();
        let mut out = Vec::new();
        let mut world = World {
            out: &mut out,
            clock: &clock,
            entropy: || Ok(1),
            progress: Progress::to(attempt.progress_file.as_deref(), &clock),
        };
        let outcome = handler(attempt, payload.as_bytes(), &mut world);
        (outcome, String::from_utf8(out).unwrap())
    }

    #[test]
    fn an_unknown_type_is_refused_by_name() {
        let failure = handler("no-such").err().unwrap();
        assert_eq!(failure.exit(), Exit::Permanent);
        assert_eq!(
            failure.to_string(),
            "type \"no-such\" is not built in; built in are process-data, probe, store-event"
        );
    }
}
