//! Trying again while NATS or SQS is away, for a bounded time.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::log::Log;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// NATS or SQS could not be reached, or would not do as asked, for as long as patience lasted. It is the
/// infrastructure's fault, never the work's: exit 75.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away(pub String);

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Away {}

/// How long to try, and whom to tell.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    limit: Duration,
    log: Log,
}

impl Patience {
    /// Patience for `limit`, told to `log` when it is first needed.
    pub const fn new(limit: Duration, log: Log) -> Self {
        Self { limit, log }
    }

    /// The same with less patience, for what is not worth as much.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        Self {
            limit: self.limit.min(limit),
            ..self
        }
    }

    /// Does `attempt` until it succeeds, each time for `each` at most, with growing pauses, until patience is out.
    pub async fn with<T, F>(self, what: &str, each: Duration, mut attempt: impl FnMut() -> F) -> Result<T, Away>
    where
        F: Future<Output = Result<T, String>>,
    {
        let end = Instant::now() + self.limit;
        let mut pause = FIRST_PAUSE;
        loop {
            let fault = match timeout(each, attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(fault)) => fault,
                Err(_) => format!("no answer within {each:?}"),
            };
            if Instant::now() + pause > end {
                return Err(Away(format!("{what}: {fault}")));
            }
            if pause == FIRST_PAUSE {
                self.log.warn("trying again", &[("what", what), ("error", &fault)]);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Level;

    fn patience(limit: Duration) -> Patience {
        Patience::new(limit, Log::down_to(Level::Error))
    }

    #[tokio::test]
    async fn tries_again_until_it_works() {
        let mut tries = 0;
        let answer = patience(Duration::from_mins(1)).with("read", Duration::from_mins(1), || {
            tries += 1;
            let now = tries;
            async move { if now < 3 { Err("away".to_owned()) } else { Ok(now) } }
        });
        assert_eq!(answer.await, Ok(3));
    }

    #[tokio::test]
    async fn gives_up_when_patience_is_out_and_says_why() {
        let mut tries = 0;
        let answer = patience(FIRST_PAUSE)
            .at_most(Duration::from_mins(1))
            .with("read", Duration::from_mins(1), || {
                tries += 1;
                async { Err::<(), _>("refused".to_owned()) }
            });
        assert_eq!(answer.await, Err(Away("read: refused".to_owned())));
        assert!(tries <= 2, "{tries}");
    }

    #[tokio::test]
    async fn an_attempt_that_never_answers_is_cut_off() {
        let each = Duration::from_millis(1);
        let answer = patience(Duration::ZERO).with("read", each, std::future::pending::<Result<(), _>>);
        assert_eq!(answer.await, Err(Away("read: no answer within 1ms".to_owned())));
    }
}
