//! Share of the processors that a command may take.

use std::ffi::OsStr;

use tokio::process::Command;

use crate::process::path::find_program;

/// The command of coreutils that lowers the priority of what it starts, and of all that this starts in turn.
const NICE: &str = "nice";

/// Share of the processors that a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// The same share as this process.
    #[default]
    Normal,
    /// The time that others leave.
    Low,
}

impl Priority {
    /// A command at this priority; at the normal one where the machine cannot lower it.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        // Not `setpriority` after the start: Linux applies it to one thread, and Go has more by then.
        match find_program(NICE).filter(|_| self == Self::Low) {
            None => Command::new(program),
            Some(nice) => {
                let mut command = Command::new(nice);
                command.args(["-n", "19"]).arg(program);
                command
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::normal(Priority::Normal, false)]
    #[case::low(Priority::Low, true)]
    #[tokio::test]
    async fn a_command_of_low_priority_and_its_children_leave_the_processors_to_others(
        #[case] priority: Priority,
        #[case] is_lower: bool,
    ) {
        // Field 19 of proc_pid_stat(5), of a child of the command.
        let mut command = priority.command("/bin/sh");
        command.args(["-c", "(cut -d ' ' -f 19 /proc/self/stat); true"]);
        let printed = command.output().await.unwrap().stdout;
        let nice: i32 = String::from_utf8(printed).unwrap().trim().parse().unwrap();
        let own = rustix::process::getpriority_process(None).unwrap();
        assert_eq!(nice > own, is_lower && own < 19, "{nice} against {own}");
    }
}
