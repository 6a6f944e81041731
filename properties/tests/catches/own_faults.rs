//! Faults of the suite itself, switched on one by one: each must make the answer to a specimen wrong, or keep a broken
//! configuration from being found. Either turns a test red.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use credence_suite::faults::{OwnFault, VARIABLE, with};
use credence_suite::specimens::SPECIMENS;
use libtest_mimic::Failed;

use crate::kill_table::{self, DIRECTORY, Row, State};
use crate::trial::CASES_VARIABLE;

/// A few cases tell whether a fault that is met by most is found.
const CASES: &str = "10";

/// A fault of the suite, and what it must turn red.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own {
    fault: OwnFault,
    kind: &'static str,
    red: Red,
}

/// Reports that turn red.
#[derive(Debug, Clone, Copy)]
enum Red {
    /// The specimen of the same fault.
    Specimen,
    /// This trial: the fault of its configuration is no longer found by the property on the route that is due.
    Trial { name: &'static str, fault: &'static str, property: &'static str },
}

const fn trial(name: &'static str, fault: &'static str, property: &'static str) -> Red {
    Red::Trial { name, fault, property }
}

/// All of them.
pub(crate) const OWN_FAULTS: &[Own] = &[
    Own {
        fault: OwnFault::ReadsReady,
        kind: "oracle",
        red: trial("p01_is_violated_by_refresh_interval_zero", "refresh-interval-zero", "p01"),
    },
    Own {
        fault: OwnFault::PreviousValue,
        kind: "oracle",
        red: trial("p01_p06_p14_is_violated_by_policy_freezes_copies", "policy-freezes-copies", "p01"),
    },
    Own {
        fault: OwnFault::AbsenceAtOnce,
        kind: "absence",
        red: trial("p03_p04_is_violated_by_selector_exists", "selector-exists", "p03"),
    },
    Own {
        fault: OwnFault::CachedImage,
        kind: "consumer",
        red: trial("p07_is_violated_by_registry_with_wrong_port", "registry-with-wrong-port", "p07"),
    },
    Own { fault: OwnFault::TimeOutIsPass, kind: "verdict", red: Red::Specimen },
    Own { fault: OwnFault::BlindWatch, kind: "watch", red: Red::Specimen },
    Own { fault: OwnFault::WeakLeakScan, kind: "search", red: Red::Specimen },
    Own { fault: OwnFault::DroppedPackets, kind: "capture", red: Red::Specimen },
];

impl Own {
    /// True if it needs no cluster: others are for the night.
    pub(crate) fn at_every_push(&self) -> bool {
        matches!(self.red, Red::Specimen)
    }
}

/// The name of its trial.
pub(crate) fn name(own: &Own) -> String {
    format!("the_suite_is_red_by_{}", own.fault.name().replace('-', "_"))
}

/// Its row, as one that nothing has come of yet.
pub(crate) fn due(own: &Own) -> Row {
    let (property, route) = match own.red {
        Red::Specimen => ("specimen".to_owned(), claim(own.fault).unwrap_or_default().to_owned()),
        Red::Trial { name, fault, property } => {
            (property.to_owned(), format!("{fault} is not found, so that {name} fails"))
        }
    };
    Row {
        fault: own.fault.name().to_owned(),
        place: "credence-suite, feature faults".to_owned(),
        kind: own.kind.to_owned(),
        property,
        at_every_push: own.at_every_push(),
        route,
        state: State::NotRun,
        said: None,
        seconds: 0.0,
        cases: 0,
    }
}

fn claim(fault: OwnFault) -> Option<&'static str> {
    SPECIMENS.iter().find(|specimen| specimen.fault == fault).map(|specimen| specimen.claim)
}

/// Switches it on, and sees what turns red.
pub(crate) fn run(own: &Own) -> Result<(), Failed> {
    let began = Instant::now();
    let red = match own.red {
        Red::Specimen => specimen(own.fault)?,
        Red::Trial { name, fault, property } => Some(survives(own.fault, name, fault, property)?),
    };
    let Some((said, cases)) = red else {
        eprintln!("catches: {}: this machine cannot tell", own.fault.name());
        return Ok(());
    };
    let seconds = began.elapsed().as_secs_f64();
    kill_table::keep(Row { state: State::Found, said: Some(said), seconds, cases, ..due(own) });
    Ok(())
}

fn specimen(fault: OwnFault) -> Result<Option<(String, u64)>, Failed> {
    let specimen = SPECIMENS.iter().find(|specimen| specimen.fault == fault);
    let specimen = specimen.ok_or_else(|| Failed::from(format!("there is no specimen of {fault:?}")))?;
    match ((specimen.holds)(), with(fault, specimen.holds)) {
        (None, _) => Ok(None),
        (Some(true), Some(false)) => Ok(Some((format!("not so any more: {}", specimen.claim), 0))),
        (Some(false), _) => Err(Failed::from(format!("not so without the fault either: {}", specimen.claim))),
        (Some(true), other) => Err(Failed::from(format!("{:?} with the fault: {}", other, specimen.claim))),
    }
}

/// Runs a trial in a process that has the fault. It must fail for want of what is due to be found.
fn survives(own: OwnFault, name: &str, fault: &str, property: &str) -> Result<(String, u64), Failed> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("own-faults").join(own.name());
    std::fs::create_dir_all(&directory)?;
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", name, "--include-ignored"])
        .env(VARIABLE, own.name())
        .env(DIRECTORY, &directory)
        .env(CASES_VARIABLE, CASES)
        .output()?;
    let rows = kill_table::read(&directory)?;
    let row = rows.into_iter().find(|row| row.fault == fault && row.property == property);
    match row {
        Some(Row { state: State::Survived | State::FoundOtherwise, said, cases, .. }) if !output.status.success() => {
            Ok((said.unwrap_or_default(), cases))
        }
        other => Err(Failed::from(format!(
            "{name} is not red for want of a finding: {other:?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}
