//! `processor claim`: makes this unit the owner of one run.
//!
//! The numbers are those of the design's section 7, and the test points those of the model that explored it. Whatever
//! step this program dies at, running it again in the next pod of the unit ends in one owner and loses no message.

use crate::contract::unit::Ending;
use crate::contract::{Kind, MAX_ATTEMPTS, Outcome, Reason, Task, UnitRecord, UnitState};
use crate::exit::Exit;
use crate::handover::{Claim, Volume};
use crate::patience::Away;
use crate::queue::Queue;
use crate::records::{Claims, Found, Held};
use crate::settings::Settings;
use crate::stream::Swap;
use crate::termination::{Termination, Verdict};
use crate::voice::Voice;
use crate::{closing, testpoint};

mod message;

use message::Sorted;

/// How often one pod begins again: for every message that it may not take, and for every conflict with another pod of
/// its unit.
const ROUNDS: usize = 64;

/// One claim in the making.
pub struct Claiming<'a> {
    settings: &'a Settings,
    queue: Queue,
    claims: Claims,
    voice: Voice<'a>,
    volume: Volume,
}

/// What a step leads to.
enum Flow {
    /// Go to step 1.
    Again,
    /// This is how it ends.
    End(Exit, Termination),
}

impl<'a> Claiming<'a> {
    /// A claim for the pod that the settings describe.
    pub const fn new(settings: &'a Settings, queue: Queue, claims: Claims, voice: Voice<'a>, volume: Volume) -> Self {
        Self {
            settings,
            queue,
            claims,
            voice,
            volume,
        }
    }

    /// Claims a run, or finds that there is none to claim.
    pub async fn claim(mut self) -> Result<(Exit, Termination), Away> {
        self.volume
            .clear()
            .map_err(|e| Away(format!("clear {}: {e}", self.settings.dir.display())))?;
        for _ in 0..ROUNDS {
            if let Flow::End(exit, termination) = self.look().await? {
                return Ok((exit, termination));
            }
        }
        Err(Away(format!("no run could be claimed in {ROUNDS} rounds")))
    }

    /// Step 1: what has this unit claimed already?
    async fn look(&mut self) -> Result<Flow, Away> {
        testpoint::at("c1");
        let place = &self.settings.place;
        match self.claims.unit(&self.settings.queue.name, &place.unit).await? {
            Found::Nothing(revision) => self.receive(revision).await,
            Found::Record(held) => match held.record.state {
                UnitState::Closed => self.stay_closed(&held.record),
                UnitState::Owned => self.resume(*held).await,
                UnitState::Intent => self.settle(*held).await,
            },
        }
    }

    /// Nothing may start any more. `run` exits as the record says.
    fn stay_closed(&self, record: &UnitRecord) -> Result<Flow, Away> {
        let claim = Claim {
            unit: record.unit.clone(),
            outcome: record.outcome.map(|outcome| outcome.to_string()),
            ..Claim::default()
        };
        self.leave(&claim, None)?;
        let termination = Termination::none(&record.unit, "the unit is closed").of(record, 0);
        Ok(Flow::End(Exit::Done, termination.recorded(record.outcome)))
    }

    /// The unit owns a run: this pod is its next attempt.
    async fn resume(&mut self, held: Held) -> Result<Flow, Away> {
        let pod = &self.settings.place.pod;
        let numbered = held.record.attempt_of(pod);
        if held.record.cancel_requested {
            return self
                .end(held, Outcome::Cancelled, Reason::Cancelled, "cancelled by request")
                .await;
        }
        if numbered > 0 {
            return self.begin(&held.record, numbered).await;
        }
        if held.record.attempts.len() >= MAX_ATTEMPTS {
            let message = format!("all of its {MAX_ATTEMPTS} attempts are used up");
            return self.end(held, Outcome::Failed, Reason::Unknown, &message).await;
        }
        let mut record = held.record;
        record.attempts.push(pod.clone());
        match self.claims.write(&record, held.revision).await? {
            Swap::Won(_) => self.begin(&record, record.newest_attempt()).await,
            Swap::Lost => Ok(Flow::Again),
        }
    }

    /// Closes the unit with no work of this pod in between.
    async fn end(&self, held: Held, outcome: Outcome, reason: Reason, message: &str) -> Result<Flow, Away> {
        let ending = Ending {
            outcome,
            attempt: held.record.newest_attempt(),
            reason: Some(reason),
            exit_code: None,
            message: message.to_owned(),
            tail: String::new(),
            result: None,
            duration_ms: 0,
        };
        let Some(closed) = closing::try_close(&self.claims, held, &ending, &self.voice).await? else {
            return Ok(Flow::Again);
        };
        // Of a failure the bridge knows more, and says it: how the last attempt ended.
        if outcome == Outcome::Cancelled {
            closing::say(&self.claims, &closed, &ending, &self.voice, self.settings.log).await;
        }
        let termination = Termination::none(&closed.record.unit, "").of(&closed.record, 0);
        let termination = termination.ended(Verdict::Run(outcome), &ending, true);
        Ok(Flow::End(closing::exit_of(outcome), termination))
    }

    /// Step 2: one message, if there is one. Step 3: the intent.
    async fn receive(&mut self, revision: u64) -> Result<Flow, Away> {
        testpoint::at("c2");
        let queue = &self.settings.queue;
        let received = self
            .queue
            .receive(self.settings.receive, queue.visibility(), self.voice.now())
            .await?;
        let Some(received) = received else {
            self.voice.noop().await?;
            let unit = &self.settings.place.unit;
            return Ok(Flow::End(Exit::Done, Termination::none(unit, "no message")));
        };
        self.voice.trace(received.trace_parent());
        let (task, envelope) = match message::sort(&received, queue) {
            Sorted::Task(task, envelope) => (task, envelope),
            Sorted::NotYet => {
                self.queue.hide(&received.receipt, message::NOT_YET).await?;
                return Ok(Flow::Again);
            }
            Sorted::Never(fault) => {
                self.reject(&received, &fault).await?;
                return Ok(Flow::Again);
            }
        };
        testpoint::at("c3");
        let record = self.intent(&received, &task, envelope);
        match self.claims.write(&record, revision).await? {
            Swap::Won(revision) => self.settle(Held { record, revision }).await,
            Swap::Lost => {
                // Another pod of this unit was faster, or our own write was answered too late.
                self.queue.hide(&received.receipt, std::time::Duration::ZERO).await?;
                Ok(Flow::Again)
            }
        }
    }

    fn intent(&self, received: &crate::queue::Received, task: &Task, envelope: Vec<u8>) -> UnitRecord {
        let place = &self.settings.place;
        let mut record = UnitRecord::intent(&place.unit, task, envelope);
        record.receipt.clone_from(&received.receipt);
        record.message_id.clone_from(&received.message_id);
        record.cluster.clone_from(&place.cluster);
        record.namespace.clone_from(&place.namespace);
        record.name.clone_from(&place.unit_name);
        record
    }

    /// Step 4: whose is the run? Step 5: ours.
    async fn settle(&mut self, held: Held) -> Result<Flow, Away> {
        let envelope = held.record.task.as_deref().unwrap_or_default();
        let task = Task::decode(envelope).map_err(|fault| Away(format!("the task of an intent: {fault}")))?;
        if task.source == crate::contract::TaskSource::Foreign {
            testpoint::at("cF");
            self.voice.submitted(&task, envelope).await?;
        }
        testpoint::at("c4");
        if let Some(other) = self.claims.own(&held.record).await? {
            testpoint::at("c4d");
            self.queue.delete(&held.record.receipt).await?;
            testpoint::at("c4r");
            // Losing means that another pod of this unit went on with the intent; it finds the same owner.
            let _ = self.claims.remove(&held).await?;
            testpoint::at("c4s");
            self.voice.not_ours(&held.record, &other).await?;
            return Ok(Flow::Again);
        }
        testpoint::at("c5d");
        self.queue.delete(&held.record.receipt).await?;
        testpoint::at("c5m");
        let mut record = held.record;
        record.state = UnitState::Owned;
        record.attempts = vec![self.settings.place.pod.clone()];
        match self.claims.write(&record, held.revision).await? {
            Swap::Won(_) => self.begin(&record, 1).await,
            Swap::Lost => Ok(Flow::Again),
        }
    }

    /// The run is ours and this pod has a number: `run` may begin.
    async fn begin(&self, record: &UnitRecord, attempt: i64) -> Result<Flow, Away> {
        testpoint::at("c5s");
        let claim = Claim {
            unit: record.unit.clone(),
            attempt,
            outcome: None,
            trace_parent: self.voice.trace_parent().map(str::to_owned),
        };
        self.leave(&claim, record.task.as_deref())?;
        self.voice.of_attempt(Kind::Claimed, record, attempt).await?;
        testpoint::at("claimed");
        let termination = Termination::none(&record.unit, "claimed").of(record, attempt);
        Ok(Flow::End(Exit::Done, termination))
    }

    fn leave(&self, claim: &Claim, task: Option<&[u8]>) -> Result<(), Away> {
        let left = self.volume.leave(claim, task);
        left.map_err(|e| Away(format!("write the claim to {}: {e}", self.settings.dir.display())))
    }

    /// A message that nobody can ever read goes to the dead-letter queue, for a person to look at.
    async fn reject(&self, received: &crate::queue::Received, fault: &str) -> Result<(), Away> {
        testpoint::at("rejectSend");
        let mut message = fault.to_owned();
        match &self.settings.dead_letter_url {
            Some(url) => self.queue.copy_to(url, received).await?,
            None => message = message::with_head(fault, &received.body),
        }
        testpoint::at("rejectSay");
        self.voice.rejected(&received.receipt, message).await?;
        testpoint::at("rejectDelete");
        self.queue.delete(&received.receipt).await
    }
}
