//! Deaths of programs, as reports tell them.

use futures::future::select_all;

use super::{Exit, Process};

/// A program ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("{name} ended by itself ({status}); its last lines:\n{tail}")]
pub struct Death {
    /// Name of the program that ended.
    pub name: String,
    /// Exit status or signal, as the kernel told it.
    pub status: String,
    /// The end of its log, without lines that may quote what the program was reading.
    pub tail: String,
}

impl Death {
    /// The death of `process`, which ended with `exit`.
    pub fn of(process: &Process, exit: Exit) -> Self {
        Self::new(process.name(), &exit.to_string(), &process.log_tail())
    }

    /// The death of the program `name`, whose log ended with the lines `tail`.
    pub fn new(name: &str, status: &str, tail: &str) -> Self {
        // Structured errors can quote what was being read, and no value may reach a report.
        let tail: Vec<&str> = tail.lines().filter(|line| !line.contains("\"error\"")).collect();
        Self { name: name.to_owned(), status: status.to_owned(), tail: tail.join("\n") }
    }

    /// True if the program found its port taken.
    pub fn is_port_taken(&self) -> bool {
        self.tail.to_lowercase().contains("address already in use")
    }
}

/// Resolves when the first of the processes ends.
pub async fn first_death(processes: &[Process]) -> Death {
    let ends = processes.iter().map(|process| Box::pin(async move { Death::of(process, process.ended().await) }));
    select_all(ends).await.0
}
