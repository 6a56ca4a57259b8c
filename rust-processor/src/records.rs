//! The records of the claim in the bucket `claims`, read and written by revision.

use crate::contract::{Fault, RunRecord, UnitRecord, names};
use crate::patience::Away;
use crate::stream::{Entry, Stream, Swap, ours};

/// The bucket `claims`.
#[derive(Clone)]
pub struct Claims {
    stream: Stream,
}

/// A unit's record at a revision.
#[derive(Clone, Debug)]
pub struct Held {
    /// The record.
    pub record: UnitRecord,
    /// What a compare-and-set must expect.
    pub revision: u64,
}

/// What the bucket has of a unit.
#[derive(Debug)]
pub enum Found {
    /// No record; creating one must expect this revision.
    Nothing(u64),
    /// A record.
    Record(Box<Held>),
}

impl Claims {
    /// The bucket behind a connection.
    pub const fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// Reads a unit's record from the leader.
    pub async fn unit(&self, queue: &str, unit: &str) -> Result<Found, Away> {
        let key = names::unit_key(queue, unit);
        let Entry { value, revision } = self.stream.get(names::BUCKET_CLAIMS, &key).await?;
        let Some(value) = value else {
            return Ok(Found::Nothing(revision));
        };
        let record = UnitRecord::decode(&value).map_err(|fault| unreadable(&key, &fault))?;
        Ok(Found::Record(Box::new(Held { record, revision })))
    }

    /// Writes a unit's record if its revision is still the expected one.
    pub async fn write(&self, record: &UnitRecord, expected: u64) -> Result<Swap, Away> {
        let key = names::unit_key(&record.queue, &record.unit);
        let value = record.encode().map_err(|fault| ours(&key, &fault))?;
        self.stream.swap(names::BUCKET_CLAIMS, &key, value, expected).await
    }

    /// Removes a unit's record if its revision is still this one.
    pub async fn remove(&self, held: &Held) -> Result<Swap, Away> {
        let key = names::unit_key(&held.record.queue, &held.record.unit);
        self.stream.delete(names::BUCKET_CLAIMS, &key, held.revision).await
    }

    /// Makes the unit the owner of its run, unless the run has a record: then that record is returned.
    pub async fn own(&self, unit: &UnitRecord) -> Result<Option<RunRecord>, Away> {
        let key = names::run_key(&unit.queue, &unit.job_id, unit.run);
        let mine = RunRecord::owned_by(&unit.unit)
            .encode()
            .map_err(|fault| ours(&key, &fault))?;
        let mut expected = 0;
        for _ in 0..TRIES {
            if let Swap::Won(_) = self
                .stream
                .swap(names::BUCKET_CLAIMS, &key, mine.clone(), expected)
                .await?
            {
                return Ok(None);
            }
            let Entry { value, revision } = self.stream.get(names::BUCKET_CLAIMS, &key).await?;
            if let Some(value) = value {
                let record = RunRecord::decode(&value).map_err(|fault| unreadable(&key, &fault))?;
                return Ok((record.owner != unit.unit).then_some(record));
            }
            expected = revision; // it aged out in between, or was deleted
        }
        Err(Away(format!("{key}: changed {TRIES} times while it was created")))
    }
}

/// A run record that appears and disappears is nobody's doing; this only bounds the loop.
const TRIES: usize = 4;

/// A record of a newer version, or a broken one. Another version of this program may be able to read it.
fn unreadable(key: &str, fault: &Fault) -> Away {
    Away(format!("{key}: {fault}"))
}
