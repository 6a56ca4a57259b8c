//! Logs: one JSON object a line on stderr, and none at all when all is well.
//!
//! There is no global logger, and the clients' own logs are not shown: what AWS's and NATS's clients say at their lower
//! levels holds payloads and credentials.

use std::io::{self, Write};
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::contract::Time;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// This program cannot do what it is for.
    Error,
    /// Something is wrong, and it goes on.
    Warn,
    /// What it does.
    Info,
    /// How it does it.
    Debug,
}

impl Level {
    /// Reads a level.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Error, Self::Warn, Self::Info, Self::Debug]
            .into_iter()
            .find(|level| level.word() == word)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// Where log lines go, down to a level.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    most: Level,
}

/// A field of a log line. Never a payload, never a secret.
pub type Field<'a> = (&'a str, &'a str);

impl Log {
    /// A log that tells everything down to the level.
    pub const fn down_to(most: Level) -> Self {
        Self { most }
    }

    /// This program cannot do what it is for.
    pub fn error(self, message: &str, fields: &[Field]) {
        self.line(Level::Error, message, fields);
    }

    /// Something is wrong, and it goes on.
    pub fn warn(self, message: &str, fields: &[Field]) {
        self.line(Level::Warn, message, fields);
    }

    /// What it does.
    pub fn info(self, message: &str, fields: &[Field]) {
        self.line(Level::Info, message, fields);
    }

    fn line(self, level: Level, message: &str, fields: &[Field]) {
        if level > self.most {
            return;
        }
        let mut line = Map::new();
        line.insert("time".to_owned(), Time::at(SystemTime::now()).to_string().into());
        line.insert("level".to_owned(), level.word().into());
        line.insert("msg".to_owned(), message.into());
        for (key, value) in fields {
            line.insert((*key).to_owned(), (*value).into());
        }
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(io::stderr(), "{}", Value::Object(line));
    }
}
