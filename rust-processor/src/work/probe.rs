//! `probe`: whether a host answers, for some seconds.
//!
//! It needs no privileges, so it knocks by TCP where `ping` would send ICMP: a connection that is accepted, refused or
//! reset proves that the host is there. As with `ping -w`, the probe goes on for the whole duration and ends well if at
//! least one check was answered. A name that does not resolve fails at once, as the demo's `this.is.invalid` must.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::World;
use super::attempt::Attempt;
use super::failure::Failure;
use super::fields::Fields;
use super::outcome::Outcome;
use super::process_data::whole_millis;

/// The time from one check to the next, and the longest wait for one answer.
const INTERVAL: Duration = Duration::from_secs(1);

/// A connection attempt needs a moment even when the duration is over.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// An hour of knocking is enough to know.
const LONGEST_SECONDS: f64 = 3600.0;

/// The ports that are tried when none is given: the two that a firewall most often lets through.
const USUAL_PORTS: [u16; 2] = [80, 443];

/// A name with more addresses than these is probed on the first of them.
const ADDRESS_LIMIT: usize = 8;

/// The longest name of DNS.
const NAME_LIMIT: usize = 253;

#[derive(Clone, Debug, PartialEq)]
struct Knobs {
    host: String,
    port: Option<u16>,
    duration: Duration,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Probed {
    target: String,
    /// The address and port that answered last.
    address: String,
    checks: u64,
    reachable: u64,
    duration_ms: u64,
}

/// What the checks have found so far.
#[derive(Default)]
struct Tally {
    checks: u64,
    reachable: u64,
    answered: Option<SocketAddr>,
}

/// Does one attempt. See the README for the payload.
pub fn work(_attempt: &Attempt, payload: &[u8], world: &mut World) -> Result<Outcome, Failure> {
    let knobs = Knobs::take(Fields::parse(payload)?)?;
    let start = world.clock.elapsed();
    let doors = doors(&knobs)?;
    let tally = knock(&doors, knobs.duration, world);
    let Some(address) = tally.answered else {
        return Err(Failure::Retryable(format!(
            "{} did not answer any of {} checks",
            knobs.host, tally.checks
        )));
    };
    Outcome::kept(&Probed {
        target: knobs.host,
        address: address.to_string(),
        checks: tally.checks,
        reachable: tally.reachable,
        duration_ms: whole_millis(world.clock.elapsed().saturating_sub(start)),
    })
}

impl Knobs {
    fn take(mut fields: Fields) -> Result<Self, Failure> {
        let target = fields
            .text("target")?
            .ok_or_else(|| Failure::of("target", "is missing; give a host or host:port"))?;
        let port = fields
            .take("port", "a whole number or a string of one, from 1 to 65535")?
            .map(|value: Value| port(&text_of(&value)))
            .transpose()?;
        let duration = fields
            .take("duration", "a number of seconds or a string of one")?
            .map_or(Ok(Duration::from_secs(1)), |value: Value| duration(&text_of(&value)))?;
        fields.finish(&["target", "duration", "port"])?;
        let (host, own_port) = split(&target)?;
        if own_port.is_some() && port.is_some() {
            return Err(Failure::of("port", "is given twice: in the target and beside it"));
        }
        Ok(Self {
            host,
            port: own_port.or(port),
            duration,
        })
    }
}

/// The text of a value that may be a string or a number; the producers of these payloads write both.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn port(text: &str) -> Result<u16, Failure> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Failure::of("port", "must be a whole number from 1 to 65535"))
}

fn duration(text: &str) -> Result<Duration, Failure> {
    text.parse()
        .ok()
        .filter(|seconds| (0.0..=LONGEST_SECONDS).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| Failure::of("duration", "must be a number of seconds from 0 to 3600"))
}

/// Splits `host`, `host:port`, `[v6]:port` or a bare IPv6 address.
fn split(target: &str) -> Result<(String, Option<u16>), Failure> {
    if target.parse::<IpAddr>().is_ok() {
        return Ok((target.to_owned(), None));
    }
    if let Ok(address) = target.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), Some(port(&address.port().to_string())?)));
    }
    let (host, own_port) = match target.split_once(':') {
        Some((host, text)) => (host, Some(text)),
        None => (target, None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if host.is_empty() || host.len() > NAME_LIMIT || !host.bytes().all(plain) {
        return Err(Failure::of(
            "target",
            "must be a host or host:port, with no scheme and no path",
        ));
    }
    Ok((host.to_owned(), own_port.map(port).transpose()?))
}

/// Every address and port that an answer may come from.
fn doors(knobs: &Knobs) -> Result<Vec<SocketAddr>, Failure> {
    let unresolved = |cause: &str| Failure::Retryable(format!("{} cannot be resolved: {cause}", knobs.host));
    // RFC 6761, 6.4: names under .invalid do not exist, and asking a server for one only costs its time-out.
    let last_label = knobs.host.trim_end_matches('.').rsplit('.').next();
    if last_label.is_some_and(|label| label.eq_ignore_ascii_case("invalid")) {
        return Err(unresolved("names under .invalid never exist"));
    }
    let addresses: Vec<IpAddr> = (knobs.host.as_str(), 0)
        .to_socket_addrs()
        .map_err(|e| unresolved(&e.to_string()))?
        .map(|address| address.ip())
        .take(ADDRESS_LIMIT)
        .collect();
    if addresses.is_empty() {
        return Err(unresolved("it has no address"));
    }
    let ports = knobs.port.map_or(USUAL_PORTS.to_vec(), |port| vec![port]);
    Ok(addresses
        .iter()
        .flat_map(|address| ports.iter().map(|port| SocketAddr::new(*address, *port)))
        .collect())
}

/// Checks once a second until the duration has passed, at least once.
fn knock(doors: &[SocketAddr], duration: Duration, world: &mut World) -> Tally {
    let mut tally = Tally::default();
    let end = world.clock.elapsed() + duration;
    let total = duration.as_secs().max(1);
    loop {
        let next = world.clock.elapsed() + INTERVAL;
        tally.checks += 1;
        if let Some(address) = answer(doors, end, world) {
            tally.reachable += 1;
            tally.answered = Some(address);
        }
        let message = format!("s, {} of {} checks answered", tally.reachable, tally.checks);
        world.progress.at(tally.checks.min(total), total, message);
        world.clock.sleep(next.min(end).saturating_sub(world.clock.elapsed()));
        if world.clock.elapsed() >= end {
            return tally;
        }
    }
}

/// The first door that somebody answers at. One check takes an interval at most, shared by its doors.
fn answer(doors: &[SocketAddr], end: Duration, world: &World) -> Option<SocketAddr> {
    let left = end.saturating_sub(world.clock.elapsed()).min(INTERVAL);
    let each = left / u32::try_from(doors.len()).unwrap_or(u32::MAX).max(1);
    doors
        .iter()
        .copied()
        .find(|door| is_somebody_there(door, each.max(SHORTEST_WAIT)))
}

fn is_somebody_there(door: &SocketAddr, patience: Duration) -> bool {
    match TcpStream::connect_timeout(door, patience) {
        Ok(_) => true,
        Err(e) => matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::tests::tried;

    fn probed(payload: &str) -> Result<Value, Failure> {
        let (outcome, out) = tried(work, &Attempt::default(), payload);
        assert_eq!(out, "");
        outcome.map(|outcome| serde_json::from_slice(outcome.json()).unwrap())
    }

    #[test]
    fn b2_the_strings_of_the_demo_probe_for_ten_seconds() {
        let result = probed(r#"{"target": "127.0.0.1", "duration": "10"}"#).unwrap();
        assert_eq!(result["target"], "127.0.0.1");
        assert_eq!(
            result["address"], "127.0.0.1:80",
            "refused or accepted, the host answered"
        );
        assert_eq!((&result["checks"], &result["reachable"]), (&10.into(), &10.into()));
        assert_eq!(result["durationMs"], 10_000);
    }

    #[test]
    fn a_listener_and_a_closed_port_are_both_answers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let payload = format!(r#"{{"target":"localhost","port":{},"duration":0}}"#, open.port());
        assert_eq!(probed(&payload).unwrap()["reachable"], 1);
        drop(listener);
        let payload = format!(r#"{{"target":"{open}","duration":0.5}}"#);
        assert_eq!(probed(&payload).unwrap()["address"], open.to_string());
    }

    #[test]
    fn a_name_that_does_not_exist_fails_at_once_and_may_be_tried_again() {
        for name in ["this.is.invalid", "this.is.also.invalid", "THIS.INVALID.", "invalid"] {
            let failure = probed(&format!(r#"{{"target":"{name}","duration":"3600"}}"#)).unwrap_err();
            assert!(matches!(failure, Failure::Retryable(_)));
            assert_eq!(
                failure.to_string(),
                format!("{name} cannot be resolved: names under .invalid never exist")
            );
        }
    }

    #[test]
    fn silence_is_a_failed_attempt() {
        // The discard prefix of RFC 6666: by definition nobody is there, with or without a network.
        let failure = probed(r#"{"target":"[100::1]:9","duration":"1"}"#).unwrap_err();
        assert_eq!(failure.to_string(), "100::1 did not answer any of 1 checks");
        assert!(matches!(failure, Failure::Retryable(_)));
    }

    #[test]
    fn targets_are_a_host_with_or_without_a_port() {
        let table = [
            ("example.org", Some(("example.org", None))),
            ("example.org:8080", Some(("example.org", Some(8080)))),
            ("127.0.0.1:1", Some(("127.0.0.1", Some(1)))),
            ("::1", Some(("::1", None))),
            ("[::1]:443", Some(("::1", Some(443)))),
            ("http://example.org", None),
            ("example.org/path", None),
            ("example.org:0", None),
            ("example.org:70000", None),
            ("a b", None),
            ("$(reboot)", None),
            ("", None),
        ];
        for (target, want) in table {
            let got = split(target).ok();
            assert_eq!(got, want.map(|(host, port)| (host.to_owned(), port)), "{target}");
        }
    }

    #[test]
    fn a_bad_knob_is_a_permanent_failure_that_names_it() {
        let table = [
            ("", "target: is missing"),
            (r#"{"target":7}"#, "target: must be a string"),
            (
                r#"{"target":"a","duration":"soon"}"#,
                "duration: must be a number of seconds from 0 to 3600",
            ),
            (r#"{"target":"a","duration":3601}"#, "duration: must be"),
            (r#"{"target":"a","duration":"NaN"}"#, "duration: must be"),
            (r#"{"target":"a","port":"0"}"#, "port: must be"),
            (r#"{"target":"a:1","port":2}"#, "port: is given twice"),
            (
                r#"{"target":"a","count":2}"#,
                "count: is not known here; known are target, duration, port",
            ),
        ];
        for (payload, want) in table {
            let failure = probed(payload).unwrap_err();
            assert!(failure.to_string().starts_with(want), "{failure}");
            assert!(matches!(failure, Failure::Permanent(_)));
        }
    }
}
