//! `processor run`: does the work of one attempt and speaks for it.
//!
//! | module | what it is |
//! |---|---|
//! | [`child`] | the work as a child process: its environment, its input, its end |
//! | [`children`] | all children of this process, waited for: the work, and what it leaves to PID 1 |
//! | [`output`] | what the child prints, passed on as it comes and kept to the last 64 KiB |
//! | [`progress`] | the lines of the progress file, told to whoever listens |
//! | [`watch`] | what others do to the unit's record in the meantime |
//! | [`verdict`] | how the child ended, judged |
//! | [`result`] | what the work left behind |

use std::time::{Duration, Instant};

use crate::closing::{self, Closing, exit_of};
use crate::contract::config::JobType;
use crate::contract::unit::Ending;
use crate::contract::{Kind, Outcome, Task, UnitState, names};
use crate::exit::Exit;
use crate::handover::{Claim, Volume};
use crate::patience::Away;
use crate::records::{Claims, Found, Held};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::stream::Stream;
use crate::termination::{Termination, Verdict};
use crate::testpoint;
use crate::voice::Voice;
use child::{Child, Spawned};
use verdict::{Attempt, End};
use watch::{Order, Watch};

pub mod child;
pub mod children;
pub mod output;
pub mod progress;
pub mod result;
pub mod verdict;
pub mod watch;

/// How long storing the output may take. It decides nothing, so it may not hold up the end.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(3);

/// One attempt.
pub struct Run<'a> {
    settings: &'a Settings,
    stream: Stream,
    claims: Claims,
    voice: Voice<'a>,
    volume: Volume,
    claim: Claim,
}

type Ended = (Exit, Termination);

impl<'a> Run<'a> {
    /// The attempt that a claim numbered.
    pub fn new(settings: &'a Settings, stream: Stream, mut voice: Voice<'a>, volume: Volume, claim: Claim) -> Self {
        voice.trace(claim.trace_parent.as_deref());
        Self {
            settings,
            claims: Claims::new(stream.clone()),
            stream,
            voice,
            volume,
            claim,
        }
    }

    /// Works, unless the record forbids it. Whatever happens before the work begins is no ending of the attempt.
    pub async fn run(self, stop: &mut Stop) -> Result<Ended, Away> {
        let (queue, unit) = (&self.settings.queue.name, &self.settings.place.unit);
        let prepared = tokio::select! {
            prepared = self.prepare() => prepared?,
            () = stop.asked() => return Ok((Exit::Stopped, Termination::none(unit, "stopped before the work began"))),
        };
        let (mut watch, held) = match prepared {
            Prepared::Work(watch, held) => (watch, held),
            Prepared::End(exit, termination) => return Ok((exit, *termination)),
        };
        let envelope = self
            .volume
            .task()
            .map_err(|e| Away(format!("read the task of {queue} {unit}: {e}")))?;
        let task = Task::decode(&envelope).map_err(|fault| Away(format!("the task of {queue} {unit}: {fault}")))?;
        let Some(kind) = self.settings.queue.job_type(&task.job_type) else {
            let message = format!(
                "queue {queue} has no job type {}; its configuration lists them",
                task.job_type
            );
            return self.conclude(&held, Attempt::impossible(message), Vec::new()).await;
        };
        testpoint::at("r1");
        self.voice
            .of_attempt(Kind::Started, &held.record, self.claim.attempt)
            .await?;
        testpoint::at("r2");
        let (attempt, output) = self.work(&held, &task, kind, &mut watch, stop).await?;
        self.conclude(&held, attempt, output).await
    }

    /// Listens to the record, then reads it: so no cancel can fall between the two.
    async fn prepare(&self) -> Result<Prepared, Away> {
        testpoint::at("r0");
        let (queue, place) = (&self.settings.queue.name, &self.settings.place);
        let watch = Watch::of(&self.stream, self.claims.clone(), queue, place).await?;
        let nothing = Termination::none(&place.unit, "the unit's record is gone");
        let Found::Record(held) = self.claims.unit(queue, &place.unit).await? else {
            return Ok(Prepared::end(Exit::Infrastructure, nothing));
        };
        let termination = Termination::none(&place.unit, "").of(&held.record, self.claim.attempt);
        match (held.record.state, watch::judge(&held.record, &place.pod)) {
            (UnitState::Intent, _) => Ok(Prepared::end(Exit::Infrastructure, nothing)),
            (_, Some(Order::Closed(outcome))) => {
                Ok(Prepared::end(exit_of(outcome), termination.recorded(Some(outcome))))
            }
            // A newer pod has the run; Kubernetes took this one for gone.
            (_, Some(Order::Superseded)) => Ok(Prepared::end(Exit::Infrastructure, termination)),
            (_, Some(Order::Cancel)) => {
                let (exit, termination) = self.conclude(&held, Attempt::cancelled(None), Vec::new()).await?;
                Ok(Prepared::end(exit, termination))
            }
            (UnitState::Owned | UnitState::Closed, None) => Ok(Prepared::Work(Box::new(watch), held)),
        }
    }

    /// Starts the child and sees it to its end.
    async fn work(
        &self,
        held: &Held,
        task: &Task,
        kind: &JobType,
        watch: &mut Watch,
        stop: &mut Stop,
    ) -> Result<(Attempt, Vec<u8>), Away> {
        let files = child::Files::in_volume(&self.volume);
        files
            .prepare(&task.payload)
            .map_err(|e| Away(format!("write the payload: {e}")))?;
        let environment = child::environment(self.settings, task, self.claim.attempt, &files, std::env::vars_os());
        let mut child = match Child::spawn(kind, environment, &task.payload) {
            Spawned::Working(child) => child,
            Spawned::Impossible(message) => return Ok((Attempt::impossible(message), Vec::new())),
            Spawned::NotNow(message) => return Err(Away(message)),
        };
        let began = Instant::now();
        let subject = names::progress_subject(&task.queue, &task.job_type, &task.job_id);
        let progress = progress::Tail::of(
            &files.progress,
            self.stream.clone(),
            subject,
            &held.record,
            self.claim.attempt,
            self.settings.log,
        );
        let limit = self.timeout(task, kind);
        let end = tokio::select! {
            biased;
            status = child.wait() => End::Exited(status.map_err(|e| Away(format!("wait for the work: {e}")))?),
            order = watch.order() => End::Ordered(order),
            () = tokio::time::sleep(limit) => End::TimedOut(limit),
            () = stop.asked() => End::Stopped,
            never = progress.follow(self.voice.clock()) => match never {},
        };
        if !matches!(end, End::Exited(_)) {
            child.stop(self.settings.grace).await;
        }
        let duration = began.elapsed();
        let printed = child.printed().await;
        progress.finish(self.voice.clock()).await;
        let left = result::read(&files.result);
        let attempt = verdict::judge(end, kind.command.is_empty(), &printed, left, duration);
        Ok((attempt, printed.into_bytes()))
    }

    fn timeout(&self, task: &Task, kind: &JobType) -> Duration {
        let asked = task
            .timeout_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs);
        self.settings
            .timeout
            .or(asked)
            .unwrap_or_else(|| self.settings.queue.timeout(kind))
    }

    /// Records and says how the attempt ended, and keeps its output.
    async fn conclude(&self, held: &Held, attempt: Attempt, output: Vec<u8>) -> Result<Ended, Away> {
        let (ended, ()) = tokio::join!(self.end(held, attempt), self.keep(held, output));
        Ok(ended)
    }

    async fn end(&self, held: &Held, attempt: Attempt) -> Ended {
        let record = &held.record;
        let blank = Termination::none(&record.unit, "").of(record, self.claim.attempt);
        match attempt {
            Attempt::Worked(mut ending) => {
                ending.attempt = self.claim.attempt;
                testpoint::at(match ending.outcome {
                    Outcome::Succeeded => "rS",
                    Outcome::Failed => "rP",
                    Outcome::Cancelled => "rC",
                });
                self.close(&ending, blank).await
            }
            Attempt::Failed(exit, mut ending) => {
                ending.attempt = self.claim.attempt;
                testpoint::at("rF");
                let said = self
                    .voice
                    .ended(Kind::AttemptFailed, record, &ending, self.voice.now())
                    .await;
                self.warn("the end of the attempt could not be said", said);
                (exit, blank.ended(Verdict::AttemptFailed, &ending, false))
            }
            Attempt::Void(Some(outcome)) => (exit_of(outcome), blank.recorded(Some(outcome))),
            Attempt::Void(None) => (Exit::Infrastructure, blank),
            Attempt::Stopped => (Exit::Stopped, blank),
        }
    }

    async fn close(&self, ending: &Ending, blank: Termination) -> Ended {
        let (queue, unit, log) = (&self.settings.queue.name, &self.settings.place.unit, self.settings.log);
        let own = exit_of(ending.outcome);
        let verdict = Verdict::Run(ending.outcome);
        match closing::close(&self.claims, queue, unit, ending, &self.voice).await {
            Ok(Closing::Recorded(closed)) => {
                closing::say(&self.claims, &closed, ending, &self.voice, log).await;
                (own, blank.ended(verdict, ending, true))
            }
            Ok(Closing::Closed(outcome)) => (exit_of(outcome), blank.recorded(Some(outcome))),
            Ok(Closing::Superseded) => (own, blank.ended(verdict, ending, false)),
            Err(away) => {
                log.error(
                    "the outcome could not be recorded; it is in the termination message",
                    &[("error", &away.0)],
                );
                (own, blank.ended(verdict, ending, false))
            }
        }
    }

    async fn keep(&self, held: &Held, output: Vec<u8>) {
        if output.is_empty() {
            return;
        }
        let record = &held.record;
        let key = names::output_key(&record.queue, &record.job_id, record.run, self.claim.attempt);
        let kept = self
            .stream
            .hurried(OUTPUT_PATIENCE)
            .put(names::BUCKET_OUTPUT, &key, output)
            .await;
        self.warn("the output could not be kept", kept);
    }

    fn warn(&self, what: &str, result: Result<(), Away>) {
        if let Err(away) = result {
            self.settings.log.warn(what, &[("error", &away.0)]);
        }
    }
}

enum Prepared {
    Work(Box<Watch>, Box<Held>),
    End(Exit, Box<Termination>),
}

impl Prepared {
    fn end(exit: Exit, termination: Termination) -> Self {
        Self::End(exit, Box::new(termination))
    }
}
