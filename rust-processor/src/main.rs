//! The program `processor`. It reads the command line, hands it to the library, and exits with the code that the
//! library decided; it decides nothing itself.

use std::process::ExitCode;

use tallyman_processor::cli::{self, Command};
use tallyman_processor::exit::Exit;
use tallyman_processor::{install, panics, pod, work};

fn main() -> ExitCode {
    panics::end_with_the_message();
    run().into()
}

fn run() -> Exit {
    match cli::parse(std::env::args_os()) {
        Ok(Command::Claim) => pod::claim(),
        Ok(Command::Run) => pod::run(),
        Ok(Command::Install { dir }) => install::main(&dir),
        Ok(Command::Work { work_type }) => work::main(&work_type),
        Err(answer) => answer.give(),
    }
}
