//! The `credence` command.

use std::process::ExitCode;

use clap::Parser;
use credence::cli::Command;

fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            // Nothing more can be said when even that cannot be printed.
            error.print().ok();
            let asked_for = !error.use_stderr();
            return if asked_for { ExitCode::SUCCESS } else { credence_report::verdict::ExitCode::Usage.into() };
        }
    };
    match credence::cli::execute(command) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("credence: {error:#}");
            credence::cli::failure_code(&error).into()
        }
    }
}
