//! Time, as an argument.

use std::thread;
use std::time::{Duration, Instant};

/// A clock that starts at zero and only goes forward.
pub trait Clock {
    /// How long ago the clock was started.
    fn elapsed(&self) -> Duration;
    /// Returns when `pause` has passed on this clock.
    fn sleep(&self, pause: Duration);
}

/// The real clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, pause: Duration) {
        thread::sleep(pause);
    }
}

/// A clock that moves only when somebody sleeps on it.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct FakeClock(std::cell::Cell<Duration>);

#[cfg(test)]
impl Clock for FakeClock {
    fn elapsed(&self) -> Duration {
        self.0.get()
    }

    fn sleep(&self, pause: Duration) {
        self.0.set(self.0.get() + pause);
    }
}
