//! The record of what a node has on the machine, written before it is made: the file `node.remains` in the run directory.
//!
//! ```text
//! device NAME HARDWARE-ADDRESS
//! init PID START-TICKS
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_programs::process;

use super::NodeError;

/// The record of a run's node.
pub(super) struct Record {
    /// The file that holds it.
    pub(super) file: PathBuf,
}

impl Record {
    pub(super) fn of(run: &Path) -> Self {
        Self { file: run.join("node.remains") }
    }

    /// Writes down a device that is about to be made, in place of any before, and gives it a hardware address.
    pub(super) fn device(&self, name: &str) -> Result<String, NodeError> {
        let hardware = random_hardware_address()?;
        fs::write(&self.file, format!("device {name} {hardware}\n"))
            .map_err(FileError::of::<NodeError>("write", &self.file))?;
        Ok(hardware)
    }

    /// Writes down the first process of the node's namespaces.
    pub(super) fn init(&self, pid: u32) -> Result<(), NodeError> {
        let ticks = process::start_ticks(pid).unwrap_or_default();
        File::options()
            .append(true)
            .open(&self.file)
            .and_then(|mut record| writeln!(record, "init {pid} {ticks}"))
            .map_err(FileError::of::<NodeError>("write", &self.file))
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

/// Facts that a record holds; `None` where a run ended before it wrote them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Recorded<'a> {
    /// The name of the device, and its hardware address.
    pub(super) device: Option<(&'a str, &'a str)>,
    /// The id of the first process, and when it started, in ticks of the kernel.
    pub(super) init: Option<(u32, u64)>,
}

impl<'a> Recorded<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Recorded::default())]
    #[case("device credence-3 02:00:00:00:00:01\n", Recorded { device: Some(("credence-3", "02:00:00:00:00:01")), init: None })]
    #[case("device credence-3 02:00:00:00:00:01\ninit 7 9\n", Recorded { device: Some(("credence-3", "02:00:00:00:00:01")), init: Some((7, 9)) })]
    #[case("device credence-3", Recorded::default())]
    fn a_record_is_read_as_far_as_it_was_written(#[case] text: &str, #[case] expected: Recorded<'_>) {
        assert_eq!(Recorded::parse(text), expected);
    }

    #[test]
    fn hardware_addresses_are_local_and_differ() {
        let (one, two) = (random_hardware_address().unwrap(), random_hardware_address().unwrap());
        assert!(one.starts_with("02:") && one.len() == 17, "{one}");
        assert_ne!(one, two);
    }
}
