//! What the environment tells this program. Every fault in it is named, in one message.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::contract::MAX_NAME_BYTES;
use crate::contract::config::Queue;
use crate::contract::id::{valid_label, valid_token};
use crate::log::{Level, Log};
use crate::stream::Access;

/// What both `claim` and `run` need to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The queue with its types.
    pub queue: Queue,
    /// URL of the SQS queue; `run` has no need of it.
    pub queue_url: String,
    /// URL of its dead-letter queue.
    pub dead_letter_url: Option<String>,
    /// Who we are.
    pub place: Place,
    /// How to reach NATS.
    pub nats: Access,
    /// Certificates to trust beside the system's, as PEM.
    pub authorities: Option<String>,
    /// The volume that `claim` and `run` share.
    pub dir: PathBuf,
    /// Where the outcome goes for Kubernetes.
    pub termination_log: PathBuf,
    /// The long poll of `claim`.
    pub receive: Duration,
    /// From SIGTERM to SIGKILL of the work.
    pub grace: Duration,
    /// Overrides every other timeout of an attempt.
    pub timeout: Option<Duration>,
    /// How long NATS and SQS may be away.
    pub patience: Duration,
    /// Passed on to the work.
    pub store_dir: Option<OsString>,
    /// Passed on to the work.
    pub data_dir: Option<OsString>,
    /// Where log lines go.
    pub log: Log,
}

/// Where in Kubernetes (or its local stand-in) this program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The unit's UID.
    pub unit: String,
    /// The name of the Kubernetes Job.
    pub unit_name: String,
    /// The pod's UID.
    pub pod: String,
    /// The pod's name.
    pub pod_name: String,
    /// The namespace.
    pub namespace: String,
    /// The cluster.
    pub cluster: String,
    /// The node.
    pub node: String,
}

/// Reads variables and collects faults.
struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    faults: Vec<String>,
}

impl Settings {
    /// Reads the environment through `lookup`. A variable that is set to nothing counts as not set.
    pub fn from_env(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let mut r = Reader {
            lookup,
            faults: Vec::new(),
        };
        let queue = r.queue();
        let queue_url = r.first(["TALLYMAN_QUEUE_URL", "AWS_SQS_URL"]);
        let settings = Self {
            queue_url,
            dead_letter_url: r.text("TALLYMAN_DEAD_LETTER_URL"),
            place: r.place(),
            nats: Access {
                url: r.required("TALLYMAN_NATS_URL"),
                credentials: r.file("TALLYMAN_NATS_CREDS"),
                inbox: r.text("TALLYMAN_NATS_INBOX"),
                authorities: r.text("TALLYMAN_CA_FILE").map(PathBuf::from),
            },
            authorities: r.file("TALLYMAN_CA_FILE"),
            dir: r
                .text("TALLYMAN_DIR")
                .map_or_else(|| PathBuf::from("/tallyman"), PathBuf::from),
            termination_log: termination_log(lookup),
            receive: r
                .seconds("TALLYMAN_RECEIVE_SECONDS", 0, 20)
                .unwrap_or(Duration::from_secs(10)),
            grace: r
                .seconds("TALLYMAN_GRACE_SECONDS", 0, 3600)
                .unwrap_or(Duration::from_secs(25)),
            timeout: r.seconds("TALLYMAN_TIMEOUT_SECONDS", 1, 7 * 24 * 3600),
            patience: r
                .seconds("TALLYMAN_PATIENCE_SECONDS", 0, 3600)
                .unwrap_or(Duration::from_mins(1)),
            store_dir: r.set("TALLYMAN_STORE_DIR"),
            data_dir: r.set("TALLYMAN_DATA_DIR"),
            log: r.log(),
            queue: match queue {
                Some(queue) => queue,
                None => return Err(r.faults.join("; ")),
            },
        };
        if r.faults.is_empty() {
            Ok(settings)
        } else {
            Err(r.faults.join("; "))
        }
    }
}

/// Where the outcome goes for Kubernetes, even where everything else in the environment is wrong.
pub fn termination_log(lookup: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    let set = lookup("TALLYMAN_TERMINATION_LOG").filter(|value| !value.is_empty());
    set.map_or_else(|| PathBuf::from("/dev/termination-log"), PathBuf::from)
}

impl Reader<'_> {
    fn set(&self, name: &str) -> Option<OsString> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let text = self.set(name)?.into_string().ok();
        if text.is_none() {
            self.faults.push(format!("{name} is not UTF-8"));
        }
        text
    }

    fn required(&mut self, name: &str) -> String {
        let text = self.text(name);
        if text.is_none() {
            self.faults.push(format!("{name} is not set"));
        }
        text.unwrap_or_default()
    }

    fn first(&mut self, names: [&str; 2]) -> String {
        let found = names.into_iter().find_map(|name| self.text(name));
        if found.is_none() {
            self.faults.push(format!("{} is not set", names.join(" or ")));
        }
        found.unwrap_or_default()
    }

    fn token(&mut self, name: &str) -> String {
        let text = self.required(name);
        if !text.is_empty() && !valid_token(&text) {
            self.faults.push(format!("{name} must be 1 to 64 of A-Z a-z 0-9 _ -"));
        }
        text
    }

    /// Without it no bridge would find our claims, and what only Kubernetes sees of them would never be said.
    fn place_name(&mut self, name: &str) -> String {
        if self.set(name).is_none() {
            self.faults.push(format!("{name} is not set"));
        }
        self.label(name)
    }

    fn label(&mut self, name: &str) -> String {
        let text = self.text(name).unwrap_or_default();
        if !text.is_empty() && !valid_label(&text, MAX_NAME_BYTES) {
            self.faults.push(format!(
                "{name} must be printable ASCII without spaces, at most {MAX_NAME_BYTES}"
            ));
        }
        text
    }

    fn seconds(&mut self, name: &str, least: u64, most: u64) -> Option<Duration> {
        let text = self.text(name)?;
        let seconds = text.parse().ok().filter(|n| (least..=most).contains(n));
        if seconds.is_none() {
            self.faults.push(format!("{name} must be {least} to {most} seconds"));
        }
        seconds.map(Duration::from_secs)
    }

    fn file(&mut self, name: &str) -> Option<String> {
        let path = self.set(name)?;
        match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(e) => {
                self.faults.push(format!("{name}: read {}: {e}", path.display()));
                None
            }
        }
    }

    fn queue(&mut self) -> Option<Queue> {
        let name = self.token("TALLYMAN_QUEUE");
        if self.set("TALLYMAN_CONFIG").is_none() {
            self.faults.push("TALLYMAN_CONFIG is not set".to_owned());
        }
        let config = self.file("TALLYMAN_CONFIG")?;
        let queue = Queue::decode(config.as_bytes(), &name);
        queue
            .map_err(|fault| self.faults.push(format!("TALLYMAN_CONFIG {fault}")))
            .ok()
    }

    fn place(&mut self) -> Place {
        Place {
            unit: self.token("TALLYMAN_UNIT"),
            unit_name: self.place_name("TALLYMAN_UNIT_NAME"),
            pod: self.token("TALLYMAN_POD_UID"),
            pod_name: self.label("TALLYMAN_POD_NAME"),
            namespace: self.place_name("TALLYMAN_NAMESPACE"),
            cluster: self.place_name("TALLYMAN_CLUSTER"),
            node: self.label("TALLYMAN_NODE"),
        }
    }

    fn log(&mut self) -> Log {
        let level = self
            .text("TALLYMAN_LOG")
            .map_or(Some(Level::Warn), |word| Level::parse(&word));
        if level.is_none() {
            self.faults
                .push("TALLYMAN_LOG must be error, warn, info or debug".to_owned());
        }
        Log::down_to(level.unwrap_or(Level::Warn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_protocol_rests_on_must_be_set() {
        let faults = Settings::from_env(&|_| None).unwrap_err();
        for name in [
            "TALLYMAN_QUEUE",
            "TALLYMAN_UNIT",
            "TALLYMAN_UNIT_NAME",
            "TALLYMAN_POD_UID",
            "TALLYMAN_NAMESPACE",
            "TALLYMAN_CLUSTER",
            "TALLYMAN_NATS_URL",
        ] {
            assert!(faults.contains(&format!("{name} is not set")), "{name}: {faults}");
        }
    }
}
