//! What others do to the unit's record while this attempt works.
//!
//! Every change is heard on the record's own subject: plain NATS, no consumer, of which a stream takes only a thousand.
//! Such a message may be lost, so the record is also read again from time to time. And it may be of a write that lost
//! its race, which the stream never took: so what is heard only says when to read, and the record alone gives orders.

use std::time::Duration;

use async_nats::Subscriber;
use futures_util::StreamExt;

use crate::contract::{Outcome, UnitRecord, UnitState, names};
use crate::patience::Away;
use crate::records::{Claims, Found};
use crate::settings::Place;
use crate::stream::Stream;

/// How often the record is read again.
const PERIOD: Duration = Duration::from_secs(30);

/// A write is heard before it is stored: when to read after one was heard that would order something.
const LOOKS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(500),
    Duration::from_secs(3),
];

/// What a record says to an attempt at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop, close, and say so.
    Cancel,
    /// The run ended elsewhere.
    Closed(Outcome),
    /// A newer attempt has the run.
    Superseded,
}

/// What the record says to the pod's attempt; none: work on.
pub fn judge(record: &UnitRecord, pod: &str) -> Option<Order> {
    if record.state == UnitState::Closed {
        return Some(Order::Closed(record.outcome.unwrap_or(Outcome::Failed)));
    }
    if record.attempts.last().is_some_and(|newest| newest != pod) {
        return Some(Order::Superseded);
    }
    record.cancel_requested.then_some(Order::Cancel)
}

/// One unit's record, listened to.
pub struct Watch {
    claims: Claims,
    changes: Subscriber,
    queue: String,
    place: Place,
}

impl Watch {
    /// Begins to listen.
    pub async fn of(stream: &Stream, claims: Claims, queue: &str, place: &Place) -> Result<Self, Away> {
        let changes = stream
            .changes(names::BUCKET_CLAIMS, &names::unit_key(queue, &place.unit))
            .await?;
        Ok(Self {
            claims,
            changes,
            queue: queue.to_owned(),
            place: place.clone(),
        })
    }

    /// Waits until the record orders something.
    pub async fn order(&mut self) -> Order {
        let mut again = tokio::time::interval(PERIOD);
        again.reset(); // it was read a moment ago
        loop {
            let order = tokio::select! {
                Some(change) = self.changes.next() => self.confirm(&change.payload).await,
                _ = again.tick() => self.read().await,
            };
            if let Some(order) = order {
                return order;
            }
        }
    }

    /// What the record orders, after a write was heard that would order something.
    async fn confirm(&self, heard: &[u8]) -> Option<Order> {
        self.judge(&UnitRecord::decode(heard).ok()?)?;
        for pause in LOOKS {
            tokio::time::sleep(pause).await;
            if let Some(order) = self.read().await {
                return Some(order);
            }
        }
        None
    }

    /// What the record orders. One that cannot be read now is read in the next period.
    async fn read(&self) -> Option<Order> {
        match self.claims.unit(&self.queue, &self.place.unit).await {
            Ok(Found::Record(held)) => self.judge(&held.record),
            _ => None,
        }
    }

    fn judge(&self, record: &UnitRecord) -> Option<Order> {
        judge(record, &self.place.pod)
    }
}
