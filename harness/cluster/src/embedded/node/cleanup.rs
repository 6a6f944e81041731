//! Remains of a node on the machine when its processes are gone, and their removal: on drop, and by the sweep after a
//! run that had no time for it.
//!
//! What there is says the [`Record`]. A name alone proves nothing, as another run may have taken it since. The hardware address is
//! random, and only a device that has it, and the cgroups of its name, are removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_programs::process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::network::Network;
use super::record::{Record, Recorded};
use super::{NodeError, cgroups};

/// Time that the kernel may take to end all processes of a node; 40 of them take less than half a second.
const END: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// Clears what is left of a run's node when dropped.
pub(super) struct Cleanup {
    run: PathBuf,
}

impl Cleanup {
    pub(super) fn of(run: &Path) -> Self {
        Self { run: run.to_owned() }
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        // What cannot be removed now stays written down for the sweep of the next start.
        clear(&self.run).ok();
    }
}

/// Ends what is left of the node of `run`, if there is any, and forgets it.
///
/// # Errors
/// When something cannot be removed; it stays written down.
pub(in crate::embedded) fn clear(run: &Path) -> Result<(), NodeError> {
    let file = Record::of(run).file;
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::of::<NodeError>("read", &file)(error)),
    };
    let record = Recorded::parse(&text);
    if let Some((pid, ticks)) = record.init {
        end(pid, ticks)?;
    }
    if let Some((name, hardware)) = record.device
        && let Some(network) = Network::named(name)
        && network.hardware_address().as_deref() == Some(hardware)
    {
        // The device comes last: as long as it is there, nobody else takes its name.
        cgroups::remove(name)?;
        network.remove()?;
    }
    fs::remove_file(&file).map_err(FileError::of::<NodeError>("remove", &file))
}

/// Kills the first process of the namespaces and waits until the kernel has ended all others in them: only then does
/// it end itself, see pid_namespaces(7).
fn end(pid: u32, ticks: u64) -> Result<(), NodeError> {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    // Nothing by that id means that it has ended.
    let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { return Ok(()) };
    if process::start_ticks(pid) != Some(ticks) {
        return Ok(());
    }
    let failed = |error: io::Error| {
        FileError::of::<NodeError>("end the processes of the node, process", Path::new(&pid.to_string()))(error)
    };
    pidfd_send_signal(&handle, Signal::KILL).map_err(io::Error::from).map_err(failed)?;
    match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&END)) {
        Ok(0) => Err(failed(io::ErrorKind::TimedOut.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(failed(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_a_node_has_nothing_to_clear() {
        let run = tempfile::tempdir().unwrap();
        clear(run.path()).unwrap();
    }

    #[test]
    fn what_was_never_made_is_forgotten() {
        let run = tempfile::tempdir().unwrap();
        let record = Record::of(run.path());
        record.device("credence-255").unwrap();
        clear(run.path()).unwrap();
        assert!(!record.file.exists());
    }

    #[test]
    fn a_process_that_only_has_the_same_id_is_left_alone() {
        let own = std::process::id();
        end(own, process::start_ticks(own).unwrap() + 1).unwrap();
    }
}
