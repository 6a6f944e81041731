//! Processes of earlier runs, known by their id and the time they started.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal};

/// Start of a process, in clock ticks since boot: with its id this names it for as long as the machine is up.
///
/// Field 22 of `/proc/PID/stat`, see proc_pid_stat(5). `None` when there is no such process.
pub fn start_ticks(pid: u32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

/// The fields of a process's `stat`, from its state on (proc_pid_stat(5), field 3).
pub(super) fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name, field 2, may hold spaces and parentheses; fields are counted after its last one.
    let after_name = &stat[stat.rfind(')')? + 1..];
    Some(after_name.split_whitespace().map(str::to_owned).collect())
}

/// Kills a process of an earlier run, if it is still the same process.
pub(crate) fn kill_same(pid: u32, started: u64) {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(handle) = rustix::process::pidfd_open(id, PidfdFlags::empty()) else { return };
    if start_ticks(pid) == Some(started) {
        rustix::process::pidfd_send_signal(handle, Signal::KILL).ok();
    }
}

/// Asks a process to end.
pub fn terminate(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // An error means that it is gone already, which is what is wanted.
        rustix::process::kill_process(pid, Signal::TERM).ok();
    }
}
