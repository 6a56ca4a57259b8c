//! Closing: the outcome is recorded by compare-and-set before it is said, by the newest attempt only.

use crate::contract::unit::Ending;
use crate::contract::{Kind, Outcome, UnitState};
use crate::exit::Exit;
use crate::log::Log;
use crate::patience::Away;
use crate::records::{Claims, Found, Held};
use crate::stream::Swap;
use crate::testpoint;
use crate::voice::Voice;

/// How a try to close a unit's record ended.
pub enum Closing {
    /// The outcome is recorded; it is ours to say.
    Recorded(Box<Held>),
    /// It was closed already: say nothing, and exit as it says.
    Closed(Outcome),
    /// A newer attempt exists: say nothing.
    Superseded,
}

/// Other writers (a cancel, the bridge) change a record a handful of times in its life; this only bounds the loop.
const TRIES: usize = 16;

/// How a container exits after an outcome.
pub const fn exit_of(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Succeeded => Exit::Done,
        Outcome::Failed => Exit::Permanent,
        Outcome::Cancelled => Exit::Cancelled,
    }
}

/// Closes the record of a unit with the ending of an attempt, reading it anew as often as somebody else writes it.
pub async fn close(
    claims: &Claims,
    queue: &str,
    unit: &str,
    ending: &Ending,
    voice: &Voice<'_>,
) -> Result<Closing, Away> {
    for _ in 0..TRIES {
        let held = match claims.unit(queue, unit).await? {
            Found::Record(held) => held,
            // Records are never removed once owned; whatever this is, no outcome of ours may be said of it.
            Found::Nothing(_) => return Ok(Closing::Superseded),
        };
        match (held.record.state, held.record.outcome) {
            (UnitState::Closed, outcome) => return Ok(Closing::Closed(outcome.unwrap_or(Outcome::Failed))),
            (UnitState::Owned, _) if held.record.newest_attempt() == ending.attempt => {}
            _ => return Ok(Closing::Superseded),
        }
        if let Some(closed) = try_close(claims, *held, ending, voice).await? {
            return Ok(Closing::Recorded(Box::new(closed)));
        }
    }
    Err(Away(format!(
        "the record of unit {unit} changed {TRIES} times while it was closed"
    )))
}

/// Closes a record at its revision; none where somebody else wrote first.
pub async fn try_close(claims: &Claims, held: Held, ending: &Ending, voice: &Voice<'_>) -> Result<Option<Held>, Away> {
    let record = held.record.closed(ending, voice.now());
    Ok(match claims.write(&record, held.revision).await? {
        Swap::Won(revision) => Some(Held { record, revision }),
        Swap::Lost => None,
    })
}

/// The words for an outcome, in their order, each with its test point, and the test point after them.
const fn words(outcome: Outcome) -> (&'static [(&'static str, Kind)], &'static str) {
    match outcome {
        Outcome::Succeeded => (&[("rS2", Kind::Succeeded)], "rS3"),
        Outcome::Failed => (&[("rP2", Kind::AttemptFailed), ("rP3", Kind::Failed)], "rP4"),
        Outcome::Cancelled => (&[("cC", Kind::Cancelled)], "cC2"),
    }
}

/// Says a recorded ending, and notes in the record that it is said. What fails here is said by the bridge.
pub async fn say(claims: &Claims, closed: &Held, ending: &Ending, voice: &Voice<'_>, log: Log) {
    let at = closed.record.closed_at.unwrap_or_else(|| voice.now());
    let (kinds, last) = words(ending.outcome);
    for (step, kind) in kinds {
        testpoint::at(step);
        if let Err(away) = voice.ended(*kind, &closed.record, ending, at).await {
            log.warn(
                "the outcome is recorded, but could not be said",
                &[("error", &away.to_string())],
            );
            return;
        }
    }
    testpoint::at(last);
    let mut said = closed.record.clone();
    said.said = true;
    // Losing is harmless: the bridge wrote, and will note it.
    if let Err(away) = claims.write(&said, closed.revision).await {
        log.warn(
            "the outcome is said, but that could not be noted",
            &[("error", &away.to_string())],
        );
    }
}
