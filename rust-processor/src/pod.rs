//! What the two containers of a pod have in common: the environment comes in, and out go a termination message for the
//! bridge and an exit code for Kubernetes.

use std::env;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, Runtime};

use crate::claim::Claiming;
use crate::contract::Time;
use crate::exit::Exit;
use crate::handover::Volume;
use crate::log::{Level, Log};
use crate::patience::{Away, Patience};
use crate::queue::Queue;
use crate::records::Claims;
use crate::run::Run;
use crate::settings::{self, Settings};
use crate::stop::Stop;
use crate::stream::Stream;
use crate::termination::Termination;
use crate::voice::Voice;

/// How long what is left of the runtime's threads may take: a reader of our output may have stalled.
const LEFTOVERS: Duration = Duration::from_millis(500);

/// The init container: claims a run for this unit.
pub fn claim() -> Exit {
    contained(async |settings| {
        let mut stop = Stop::listen().map_err(|e| Away(format!("listen to signals: {e}")))?;
        let unit = &settings.place.unit;
        // Dying at any step is part of the protocol, so there is nothing to put in order.
        tokio::select! {
            ended = claim_with(settings) => ended,
            () = stop.asked() => Ok((Exit::Stopped, Termination::none(unit, "stopped while claiming"))),
        }
    })
}

async fn claim_with(settings: &Settings) -> Result<(Exit, Termination), Away> {
    let patience = Patience::new(settings.patience, settings.log);
    let (stream, queue) = tokio::join!(
        connect(settings, patience),
        Queue::open(
            &settings.queue_url,
            plain_http(&settings.queue_url),
            settings.authorities.as_deref(),
            patience
        )
    );
    let stream = stream?;
    let claims = Claims::new(stream.clone());
    let voice = Voice::new(stream, &settings.place, &settings.queue.name, now);
    let volume = Volume::at(settings.dir.clone());
    Claiming::new(settings, queue, claims, voice, volume).claim().await
}

/// The main container: does the work of the run that was claimed.
pub fn run() -> Exit {
    contained(async |settings| {
        let mut stop = Stop::listen().map_err(|e| Away(format!("listen to signals: {e}")))?;
        let volume = Volume::at(settings.dir.clone());
        let unit = &settings.place.unit;
        let claim = volume
            .find()
            .map_err(|e| Away(format!("read the claim in {}: {e}", settings.dir.display())))?;
        let Some(claim) = claim.filter(|claim| claim.unit == *unit) else {
            return Ok((Exit::Done, Termination::none(unit, "nothing was claimed")));
        };
        if let Some(outcome) = claim.closed() {
            let termination = Termination::none(unit, "the unit is closed").recorded(Some(outcome));
            return Ok((crate::closing::exit_of(outcome), termination));
        }
        let stream = connect(settings, Patience::new(settings.patience, settings.log)).await?;
        let voice = Voice::new(stream.clone(), &settings.place, &settings.queue.name, now);
        Run::new(settings, stream, voice, volume, claim).run(&mut stop).await
    })
}

async fn connect(settings: &Settings, patience: Patience) -> Result<Stream, Away> {
    let name = format!("processor {}", settings.place.pod_name);
    Stream::connect(&settings.nats, &name, patience).await
}

/// Whether SQS is reached without TLS: by the endpoint that the SDK takes from the environment, else by the queue's URL.
fn plain_http(queue_url: &str) -> bool {
    let endpoint = ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"]
        .into_iter()
        .find_map(|name| env::var(name).ok());
    endpoint.as_deref().unwrap_or(queue_url).starts_with("http://")
}

fn now() -> Time {
    Time::at(SystemTime::now())
}

/// Reads the environment, does the container's part, and leaves the termination message.
fn contained(part: impl AsyncFnOnce(&Settings) -> Result<(Exit, Termination), Away>) -> Exit {
    let lookup = |name: &str| env::var_os(name);
    let path = settings::termination_log(&lookup);
    let settings = match Settings::from_env(&lookup) {
        Ok(settings) => settings,
        Err(faults) => {
            let log = Log::down_to(Level::Error);
            log.error("the environment is wrong", &[("error", &faults)]);
            leave(&Termination::none("", faults), &path, log);
            return Exit::Permanent;
        }
    };
    let (log, unit) = (settings.log, &settings.place.unit);
    let (exit, termination) = match runtime() {
        Ok(runtime) => {
            let ended = runtime.block_on(part(&settings));
            runtime.shutdown_timeout(LEFTOVERS);
            ended.unwrap_or_else(|away| {
                log.error("gave up", &[("error", &away.0)]);
                (Exit::Infrastructure, Termination::none(unit, away.0))
            })
        }
        Err(e) => (
            Exit::Infrastructure,
            Termination::none(unit, format!("make a runtime: {e}")),
        ),
    };
    leave(&termination, &path, log);
    exit
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn leave(termination: &Termination, path: &Path, log: Log) {
    if let Err(e) = termination.write(path) {
        log.warn(
            "the termination message could not be written",
            &[("error", &e.to_string())],
        );
    }
}
