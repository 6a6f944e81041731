//! Cost of this process itself: processor time and memory, from procfs.

use std::fs;
use std::time::Duration;

/// Processor time and memory of this process; its children are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time since the process started.
    pub cpu: Duration,
    /// Resident set, in bytes.
    pub resident: u64,
    /// Largest resident set so far, in bytes.
    pub peak_resident: u64,
}

impl Usage {
    /// Reads it now. Zero where procfs cannot be read.
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            cpu: cpu(&stat).unwrap_or_default(),
            resident: bytes(&status, "VmRSS:").unwrap_or_default(),
            peak_resident: bytes(&status, "VmHWM:").unwrap_or_default(),
        }
    }
}

/// Fields 14 and 15, in clock ticks, see proc_pid_stat(5); the name before them may hold spaces.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

/// An amount of memory, see proc_pid_status(5).
fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::{Usage, bytes, cpu};

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 1 0 0 0 300 100 0 0 20 0 1 0 5 6 7";
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(cpu(stat).unwrap().as_millis() as u64, 400 * 1000 / ticks);
    }

    #[test]
    fn the_peak_is_given_in_bytes() {
        assert_eq!(bytes("VmPeak:\t 9 kB\nVmHWM:\t    12 kB\n", "VmHWM:"), Some(12 * 1024));
    }

    #[test]
    fn a_running_process_has_a_resident_set() {
        let Usage { resident, peak_resident, .. } = Usage::now();
        assert!(0 < resident && resident <= peak_resident);
    }
}
