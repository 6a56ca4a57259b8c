//! The command line, parsed.
//!
//! A command line that cannot be understood exits with 65: trying it again cannot help. Its reason is the last line on
//! stderr, like every reason of this program, so that it is found where `processor run` and the bridge look for it.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::exit::Exit;

#[derive(Debug, Parser)]
#[command(name = "processor", version, about = "One Tallyman task, then exit.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What this program was asked to do.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Make this unit the owner of one run: the pod's init container.
    Claim,
    /// Do the work of the run that was claimed: the pod's main container.
    Run,
    /// Copy this program and the certificates that it trusts into a folder: where the image is another's.
    Install {
        /// The folder: a volume that `claim` and `run` share.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Do one attempt of a built-in type of work: its payload on stdin, its outcome as the exit code.
    Work {
        /// The type: process-data, probe or store-event.
        #[arg(value_name = "TYPE")]
        work_type: String,
    },
}

/// What to say in the place of doing something: the help that was asked for, or the fault of the command line.
#[derive(Debug)]
pub struct Answer(clap::Error);

/// Parses the arguments, the program's own name first.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Answer> {
    Cli::try_parse_from(args).map(|cli| cli.command).map_err(Answer)
}

impl Answer {
    /// Says it, and returns how to exit after it.
    pub fn give(&self) -> Exit {
        // A reader that has gone away (`processor --help | head -1`) is no fault of the command line.
        match self.0.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let _ = write!(io::stdout(), "{}", self.0);
                Exit::Done
            }
            _ => {
                let _ = writeln!(io::stderr(), "{}", self.reason());
                Exit::Permanent
            }
        }
    }

    fn reason(&self) -> String {
        if self.0.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return "a command is missing; `processor --help` lists them".to_owned();
        }
        let text = self.0.to_string();
        let first = text.lines().next().unwrap_or_default();
        let fault = first.strip_prefix("error: ").unwrap_or(first);
        format!("{fault}; see `processor --help`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(args: &[&str]) -> Result<Command, Answer> {
        parse(["processor"].iter().chain(args).map(OsString::from))
    }

    #[test]
    fn work_names_its_type() {
        let want = Command::Work {
            work_type: "probe".to_owned(),
        };
        assert_eq!(given(&["work", "probe"]).unwrap(), want);
    }

    #[test]
    fn every_fault_is_one_line_that_says_what_to_do() {
        let table: [(&[&str], &str); 4] = [
            (&[], "a command is missing"),
            (&["nonsense"], "unrecognized subcommand 'nonsense'"),
            (&["work"], "required arguments were not provided"),
            (&["work", "probe", "--fast"], "unexpected argument '--fast'"),
        ];
        for (args, want) in table {
            let reason = given(args).unwrap_err().reason();
            assert!(reason.contains(want), "{args:?}: {reason}");
            assert!(reason.contains("processor --help"), "{args:?}: {reason}");
            assert_eq!(reason.lines().count(), 1, "{args:?}: {reason}");
        }
    }
}
