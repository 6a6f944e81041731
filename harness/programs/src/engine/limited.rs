//! Commands of the container engine that may not keep this process for ever, for where nothing can be awaited: an engine
//! whose daemon hangs gives no answer, and neither a drop nor a sweep can be interrupted.

use std::io::{self, Read};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use wait_timeout::ChildExt;

/// Time that an engine may think about a command. To remove a node with its volume takes seconds.
pub const ANSWER: Duration = Duration::from_secs(60);

/// Runs a command to its end, and kills it when it takes longer than `within`: `TimedOut` then. Its output has to fit into
/// a pipe.
pub fn output(command: &mut Command, within: Duration) -> io::Result<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let Some(status) = child.wait_timeout(within)? else {
        child.kill()?;
        child.wait()?;
        let said = format!("no answer within {} s", within.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, said));
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    if let (Some(out), Some(err)) = (&mut child.stdout, &mut child.stderr) {
        out.read_to_end(&mut stdout)?;
        err.read_to_end(&mut stderr)?;
    }
    Ok(Output { status, stdout, stderr })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_ends_gives_its_output() {
        let output = output(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]), ANSWER).unwrap();
        assert_eq!((output.status.code(), &*output.stdout, &*output.stderr), (Some(3), &b"one\n"[..], &b"two\n"[..]));
    }

    #[test]
    fn a_command_that_hangs_is_killed() {
        let error = output(Command::new("sleep").arg("600"), Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
