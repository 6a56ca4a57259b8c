//! Queues and job types, as far as the processor needs them.
//!
//! Whoever writes the file (the chart, `tallyman dev`) has checked it, and a newer writer may say more than this reader
//! knows: so unknown fields are let pass here, which Go's reader refuses.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::id::valid_token;
use super::names::NO_TYPE;

const DEFAULT_TIMEOUT: Duration = Duration::from_hours(1);
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);
const MAX_CONFIG_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct Config {
    queues: Vec<Queue>,
}

/// One SQS queue with its job types.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Its name.
    pub name: String,
    #[serde(default, deserialize_with = "duration")]
    timeout: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    visibility: Option<Duration>,
    #[serde(default)]
    default_type: String,
    types: Vec<JobType>,
}

/// A kind of work.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct JobType {
    /// Its name.
    pub name: String,
    /// The user's own program; empty for a built-in type.
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default, deserialize_with = "duration")]
    timeout: Option<Duration>,
}

impl Queue {
    /// Reads a configuration and takes the queue of that name out of it.
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self, String> {
        if bytes.len() > MAX_CONFIG_BYTES {
            return Err(format!("is larger than {MAX_CONFIG_BYTES} bytes"));
        }
        let config: Config = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let known: Vec<_> = config.queues.iter().map(|queue| queue.name.clone()).collect();
        let found = config.queues.into_iter().find(|queue| queue.name == name);
        let queue = found.ok_or_else(|| format!("has no queue {name:?}; it has {}", known.join(", ")))?;
        queue.check().map(|()| queue)
    }

    fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for kind in &self.types {
            if !valid_token(&kind.name) || kind.name == NO_TYPE || !names.insert(&kind.name) {
                return Err(format!(
                    "queue {:?}: type {:?} is no name or stands twice",
                    self.name, kind.name
                ));
            }
        }
        if self.job_type(self.default_type()).is_none() {
            return Err(format!(
                "queue {:?}: there is no default type {:?}",
                self.name,
                self.default_type()
            ));
        }
        Ok(())
    }

    /// What a foreign message is.
    pub fn default_type(&self) -> &str {
        let first = self.types.first().map_or("", |kind| &kind.name);
        if self.default_type.is_empty() {
            first
        } else {
            &self.default_type
        }
    }

    /// How long SQS hides a received message.
    pub fn visibility(&self) -> Duration {
        self.visibility.unwrap_or(DEFAULT_VISIBILITY)
    }

    /// Finds a job type by name.
    pub fn job_type(&self, name: &str) -> Option<&JobType> {
        self.types.iter().find(|kind| kind.name == name)
    }

    /// The timeout of an attempt of that type.
    pub fn timeout(&self, kind: &JobType) -> Duration {
        kind.timeout.or(self.timeout).unwrap_or(DEFAULT_TIMEOUT)
    }
}

/// Digits and one unit: 500ms, 30s, 10m, 4h.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let fault = || de::Error::custom(format!("{text:?} is not a duration like 500ms, 30s, 10m or 4h"));
    parse_duration(&text).map(Some).ok_or_else(fault)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.strip_suffix(unit)?;
    let scale = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let number: u64 = digits.parse().ok().filter(|n| *n > 0 && digits.len() <= 9)?;
    let duration = Duration::from_millis(number * scale);
    // Go counts nanoseconds in 63 bits, and refuses what does not fit.
    i64::try_from(duration.as_nanos()).ok().map(|_| duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"queues":[{"name":"other","types":[{"name":"probe"}]},{"name":"default","url":"http://x",
        "timeout":"10m","retention":"96h","future":1,"types":[{"name":"probe"},{"name":"own","command":["a","b"],
        "timeout":"500ms"}]}]}"#;

    #[test]
    fn a_queue_is_found_with_its_defaults() {
        let queue = Queue::decode(CONFIG.as_bytes(), "default").unwrap();
        let own = queue.job_type("own").unwrap();
        assert_eq!((queue.default_type(), own.command.len()), ("probe", 2));
        assert_eq!(queue.timeout(own), Duration::from_millis(500));
        assert_eq!(queue.timeout(queue.job_type("probe").unwrap()), Duration::from_mins(10));
        assert_eq!(queue.visibility(), DEFAULT_VISIBILITY);
        assert_eq!(queue.job_type("none"), None);
    }

    #[test]
    fn a_fault_says_what_it_is() {
        let table = [
            ("{", "EOF"),
            (CONFIG, "has no queue \"mine\"; it has other, default"),
            (r#"{"queues":[{"name":"mine","types":[]}]}"#, "no default type"),
            (r#"{"queues":[{"name":"mine","types":[{"name":"a b"}]}]}"#, "is no name"),
            (
                r#"{"queues":[{"name":"mine","types":[{"name":"a","timeout":"3 s"}]}]}"#,
                "not a duration",
            ),
        ];
        for (config, want) in table {
            let fault = Queue::decode(config.as_bytes(), "mine").unwrap_err();
            assert!(fault.contains(want), "{config}: {fault}");
        }
    }
}
