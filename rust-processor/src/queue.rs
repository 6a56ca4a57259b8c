//! The only door to SQS.
//!
//! The SDK's own retries are off: there is one patience, the same for SQS as for NATS.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

use crate::contract::id::valid_label;
use crate::contract::{Time, names};
use crate::patience::{Away, Patience};
use crate::stream::described;

const EACH: Duration = Duration::from_secs(10);

/// Codes that speak of a receipt handle which no longer counts. Deleting by one is harmless.
const OLD_RECEIPT: [&str; 3] = ["ReceiptHandleIsInvalid", "InvalidParameterValue", "InvalidIdFormat"];

/// Twice what the context of today's version takes.
const MAX_TRACE_PARENT: usize = 110;

/// One SQS queue.
pub struct Queue {
    client: Client,
    url: String,
    patience: Patience,
}

/// A message as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// SQS's id of the message.
    pub message_id: String,
    /// The handle of this receiving.
    pub receipt: String,
    /// Its body.
    pub body: String,
    /// When it was sent.
    pub sent: Time,
    /// Its attributes.
    attributes: HashMap<String, MessageAttributeValue>,
}

impl Received {
    /// Whether the message is our envelope: it has our attribute.
    pub fn is_envelope(&self) -> bool {
        self.attributes.contains_key(names::ATTRIBUTE_VERSION)
    }

    /// The W3C trace context that came with it. Whoever may send to SQS may write anything there, and a line break in
    /// a header of NATS would be the end of this program.
    pub fn trace_parent(&self) -> Option<&str> {
        let value = self.attributes.get(names::ATTRIBUTE_TRACE_PARENT)?.string_value();
        value.filter(|value| valid_label(value, MAX_TRACE_PARENT))
    }

    fn from(message: Message, now: Time) -> Option<Self> {
        let attribute = |name| message.attributes.as_ref().and_then(|all| all.get(&name));
        let sent = attribute(MessageSystemAttributeName::SentTimestamp).and_then(|text| text.parse().ok());
        Some(Self {
            sent: sent.map_or(now, Time::at_milli),
            message_id: message.message_id?,
            receipt: message.receipt_handle?,
            body: message.body.unwrap_or_default(),
            attributes: message.message_attributes.unwrap_or_default(),
        })
    }
}

impl Queue {
    /// Makes a client by the SDK's own chain of settings and credentials. Plain HTTP gets a client without TLS, so that
    /// no time goes into reading the system's certificates; `authorities` are trusted beside those.
    pub async fn open(url: &str, plain_http: bool, authorities: Option<&str>, patience: Patience) -> Self {
        let http = if plain_http {
            Builder::new().build_http()
        } else {
            Builder::new()
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .tls_context(trusting(authorities))
                .build_https()
        };
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .load()
            .await;
        Self {
            client: Client::new(&config),
            url: url.to_owned(),
            patience,
        }
    }

    /// Receives one message, waiting up to `wait` for it; hidden from others for `visibility`.
    pub async fn receive(&self, wait: Duration, visibility: Duration, now: Time) -> Result<Option<Received>, Away> {
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(1)
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(visibility))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let receive = || async { request.clone().send().await.map_err(|e| said(&e)) };
        let answer = self.patience.with("receive from SQS", wait + EACH, receive).await?;
        let message = answer.messages.unwrap_or_default().into_iter().next();
        Ok(message.and_then(|message| Received::from(message, now)))
    }

    /// Deletes a message. An old receipt deletes nothing, which is harmless: whoever gets the message finds its run
    /// owned.
    pub async fn delete(&self, receipt: &str) -> Result<(), Away> {
        let request = self
            .client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(receipt);
        let delete = || async {
            match request.clone().send().await {
                Ok(_) => Ok(()),
                Err(e) if e.code().is_some_and(|code| OLD_RECEIPT.contains(&code)) => Ok(()),
                Err(e) => Err(said(&e)),
            }
        };
        self.patience.with("delete from SQS", EACH, delete).await
    }

    /// Hides a message for so long; zero gives it back at once.
    pub async fn hide(&self, receipt: &str, time: Duration) -> Result<(), Away> {
        let request = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds(time));
        let hide = || async {
            match request.clone().send().await {
                Ok(_) => Ok(()),
                // The receipt is old or the message is visible already: the same as given back.
                Err(SdkError::ServiceError(e)) if e.raw().status().is_client_error() => Ok(()),
                Err(e) => Err(said(&e)),
            }
        };
        self.patience.with("give back to SQS", EACH, hide).await
    }

    /// Sends a copy of a message, attributes and all, to another queue.
    pub async fn copy_to(&self, url: &str, message: &Received) -> Result<(), Away> {
        let request = self
            .client
            .send_message()
            .queue_url(url)
            .message_body(&message.body)
            .set_message_attributes(Some(message.attributes.clone()));
        let send = || async { request.clone().send().await.map_err(|e| said(&e)) };
        self.patience
            .with("send to the dead-letter queue", EACH, send)
            .await
            .map(|_| ())
    }
}

fn trusting(authorities: Option<&str>) -> TlsContext {
    let store = authorities.map_or_else(TrustStore::default, |pem| {
        TrustStore::default().with_pem_certificate(pem)
    });
    // A store of certificates is all that can be wrong with a context, and it is looked at when it is used.
    TlsContext::builder()
        .with_trust_store(store)
        .build()
        .unwrap_or_default()
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

/// An SDK error in one line: its code and message where the service said some, else its causes.
fn said<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), message) => format!("{code}: {}", message.unwrap_or("no message")),
        (None, _) => described(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fits_a_header_is_a_trace_context() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let long = "0".repeat(MAX_TRACE_PARENT + 1);
        let table = [
            (trace, Some(trace)),
            ("a\r\nNats-Rollup: all", None),
            ("a\n", None),
            ("\u{e4}", None),
            (&long, None),
        ];
        for (said, want) in table {
            let value = MessageAttributeValue::builder().data_type("String").string_value(said);
            let attributes = HashMap::from([(names::ATTRIBUTE_TRACE_PARENT.to_owned(), value.build().unwrap())]);
            let message = Message::builder()
                .message_id("m")
                .receipt_handle("r")
                .set_message_attributes(Some(attributes));
            let received = Received::from(message.build(), Time::at_milli(1)).unwrap();
            assert_eq!(received.trace_parent(), want, "{said:?}");
        }
    }
}
