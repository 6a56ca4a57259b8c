//! A real NATS and a real SQS with one queue, and what the tests ask of them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tallyman_processor::contract::{Event, RunRecord, UnitRecord, names};
use tallyman_processor::log::{Level, Log};
use tallyman_processor::patience::Patience;
use tallyman_processor::records::{Claims, Found};
use tallyman_processor::stream::{Access, Stream, Swap};
use tempfile::TempDir;

use super::jobs::{TRACE, configuration};
use super::pods::Pod;
use super::server::Server;

pub const QUEUE: &str = "default";
pub const SUBMITTED_AT: &str = "2026-11-21T16:00:00.000Z";

/// How long a test waits for what must come.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// The servers, and this test's view of them.
pub struct World {
    runtime: tokio::runtime::Runtime,
    server: Server,
    addresses: Value,
    pub nats: async_nats::Client,
    pub stream: Stream,
    pub claims: Claims,
    sqs: aws_sdk_sqs::Client,
    folder: TempDir,
}

impl World {
    pub fn new() -> Self {
        let (server, addresses) = Server::start();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let nats_url = addresses["nats"].as_str().unwrap();
        let patience = Patience::new(Duration::from_secs(10), Log::down_to(Level::Error));
        let access = Access {
            url: nats_url.to_owned(),
            ..Access::default()
        };
        let (nats, stream) = runtime.block_on(async {
            let nats = async_nats::connect(nats_url).await.unwrap();
            (nats, Stream::connect(&access, "test", patience).await.unwrap())
        });
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(addresses["sqs"].as_str().unwrap())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .build();
        let world = Self {
            runtime,
            server,
            addresses,
            nats,
            claims: Claims::new(stream.clone()),
            stream,
            sqs: aws_sdk_sqs::Client::from_conf(config),
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(world.path("config.json"), configuration("30s").to_string()).unwrap();
        world
    }

    pub fn on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("in time") })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Hides received messages for a second only, for tests that lose a pod with a message in its hand.
    #[cfg(feature = "testpoints")]
    pub fn hide_shortly(&self) {
        fs::write(self.path("config.json"), configuration("1s").to_string()).unwrap();
    }

    pub fn stop_nats(&mut self) {
        self.server.order("stop nats");
    }

    pub fn start_nats(&mut self) {
        self.server.order("start nats");
    }

    pub fn url(&self, queue: &str) -> String {
        self.addresses[queue].as_str().unwrap().to_owned()
    }

    /// Sends our envelope.
    pub fn send(&self, body: &str) -> String {
        self.send_with(body, &[("tallyman-v", "1"), ("traceparent", TRACE)])
    }

    pub fn send_with(&self, body: &str, attributes: &[(&str, &str)]) -> String {
        let mut send = self.sqs.send_message().queue_url(self.url("queue")).message_body(body);
        for (name, value) in attributes {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(*value)
                .build()
                .unwrap();
            send = send.message_attributes(*name, value);
        }
        self.on(send.send()).unwrap().message_id.unwrap()
    }

    /// How many messages are visible, and how many are hidden.
    pub fn counts(&self, queue: &str) -> (u32, u32) {
        let ask = self
            .sqs
            .get_queue_attributes()
            .queue_url(self.url(queue))
            .attribute_names(QueueAttributeName::All);
        let attributes = self.on(ask.send()).unwrap().attributes.unwrap();
        let count = |name| attributes[&name].parse().unwrap();
        (
            count(QueueAttributeName::ApproximateNumberOfMessages),
            count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        )
    }

    /// The bodies and the attributes of all visible messages.
    pub fn messages(&self, queue: &str) -> Vec<(String, Vec<String>)> {
        let receive = self
            .sqs
            .receive_message()
            .queue_url(self.url(queue))
            .max_number_of_messages(10);
        let messages = self
            .on(receive.message_attribute_names("All").send())
            .unwrap()
            .messages
            .unwrap_or_default();
        let parts = messages.into_iter().map(|message| {
            let mut names: Vec<_> = message.message_attributes.unwrap_or_default().into_keys().collect();
            names.sort();
            (message.body.unwrap(), names)
        });
        parts.collect()
    }

    /// Every event on the stream, in its order.
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        // A connection of its own: the other may not have noticed yet that a test took NATS away.
        let nats = self.on(async_nats::connect(self.url("nats"))).unwrap();
        for seq in 1.. {
            let ask = json!({ "seq": seq }).to_string();
            let answer = self
                .on(nats.request("$JS.API.STREAM.MSG.GET.EVENTS", ask.into()))
                .unwrap();
            let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
            let Some(data) = answer["message"]["data"].as_str() else {
                break;
            };
            let bytes = STANDARD.decode(data).unwrap();
            events.push(Event::decode(&bytes).unwrap());
        }
        events
    }

    /// Every event in short: `kind run/attempt reason`, of a unit's facts `kind`.
    pub fn told(&self) -> Vec<String> {
        let short = |event: &Event| {
            let data = &event.data;
            let reason = data.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
            if event.kind.of_unit() {
                event.kind.to_string()
            } else {
                format!("{} {}/{}{reason}", event.kind, data.run, data.attempt)
            }
        };
        self.events().iter().map(short).collect()
    }

    pub fn unit(&self, unit: &str) -> Option<UnitRecord> {
        match self.on(self.claims.unit(QUEUE, unit)).unwrap() {
            Found::Record(held) => Some(held.record),
            Found::Nothing(_) => None,
        }
    }

    /// Changes a unit's record, as the api or the bridge would.
    pub fn change(&self, unit: &str, change: impl FnOnce(&mut UnitRecord)) {
        let Found::Record(mut held) = self.on(self.claims.unit(QUEUE, unit)).unwrap() else {
            panic!("{unit} has no record");
        };
        change(&mut held.record);
        let swap = self.on(self.claims.write(&held.record, held.revision)).unwrap();
        assert!(matches!(swap, Swap::Won(_)));
    }

    pub fn run_record(&self, job: &str, run: i64) -> Option<RunRecord> {
        let key = names::run_key(QUEUE, job, run);
        let entry = self.on(self.stream.get(names::BUCKET_CLAIMS, &key)).unwrap();
        entry.value.map(|value| RunRecord::decode(&value).unwrap())
    }

    pub fn put_claim(&self, key: &str, record: &Value) {
        self.on(self
            .stream
            .put(names::BUCKET_CLAIMS, key, record.to_string().into_bytes()))
            .unwrap();
    }

    pub fn put_run(&self, job: &str, record: &Value) {
        self.put_claim(&names::run_key(QUEUE, job, 1), record);
    }

    pub fn output(&self, job: &str, attempt: i64) -> Option<String> {
        let key = names::output_key(QUEUE, job, 1, attempt);
        let entry = self.on(self.stream.get(names::BUCKET_OUTPUT, &key)).unwrap();
        entry.value.map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    /// A pod of a unit that has not run yet.
    pub fn pod(&self, unit: &str) -> Pod<'_> {
        Pod::of(self, unit)
    }

    /// Claims with a new pod of the unit, which must end so.
    pub fn claimed(&self, unit: &str, code: i32) -> Pod<'_> {
        let pod = self.pod(unit);
        pod.claim(code);
        pod
    }
}
