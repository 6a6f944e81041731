//! Ends of programs, as the kernel tells them.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The end of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ended with this exit code or signal.
    Known(ExitStatus),
    /// The kernel did not tell how it ended.
    Unknown,
}

impl Exit {
    /// The end that a call of `wait` told of.
    pub(super) fn of(waited: io::Result<ExitStatus>) -> Self {
        waited.map_or(Self::Unknown, Self::Known)
    }

    /// True if it is known to have ended with exit code 0.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Known(status) if status.success())
    }

    /// The signal that ended it, if one is known to have.
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Known(status) => status.signal(),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(status) => fmt::Display::fmt(status, f),
            Self::Unknown => f.write_str("exit status unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_the_kernel_did_not_tell_is_no_success() {
        let untold = Exit::of(Err(io::Error::from_raw_os_error(rustix::io::Errno::CHILD.raw_os_error())));
        assert_eq!((untold.is_success(), untold.signal()), (false, None));
        assert_eq!(untold.to_string(), "exit status unknown");
        let ended = Exit::of(Ok(ExitStatus::from_raw(0)));
        assert!(ended.is_success());
        assert_eq!(ended.to_string(), "exit status: 0");
    }
}
