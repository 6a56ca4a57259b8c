//! Named steps at which a test lets this program die, as kill -9 would, or hold still.
//!
//! The names are those of the model that explored the protocol: `c1` to `c5s` in `claim`, `r0` to `rP4` in `run`. The
//! environment is looked at only in a build with the feature `testpoints`; the shipped program ignores it.

/// Dies here if `TALLYMAN_TEST_CRASH` names this step. If `TALLYMAN_TEST_HOLD` is `<step>=<fifo>` of this step, waits
/// until somebody has opened the FIFO for writing and closed it again.
#[cfg(feature = "testpoints")]
pub fn at(step: &str) {
    if std::env::var_os("TALLYMAN_TEST_CRASH").is_some_and(|name| name == step) {
        let own = rustix::process::getpid();
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
    }
    let hold = std::env::var("TALLYMAN_TEST_HOLD").unwrap_or_default();
    if let Some((held, fifo)) = hold.split_once('=')
        && held == step
    {
        // A FIFO that was removed holds nobody.
        let _ = std::fs::read(fifo);
    }
}

/// Nothing happens here.
#[cfg(not(feature = "testpoints"))]
pub const fn at(_step: &str) {}
