//! The suite is tested by broken worlds: each directory in `fixtures/broken` has one fault, and the properties that
//! [`faults`] names must be violated by it, by the route that it names and by no other.
//! What holds on the reference configuration is shown by the conformance test of the same `cargo test`. Then the suite itself
//! is given faults, each of which must turn something red ([`own_faults`]). All that is looked for is a row of the
//! [kill table](kill_table).
//!
//! Some trials are ignored unless asked for, as at night: `cargo test --test catches -- --include-ignored`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use credence_suite::registry::PROPERTIES;
use libtest_mimic::{Arguments, Failed};

#[path = "support/execute.rs"]
mod execute;
#[path = "catches/fault.rs"]
mod fault;
#[path = "catches/faults.rs"]
mod faults;
#[path = "catches/faults_of_vault.rs"]
mod faults_of_vault;
#[path = "catches/kill_table.rs"]
mod kill_table;
#[path = "catches/lint.rs"]
mod lint;
#[path = "catches/own_faults.rs"]
mod own_faults;
mod support;
#[path = "catches/told.rs"]
mod told;
#[path = "support/took.rs"]
mod took;
#[path = "catches/trial.rs"]
mod trial;

use fault::{Fault, When};
use own_faults::OWN_FAULTS;
use told::{READ, UNUSED, VALUES};

/// So many faults of different kinds each property must find.
const KINDS: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each trial brings up a cluster and then mostly waits for bounds to pass, so that two share the processors well.
    arguments.test_threads = Some(2);
    let mut trials = vec![
        took::trial("every_broken_configuration_has_a_property_that_must_find_it", all_are_listed),
        took::trial("every_property_must_find_faults_of_four_kinds", each_has_enough),
    ];
    // The longest first, so that none of them is left over for one lane at the end.
    let (consumers, others): (Vec<&Fault>, Vec<&Fault>) =
        faults::all().partition(|fault| fault.found_by.iter().any(|found| found.property == "p07"));
    for fault in consumers.into_iter().chain(others) {
        for when in [When::Day, When::Night] {
            if !trial::finders(fault, when).is_empty() {
                let run = move || trial::run(fault, when);
                trials.push(took::trial(name(fault, when), run).with_ignored_flag(when == When::Night));
            }
        }
    }
    for own in OWN_FAULTS {
        let run = move || own_faults::run(own);
        trials.push(took::trial(own_faults::name(own), run).with_ignored_flag(!own.at_every_push()));
    }
    for (fault, copy) in UNUSED {
        let name = format!("lint_finds_{}", fault.replace('-', "_"));
        trials.push(took::trial(name, move || lint::is_read(fault, copy)));
    }
    for fault in READ {
        let name = format!("lint_finds_{}", fault.replace('-', "_"));
        trials.push(took::trial(name, move || lint::is_told(fault)));
    }
    for (fault, rule, template) in VALUES {
        let name = format!("lint_finds_{}", fault.replace('-', "_"));
        trials.push(took::trial(name, move || lint::is_rendered(fault, rule, template)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    took::print_slowest();
    match kill_table::write() {
        Ok(written) => written.iter().for_each(|path| println!("kill table: {}", path.display())),
        Err(error) => {
            eprintln!("catches: the kill table could not be written: {error}");
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}

/// The name of a trial: `p01_p14_is_violated_by_immutable_copies`.
fn name(fault: &Fault, when: When) -> String {
    let properties: Vec<&str> = trial::finders(fault, when).iter().map(|found| found.property).collect();
    format!("{}_is_violated_by_{}", properties.join("_"), fault.name.replace('-', "_"))
}

fn all_are_listed() -> Result<(), Failed> {
    let mut there = Vec::new();
    for entry in std::fs::read_dir(trial::broken())? {
        there.push(entry?.file_name().to_string_lossy().into_owned());
    }
    there.sort();
    let unused = UNUSED.iter().map(|(fault, _)| *fault);
    let values = VALUES.iter().map(|(fault, ..)| *fault);
    let faults = faults::all().map(|fault| fault.name);
    let mut listed: Vec<&str> = faults.chain(unused).chain(values).chain(READ.iter().copied()).collect();
    listed.sort_unstable();
    // Some are found both ways.
    listed.dedup();
    if there == listed { Ok(()) } else { Err(Failed::from(format!("there are {there:?}, listed are {listed:?}"))) }
}

/// Faults of one kind are found for one and the same reason, so that many of them show no more than one.
fn each_has_enough() -> Result<(), Failed> {
    let mut kinds: BTreeMap<String, BTreeSet<&str>> =
        PROPERTIES.iter().map(|property| (property.meta().id.to_string(), BTreeSet::new())).collect();
    for fault in faults::all() {
        for found in fault.found_by {
            kinds.entry(found.property.to_owned()).or_default().insert(fault.kind);
        }
    }
    let few: Vec<String> = kinds
        .iter()
        .filter(|(_, kinds)| kinds.len() < KINDS)
        .map(|(property, kinds)| format!("{property} must find {kinds:?}"))
        .collect();
    if few.is_empty() { Ok(()) } else { Err(Failed::from(format!("fewer than {KINDS} kinds: {}", few.join("; ")))) }
}
