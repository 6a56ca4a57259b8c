//! What the environment says about this attempt.

use std::ffi::OsString;
use std::path::PathBuf;

use super::failure::Failure;

/// The job id of an attempt that somebody started by hand and gave none.
const BY_HAND: &str = "by-hand";

/// Ids become file names and subject tokens, so they are short and plain.
const JOB_ID_LIMIT: usize = 128;

/// One try at a run of a job, as `processor run` describes it to its child. All of it may be left out by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// `TALLYMAN_JOB_ID`; letters, digits, `_` and `-`.
    pub job_id: String,
    /// `TALLYMAN_RUN`, from 1.
    pub run: u32,
    /// `TALLYMAN_ATTEMPT`, from 1 within the run.
    pub attempt: u32,
    /// `TALLYMAN_PAYLOAD_FILE`; without it the payload is read from stdin.
    pub payload_file: Option<PathBuf>,
    /// `TALLYMAN_RESULT_FILE`, where the result is wanted.
    pub result_file: Option<PathBuf>,
    /// `TALLYMAN_PROGRESS_FILE`, where progress is wanted.
    pub progress_file: Option<PathBuf>,
    /// `TALLYMAN_DATA_DIR`, below which a `source` must be; without it there is none.
    pub data_dir: Option<PathBuf>,
    /// `TALLYMAN_STORE_DIR`, where `store-event` writes.
    pub store_dir: Option<PathBuf>,
}

impl Default for Attempt {
    fn default() -> Self {
        Self {
            job_id: BY_HAND.to_owned(),
            run: 1,
            attempt: 1,
            payload_file: None,
            result_file: None,
            progress_file: None,
            data_dir: None,
            store_dir: None,
        }
    }
}

impl Attempt {
    /// Reads the environment through `lookup`. A variable that is set to nothing counts as not set.
    pub fn from_env(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        Ok(Self {
            job_id: job_id("TALLYMAN_JOB_ID", set("TALLYMAN_JOB_ID"))?,
            run: ordinal("TALLYMAN_RUN", set("TALLYMAN_RUN"))?,
            attempt: ordinal("TALLYMAN_ATTEMPT", set("TALLYMAN_ATTEMPT"))?,
            payload_file: path("TALLYMAN_PAYLOAD_FILE"),
            result_file: path("TALLYMAN_RESULT_FILE"),
            progress_file: path("TALLYMAN_PROGRESS_FILE"),
            data_dir: path("TALLYMAN_DATA_DIR"),
            store_dir: path("TALLYMAN_STORE_DIR"),
        })
    }
}

fn job_id(name: &str, value: Option<OsString>) -> Result<String, Failure> {
    let Some(value) = value else {
        return Ok(BY_HAND.to_owned());
    };
    value
        .into_string()
        .ok()
        .filter(|id| id.len() <= JOB_ID_LIMIT && id.bytes().all(is_token_byte))
        .ok_or_else(|| Failure::of(name, "must be at most 128 letters, digits, `_` and `-`"))
}

/// Whether the byte may stand in a name that becomes a subject token or a file name.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn ordinal(name: &str, value: Option<OsString>) -> Result<u32, Failure> {
    let Some(value) = value else {
        return Ok(1);
    };
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .filter(|number| *number >= 1)
        .ok_or_else(|| Failure::of(name, "must be a whole number from 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&str, &str)]) -> Result<Attempt, Failure> {
        Attempt::from_env(|name| {
            let (_, value) = vars.iter().find(|(key, _)| *key == name)?;
            Some(OsString::from(value))
        })
    }

    #[test]
    fn by_hand_everything_has_a_default() {
        assert_eq!(from(&[]).unwrap(), Attempt::default());
        assert_eq!(
            from(&[("TALLYMAN_RUN", ""), ("TALLYMAN_RESULT_FILE", "")]).unwrap(),
            Attempt::default()
        );
    }

    #[test]
    fn the_environment_is_read() {
        let attempt = from(&[
            ("TALLYMAN_JOB_ID", "0199-a_B"),
            ("TALLYMAN_RUN", "2"),
            ("TALLYMAN_ATTEMPT", "3"),
            ("TALLYMAN_STORE_DIR", "store"),
        ])
        .unwrap();
        assert_eq!(
            (attempt.job_id.as_str(), attempt.run, attempt.attempt),
            ("0199-a_B", 2, 3)
        );
        assert_eq!(attempt.store_dir, Some(PathBuf::from("store")));
    }

    #[test]
    fn a_bad_variable_is_named() {
        let long = "x".repeat(129);
        let table = [
            ("TALLYMAN_JOB_ID", "../../etc"),
            ("TALLYMAN_JOB_ID", long.as_str()),
            ("TALLYMAN_RUN", "0"),
            ("TALLYMAN_RUN", "-1"),
            ("TALLYMAN_ATTEMPT", "first"),
            ("TALLYMAN_ATTEMPT", "4294967296"),
        ];
        for (name, value) in table {
            let failure = from(&[(name, value)]).unwrap_err();
            assert!(matches!(failure, Failure::Permanent(_)), "{name}={value}");
            assert!(failure.to_string().starts_with(name), "{failure}");
        }
    }
}
