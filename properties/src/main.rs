//! The `credence` command.

use std::process::ExitCode;

use clap::Parser;
use credence::cli::Command;

fn main() -> ExitCode {
    let command = Command::parse();
    match credence::cli::execute(command) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("credence: {error:#}");
            credence::cli::failure_code(&error).into()
        }
    }
}
