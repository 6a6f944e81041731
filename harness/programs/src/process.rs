//! Child processes that cannot outlive credence.
//!
//! Each child is forked by a thread of its own that then waits for it: the kernel sends a parent-death
//! signal when the *thread* that forked a child ends, so a child forked from a pool thread could be killed
//! while credence is still alive.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, mpsc};
use std::thread;

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::sync::watch;

mod death;
mod exit;
mod identity;
mod log;
pub mod path;
mod paused;
pub mod priority;
pub mod service;
#[cfg(any(test, feature = "testing"))]
pub mod test_program;

pub use death::{Death, first_death};
pub use exit::Exit;
pub(crate) use identity::kill_same;
use identity::stat;
pub use identity::{start_ticks, terminate};
pub use log::{TAIL_LINES, tail};
pub use paused::Paused;

/// A program could not be started.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ProcessError {
    /// The log file could not be made.
    #[error("failed to create the log file {path} of {name}")]
    Log {
        name: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The program could not be executed.
    #[error("failed to start {name} from {program}")]
    Start {
        name: String,
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Command to start a program. Its environment holds only what is listed here.
#[derive(Debug, Clone)]
pub struct Program {
    /// Name in messages and of the log file.
    pub name: String,
    /// Path of the file that is executed.
    pub executable: PathBuf,
    /// Arguments, without the program's name.
    pub arguments: Vec<OsString>,
    /// All environment variables that the program gets: none of this process are passed on.
    pub environment: BTreeMap<String, OsString>,
    /// Destination of standard output and standard error.
    pub log: PathBuf,
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    pidfd: OwnedFd,
    log: PathBuf,
    exit: watch::Receiver<Option<Exit>>,
}

impl Process {
    /// Starts `program` in a process group of its own, so that a Ctrl-C at the terminal reaches credence alone.
    ///
    /// # Errors
    /// When the log file cannot be made or the executable cannot be run.
    pub fn start(program: &Program) -> Result<Self, ProcessError> {
        let log_error = |source| ProcessError::Log { name: program.name.clone(), path: program.log.clone(), source };
        let start_error =
            |source| ProcessError::Start { name: program.name.clone(), program: program.executable.clone(), source };
        // A program that is started again goes on with its log.
        let out = File::options().create(true).append(true).open(&program.log).map_err(log_error)?;
        let err = out.try_clone().map_err(log_error)?;
        let mut command = std::process::Command::new(&program.executable);
        command
            .args(&program.arguments)
            .env_clear()
            .envs(&program.environment)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0);
        die_with_parent(&mut command);

        let (started, start) = mpsc::sync_channel(1);
        let (exited, exit) = watch::channel(None);
        thread::Builder::new()
            .name(format!("wait-{}", program.name))
            .spawn(move || {
                let mut child = match command.spawn() {
                    Ok(child) => child,
                    Err(error) => return drop(started.send(Err(error))),
                };
                let pid = child.id();
                // The pidfd is opened before the child can be reaped, so it can never name a stranger.
                let pidfd = rustix::process::pidfd_open(process_id(pid), PidfdFlags::empty());
                started.send(pidfd.map(|fd| (pid, fd)).map_err(io::Error::from)).ok();
                exited.send_replace(Some(Exit::of(child.wait())));
            })
            .map_err(start_error)?;
        let (pid, pidfd) = start
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that starts it ended")))
            .map_err(start_error)?;
        Ok(Self { name: program.name.clone(), pid, pidfd, log: program.log.clone(), exit })
    }

    /// Name in messages, that of [`Program::name`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its end, if it has ended.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Resolves when the program ends.
    pub async fn ended(&self) -> Exit {
        let mut exit = self.exit.clone();
        // The waiting thread keeps the sender until it has sent, so a channel that closes before that means that it panicked.
        let ended = exit.wait_for(Option::is_some).await;
        ended.ok().and_then(|exit| *exit).unwrap_or(Exit::Unknown)
    }

    /// The last lines of its log, for an error message.
    pub fn log_tail(&self) -> String {
        tail(&self.log, TAIL_LINES)
    }

    /// Kills it at once. What these programs keep is thrown away with the run, so nothing needs flushing.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Asks it to end, as a kubelet does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it where it is, with SIGSTOP, until the returned guard is dropped.
    pub fn pause(self: &Arc<Self>) -> Paused {
        self.signal(Signal::STOP);
        let (held, resumed) = (Arc::clone(self), Arc::clone(self));
        Paused::new(move || held.stands_still(), move || resumed.signal(Signal::CONT))
    }

    /// True if it is stopped where it is, by whomever.
    pub fn stands_still(&self) -> bool {
        stat(self.pid).is_some_and(|fields| matches!(fields.first().map(String::as_str), Some("T" | "t")))
    }

    /// Kills it with all that it has started and that is still in its process group.
    pub fn kill_group(&self) {
        if self.exit().is_none() {
            // An error means that the group is gone already.
            rustix::process::kill_process_group(process_id(self.pid), Signal::KILL).ok();
        }
        self.kill();
    }

    fn signal(&self, signal: Signal) {
        // An error means that it is gone already; whoever waits for its end learns of that.
        rustix::process::pidfd_send_signal(&self.pidfd, signal).ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks the kernel to kill the child when the thread that forked it ends.
#[expect(unsafe_code, reason = "pre_exec is the only place where a child can set its own parent-death signal")]
fn die_with_parent(command: &mut std::process::Command) {
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec only two system calls are made, both async-signal-safe; nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the line above: then no signal would ever come.
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe));
            }
            Ok(())
        });
    }
}

fn process_id(pid: u32) -> Pid {
    // The kernel never gives a child the id 0 or one above i32::MAX.
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a child has a positive process id")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sleeper(directory: &Path) -> Program {
        Program {
            name: "sleeper".into(),
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), "echo started; exec sleep 600".into()],
            environment: BTreeMap::new(),
            log: directory.join("sleeper.log"),
        }
    }

    #[tokio::test]
    async fn a_dropped_process_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let process = Process::start(&sleeper(directory.path())).unwrap();
        let exit = process.exit.clone();
        drop(process);
        let mut exit = exit;
        let status = exit.wait_for(Option::is_some).await.unwrap().unwrap();
        assert_eq!(status.signal(), Some(9));
    }

    #[tokio::test]
    async fn a_process_is_known_by_its_start_time_and_not_by_its_id_alone() {
        let directory = tempfile::tempdir().unwrap();
        let process = Process::start(&sleeper(directory.path())).unwrap();
        let started = start_ticks(process.pid()).unwrap();
        kill_same(process.pid(), started + 1);
        assert_eq!(process.exit(), None);
        kill_same(process.pid(), started);
        assert_eq!(process.ended().await.signal(), Some(9));
    }

    #[tokio::test]
    async fn a_paused_process_stands_still_until_the_guard_is_dropped() {
        let reaches = async |process: &Process, still: bool| {
            while process.stands_still() != still {
                tokio::task::yield_now().await;
            }
        };
        let directory = tempfile::tempdir().unwrap();
        let process = Arc::new(Process::start(&sleeper(directory.path())).unwrap());
        let paused = process.pause();
        reaches(&process, true).await;
        assert!(paused.holds());
        drop(paused);
        reaches(&process, false).await;
    }

    #[test]
    fn a_missing_executable_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let program = Program { executable: "/nowhere/etcd".into(), ..sleeper(directory.path()) };
        let error = Process::start(&program).unwrap_err();
        assert_eq!(error.to_string(), "failed to start sleeper from /nowhere/etcd");
    }
}
