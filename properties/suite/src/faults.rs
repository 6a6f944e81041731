//! Faults of the suite itself. Tests switch them on to see that something turns red.
//!
//! Only the feature `faults` has them, and only tests have that feature: `cargo build -p credence` compiles none of it.

use std::cell::Cell;
use std::sync::LazyLock;

/// The variable that switches a fault on for a whole process, by its name.
pub const VARIABLE: &str = "CREDENCE_OWN_FAULT";

/// Faults of the suite itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnFault {
    /// A copy is right if its ExternalSecret says that it is ready, whatever its bytes.
    ReadsReady,
    /// A copy is compared with the values that its source had before.
    PreviousValue,
    /// A consumer has its image already, so that a pull asks nobody.
    CachedImage,
    /// A wait that ran its time has seen what it waited for.
    TimeOutIsPass,
    /// Watches that lost sight of the cluster show all that there is.
    BlindWatch,
    /// The capture of the traffic loses packets.
    DroppedPackets,
    /// Takes for absent whatever is not there when it is first looked for.
    AbsenceAtOnce,
    /// Values are looked for as they are, and in no encoding.
    WeakLeakScan,
}

impl OwnFault {
    /// Every fault, each of which a specimen must turn red.
    pub const ALL: [Self; 8] = [
        Self::ReadsReady,
        Self::PreviousValue,
        Self::CachedImage,
        Self::TimeOutIsPass,
        Self::BlindWatch,
        Self::DroppedPackets,
        Self::AbsenceAtOnce,
        Self::WeakLeakScan,
    ];

    /// Name by which a trial asks for the fault.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadsReady => "oracle-reads-ready",
            Self::PreviousValue => "oracle-compares-with-previous-value",
            Self::CachedImage => "consumer-has-cached-image",
            Self::TimeOutIsPass => "time-out-is-pass",
            Self::BlindWatch => "blind-watch-is-believed",
            Self::DroppedPackets => "capture-drops-packets",
            Self::AbsenceAtOnce => "absence-at-time-zero",
            Self::WeakLeakScan => "leak-scan-without-encodings",
        }
    }
}

static OF_PROCESS: LazyLock<Option<OwnFault>> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).ok()?;
    let fault = OwnFault::ALL.into_iter().find(|fault| fault.name() == name);
    Some(fault.unwrap_or_else(|| panic!("{VARIABLE}={name} is no fault of the suite")))
});

thread_local! {
    static OF_THREAD: Cell<Option<OwnFault>> = const { Cell::new(None) };
}

/// True if a fault is switched on, for the process or for this thread.
pub(crate) fn is_on(fault: OwnFault) -> bool {
    *OF_PROCESS == Some(fault) || OF_THREAD.get() == Some(fault)
}

/// Switches a fault on for this thread while something is done.
pub fn with<T>(fault: OwnFault, act: impl FnOnce() -> T) -> T {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            OF_THREAD.set(None);
        }
    }
    OF_THREAD.set(Some(fault));
    let _off = Off;
    act()
}
