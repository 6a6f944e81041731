//! Remains of a node on the machine when its processes are gone, and their removal: on drop, and by the sweep after a
//! run that had no time for it.
//!
//! The file `node.remains` in the run directory says what there is, written before it is made:
//!
//! ```text
//! device NAME HARDWARE-ADDRESS
//! init PID START-TICKS
//! ```
//!
//! A name alone proves nothing, as another run may have taken it since. The hardware address is random, and only a
//! device that has it, and the cgroups of its name, are removed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_programs::process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::network::Network;
use super::{NodeError, cgroups};

/// The file in a run directory.
const RECORD: &str = "node.remains";
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

    /// Writes down a device that is about to be made, in place of any before, and gives it a hardware address.
    pub(super) fn record_device(&self, name: &str) -> Result<String, NodeError> {
        let hardware = random_hardware_address()?;
        let file = self.run.join(RECORD);
        fs::write(&file, format!("device {name} {hardware}\n")).map_err(FileError::of::<NodeError>("write", &file))?;
        Ok(hardware)
    }

    /// Writes down the first process of the node's namespaces.
    pub(super) fn record_init(&self, pid: u32) -> Result<(), NodeError> {
        let file = self.run.join(RECORD);
        let ticks = process::start_ticks(pid).unwrap_or_default();
        File::options()
            .append(true)
            .open(&file)
            .and_then(|mut record| writeln!(record, "init {pid} {ticks}"))
            .map_err(FileError::of::<NodeError>("write", &file))
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        // What cannot be removed now stays written down for the sweep of the next start.
        clear(&self.run).ok();
    }
}

/// A locally administered unicast address (IEEE 802, section 8.4 of the overview standard).
fn random_hardware_address() -> Result<String, NodeError> {
    let mut bytes = [0; 5];
    // getrandom(2) gives up to 256 bytes whole, see its manual page.
    rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())
        .map_err(io::Error::from)
        .map_err(FileError::of::<NodeError>("generate", Path::new("a hardware address")))?;
    let [a, b, c, d, e] = bytes;
    Ok(format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}"))
}

/// Contents of a run directory's record.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record<'a> {
    device: Option<(&'a str, &'a str)>,
    init: Option<(u32, u64)>,
}

impl<'a> Record<'a> {
    fn parse(text: &'a str) -> Self {
        let mut record = Self::default();
        for line in text.lines() {
            match *line.split(' ').collect::<Vec<_>>() {
                ["device", name, hardware] => record.device = Some((name, hardware)),
                ["init", pid, ticks] => record.init = pid.parse().ok().zip(ticks.parse().ok()),
                // A line that was cut off names nothing yet.
                _ => {}
            }
        }
        record
    }
}

/// Ends what is left of the node of `run`, if there is any, and forgets it.
///
/// # Errors
/// When something cannot be removed; it stays written down.
pub(in crate::embedded) fn clear(run: &Path) -> Result<(), NodeError> {
    let file = run.join(RECORD);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::of::<NodeError>("read", &file)(error)),
    };
    let record = Record::parse(&text);
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
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Record::default())]
    #[case("device credence-3 02:00:00:00:00:01\n", Record { device: Some(("credence-3", "02:00:00:00:00:01")), init: None })]
    #[case("device credence-3 02:00:00:00:00:01\ninit 7 9\n", Record { device: Some(("credence-3", "02:00:00:00:00:01")), init: Some((7, 9)) })]
    #[case("device credence-3", Record::default())]
    fn a_record_is_read_as_far_as_it_was_written(#[case] text: &str, #[case] expected: Record<'_>) {
        assert_eq!(Record::parse(text), expected);
    }

    #[test]
    fn a_run_without_a_node_has_nothing_to_clear() {
        let run = tempfile::tempdir().unwrap();
        clear(run.path()).unwrap();
    }

    #[test]
    fn what_was_never_made_is_forgotten() {
        let run = tempfile::tempdir().unwrap();
        Cleanup::of(run.path()).record_device("credence-255").unwrap();
        clear(run.path()).unwrap();
        assert!(!run.path().join(RECORD).exists());
    }

    #[test]
    fn a_process_that_only_has_the_same_id_is_left_alone() {
        let own = std::process::id();
        end(own, process::start_ticks(own).unwrap() + 1).unwrap();
    }

    #[test]
    fn hardware_addresses_are_local_and_differ() {
        let (one, two) = (random_hardware_address().unwrap(), random_hardware_address().unwrap());
        assert!(one.starts_with("02:") && one.len() == 17, "{one}");
        assert_ne!(one, two);
    }
}
