//! The only door to NATS.
//!
//! It speaks `JetStream`'s protocol of requests directly: a publish that is answered, and a read of a stream's last
//! message of a subject, which only the leader answers. A stale answer from a follower would cost a run (the design's
//! section 7), and the client's own `KeyValue` may read from a follower.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, HeaderMap, Subscriber};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use crate::contract::{Event, Fault, names};
use crate::patience::{Away, Patience};

/// One request's time; a leader's election takes about as long.
const EACH: Duration = Duration::from_secs(4);
const LONGEST_RECONNECT: Duration = Duration::from_secs(2);

/// The codes by which a server says that a compare-and-set was lost; replicated streams use the second.
const LOST_THE_RACE: [u64; 2] = [10071, 10164];
const NO_MESSAGE: u64 = 10037;

/// Where NATS is, and what to show it.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// One URL, or several separated by commas.
    pub url: String,
    /// A `.creds` file's content, an nkey seed, or `user:password`.
    pub credentials: Option<String>,
    /// The first token of the subjects that answers come back on, where this user has its own.
    pub inbox: Option<String>,
    /// Certificates to trust beside the system's.
    pub authorities: Option<PathBuf>,
}

/// A connection to NATS.
#[derive(Clone)]
pub struct Stream {
    client: Client,
    patience: Patience,
}

/// What a key of a bucket holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The value; none where the key was never set or was deleted.
    pub value: Option<Bytes>,
    /// What a compare-and-set must expect: 0 for a key that was never set, a deleted key's marker's own number.
    pub revision: u64,
}

/// How a compare-and-set ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Swap {
    /// It is written, at this revision.
    Won(u64),
    /// Somebody else wrote first; or this was written, and the answer to it was lost.
    Lost,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    seq: u64,
    error: Option<ApiError>,
    message: Option<Stored>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Stored {
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

impl Stream {
    /// Connects, trying again while patience lasts.
    pub async fn connect(access: &Access, name: &str, patience: Patience) -> Result<Self, Away> {
        let connect = || async {
            let options = options(access)?.name(name);
            options.connect(&access.url).await.map_err(|e| described(&e))
        };
        let client = patience.with("connect to NATS", EACH, connect).await?;
        Ok(Self { client, patience })
    }

    /// The same connection with less patience.
    #[must_use]
    pub fn hurried(&self, limit: Duration) -> Self {
        Self {
            client: self.client.clone(),
            patience: self.patience.at_most(limit),
        }
    }

    /// Publishes an event and waits until it is stored. An event that was stored already is stored once.
    pub async fn say(&self, event: &Event, trace_parent: Option<&str>) -> Result<(), Away> {
        let body: Bytes = event.encode().map_err(|fault| ours("an event", &fault))?.into();
        let subject = event.subject();
        let mut headers = HeaderMap::new();
        headers.insert(names::HEADER_MSG_ID, event.msg_id());
        headers.insert(names::HEADER_CONTENT_TYPE, names::CONTENT_TYPE_EVENT);
        if let Some(trace) = trace_parent {
            headers.insert(names::HEADER_TRACE_PARENT, trace);
        }
        self.stored(&format!("say {}", event.kind), subject, headers, body)
            .await
            .map(|_| ())
    }

    /// Reads a key from the leader.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Entry, Away> {
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", names::bucket_stream(bucket));
        let body = Bytes::from(json!({ "last_by_subj": names::bucket_subject(bucket, key) }).to_string());
        let read = || async {
            let answer = self.ask(subject.clone(), HeaderMap::new(), body.clone()).await?;
            match (answer.message, answer.error) {
                (Some(stored), _) => stored.entry(),
                (None, Some(error)) if error.err_code == NO_MESSAGE => Ok(Entry::default()),
                (None, error) => Err(error.map_or_else(|| "an empty answer".to_owned(), |e| e.to_string())),
            }
        };
        self.patience.with(&format!("read {bucket} {key}"), EACH, read).await
    }

    /// Writes a key if its revision is still the expected one.
    pub async fn swap(&self, bucket: &str, key: &str, value: Vec<u8>, expected: u64) -> Result<Swap, Away> {
        self.compare_and_set(bucket, key, value.into(), expected, HeaderMap::new())
            .await
    }

    /// Deletes a key if its revision is still the expected one.
    pub async fn delete(&self, bucket: &str, key: &str, expected: u64) -> Result<Swap, Away> {
        let mut headers = HeaderMap::new();
        headers.insert("KV-Operation", "DEL");
        self.compare_and_set(bucket, key, Bytes::new(), expected, headers).await
    }

    async fn compare_and_set(
        &self,
        bucket: &str,
        key: &str,
        value: Bytes,
        expected: u64,
        mut headers: HeaderMap,
    ) -> Result<Swap, Away> {
        headers.insert(names::HEADER_EXPECTED_SEQ, expected.to_string().as_str());
        let subject = names::bucket_subject(bucket, key);
        let write = || async {
            let answer = self.ask(subject.clone(), headers.clone(), value.clone()).await?;
            match answer.error {
                None => Ok(Swap::Won(answer.seq)),
                Some(error) if LOST_THE_RACE.contains(&error.err_code) => Ok(Swap::Lost),
                Some(error) => Err(error.to_string()),
            }
        };
        self.patience.with(&format!("write {bucket} {key}"), EACH, write).await
    }

    /// Writes a key, whatever it held.
    pub async fn put(&self, bucket: &str, key: &str, value: Vec<u8>) -> Result<(), Away> {
        let subject = names::bucket_subject(bucket, key);
        self.stored(&format!("put {bucket} {key}"), subject, HeaderMap::new(), value.into())
            .await
            .map(|_| ())
    }

    /// Publishes to whoever listens; nobody answers, nothing is stored.
    pub async fn tell(&self, subject: String, body: Vec<u8>) -> Result<(), Away> {
        self.client
            .publish(subject, body.into())
            .await
            .map_err(|e| Away(described(&e)))
    }

    /// Listens to the changes of a key, from now on, while the connection holds.
    pub async fn changes(&self, bucket: &str, key: &str) -> Result<Subscriber, Away> {
        let subject = names::bucket_subject(bucket, key);
        self.client.subscribe(subject).await.map_err(|e| Away(described(&e)))
    }

    /// Waits until what was told has left.
    pub async fn flush(&self) -> Result<(), Away> {
        let flush = || async { self.client.flush().await.map_err(|e| described(&e)) };
        self.patience.with("flush", EACH, flush).await
    }

    async fn stored(&self, what: &str, subject: String, headers: HeaderMap, body: Bytes) -> Result<u64, Away> {
        let publish = || async {
            let answer = self.ask(subject.clone(), headers.clone(), body.clone()).await?;
            answer.error.map_or(Ok(answer.seq), |error| Err(error.to_string()))
        };
        self.patience.with(what, EACH, publish).await
    }

    async fn ask(&self, subject: String, headers: HeaderMap, body: Bytes) -> Result<Answer, String> {
        let sent = if headers.is_empty() {
            self.client.request(subject, body).await
        } else {
            self.client.request_with_headers(subject, headers, body).await
        };
        let message = sent.map_err(|e| described(&e))?;
        serde_json::from_slice(&message.payload).map_err(|e| format!("an answer that is no JSON: {e}"))
    }
}

impl Stored {
    fn entry(&self) -> Result<Entry, String> {
        let bytes = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|e| format!("an answer that is no base64: {e}"))
        };
        let headers = String::from_utf8_lossy(&bytes(&self.hdrs)?).into_owned();
        let deleted = headers
            .lines()
            .any(|line| line.starts_with("KV-Operation:") || line.starts_with("Nats-Marker-Reason:"));
        let value = if deleted { None } else { Some(bytes(&self.data)?.into()) };
        Ok(Entry {
            value,
            revision: self.seq,
        })
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.description, self.err_code)
    }
}

/// A defect of ours, which trying again could not mend and a retry pod might not meet.
pub fn ours(what: &str, fault: &Fault) -> Away {
    Away(format!("{what} that cannot be written: {fault}"))
}

fn options(access: &Access) -> Result<ConnectOptions, String> {
    let mut options = ConnectOptions::new()
        .connection_timeout(EACH)
        .request_timeout(None) // each request is timed where it is tried again
        .max_reconnects(None)
        .reconnect_delay_callback(|tries| match tries {
            0 | 1 => Duration::ZERO, // the very first connection waits for this, too
            _ => Duration::from_millis(25 << tries.min(7)).min(LONGEST_RECONNECT),
        });
    if let Some(inbox) = &access.inbox {
        options = options.custom_inbox_prefix(inbox);
    }
    if let Some(authorities) = &access.authorities {
        options = options.add_root_certificates(authorities.clone());
    }
    match access.credentials.as_deref().map(str::trim) {
        None => Ok(options),
        Some(text) if text.contains("-----BEGIN NATS USER JWT-----") => options
            .credentials(text)
            .map_err(|e| format!("TALLYMAN_NATS_CREDS: {e}")),
        // A seed has no colon, and neither has a comment before it on a line of its own.
        Some(line) if !line.contains('\n') && line.contains(':') => {
            let (user, password) = line.split_once(':').unwrap_or_default();
            Ok(options.user_and_password(user.to_owned(), password.to_owned()))
        }
        Some(seed) => Ok(options.nkey(seed.to_owned())),
    }
}

/// An error with its causes, which the clients' own texts leave out.
pub(crate) fn described(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |mut text, cause| {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        text
    })
}
