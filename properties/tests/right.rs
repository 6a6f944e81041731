//! Right worlds: each directory in `fixtures/right` is a small configuration of the shape of something that people have, with
//! nothing wrong in it. Every property that is tried on it must hold, and what is skipped must be what its first lines say.
//!
//! So are the configurations in `fixtures/cases` that a run does not refuse: what holds on them, and what is skipped, is in the
//! `case.toml` of each.
//!
//! `CREDENCE_RIGHT_CASES` is the number of cases of each property; at night it is 100. `CREDENCE_RIGHT_SEEDS` is the number of seeds
//! that each world is tried with, one after the other from `CREDENCE_SEED`; at night it is 3, by day 1.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use credence_cluster::embedded::Embedded;
use credence_core::consumer::Consumer;
use credence_core::formats::{ARGO_CD_SSH_RULES, FLUX_GIT, FLUX_OCI, FLUX_SSH_RULES, KARGO_SSH_RULES};
use credence_core::text::Reason;
use credence_programs::configuration::Parameters;
use credence_report::report::{PropertyReport, Report};
use credence_report::verdict::Verdict;
use credence_suite::options::Options;
use credence_suite::registry;
use libtest_mimic::{Arguments, Failed};

#[path = "support/cases.rs"]
mod configurations;
#[path = "support/execute.rs"]
mod execute;
#[path = "support/first_intent.rs"]
mod first_intent;
mod support;
#[path = "support/took.rs"]
mod took;

use execute::execute;

/// Each world, and the properties that have nothing to test in it.
const WORLDS: &[(&str, &[&str])] = &[
    ("argo-cd-by-label", &[]),
    ("aws-secrets-manager", &["p06"]),
    ("chart-with-values", &["p06"]),
    ("everyone-but-the-system", &["p03", "p06"]),
    ("exists-on-a-valued-label", &["p06"]),
    ("files-of-windows", &["p06"]),
    ("flux-from-a-config-map", &["p06"]),
    ("flux-sources", &[]),
    ("flux-substitution", &["p06"]),
    ("generator-chain", &["p06"]),
    ("github-app-and-ssh", &[]),
    ("helm-release-of-flux", &["p06"]),
    ("kustomize-with-components", &["p06"]),
    ("labelled-namespaces", &["p06"]),
    ("labels-with-values", &["p06"]),
    ("list-export", &["p06"]),
    ("loops-in-templates", &["p06"]),
    ("names-by-regex", &["p02", "p03", "p04", "p06"]),
    ("one-copy-of-two-sources", &["p06"]),
    ("pkcs12-from-a-store", &["p06"]),
    ("pkcs12-with-a-password", &["p06"]),
    ("plain-and-distributed", &[]),
    ("plain-external-secrets", &["p02", "p03", "p04"]),
    ("protected-namespaces", &["p04", "p06"]),
    ("pull-secret-passed-through", &["p06"]),
    ("renamed-keys", &[]),
    ("rewritten-keys", &["p06"]),
    ("several-providers", &["p06"]),
    ("sources-elsewhere", &["p06"]),
    ("two-registries-three-logins", &["p06"]),
    ("values-in-the-store", &["p06"]),
    ("vault-kv-v1", &["p06"]),
    ("vault-kv-v2", &["p06"]),
    ("vault-token", &[]),
    ("whole-platform-tree", &["p06"]),
];

/// Parameters of a world's rendering, as somebody would give them on the command line.
fn parameters(world: &str) -> Parameters {
    match world {
        "chart-with-values" => Parameters {
            values: vec![worlds().join(world).join("values-production.yaml")],
            set: vec!["credentials.registry.secret=registry-pull".to_owned()],
            ..Parameters::default()
        },
        "flux-substitution" => Parameters {
            substitute: [("CLUSTER", "prod"), ("CENTRAL", "platform-secrets"), ("PULL", "wanted")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Parameters::default()
        },
        _ => Parameters::default(),
    }
}

/// The objects of a world that are not applied, in the order of their names; none of all others.
const LEFT_OUT: &[(&str, &[&str])] = &[
    ("flux-from-a-config-map", &["Kustomization flux-system/apps", "Kustomization flux-system/stores"]),
    ("helm-release-of-flux", &["HelmRelease flux-system/pull"]),
    (
        "whole-platform-tree",
        &[
            "APIService v1beta1.metrics.k8s.io",
            "ClusterPolicy require-labels",
            "CronJob identity/backup",
            "CustomResourceDefinition widgets.example.org",
            "DaemonSet identity/agent",
            "Deployment identity/portal",
            "PushSecret identity/publish",
            "ValidatingWebhookConfiguration gatekeeper",
        ],
    ),
];

/// The properties that a world without admission policies, control plane and consumers can hold.
const PROPERTIES: [&str; 6] = ["p01", "p02", "p03", "p04", "p05", "p06"];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each trial brings up a cluster and then mostly waits, so that two share the processors well.
    arguments.test_threads = Some(2);
    let mut trials = vec![took::trial("every_right_world_is_tried", all_are_listed)];
    for (world, skipped) in WORLDS {
        let name = format!("{}_is_green", world.replace('-', "_"));
        trials.push(took::trial(name, move || is_green(world, &worlds().join(world), &PROPERTIES, skipped, CASES)));
    }
    for case in configurations::all().into_iter().filter(|case| case.lint.exit != 3) {
        let name = format!("case_{}_is_green", case.name.replace('-', "_"));
        trials.push(took::trial(name, move || {
            let skipped: Vec<&str> = case.run.skipped.iter().map(String::as_str).collect();
            let properties: Vec<&str> =
                case.run.held.iter().map(String::as_str).chain(skipped.iter().copied()).collect();
            is_green(&case.name, &case.config, &properties, &skipped, CASES_OF_PEOPLE)
        }));
    }
    trials.push(took::trial("the_first_intent_of_each_is_accepted_as_it_is_and_all_is_explained", first_intents));
    trials.push(took::trial("copies_of_a_deploy_key_log_in_over_ssh", ssh_logs_in));
    trials.push(took::trial("flux_fetches_with_the_copies_that_its_sources_name", flux_fetches));
    let conclusion = libtest_mimic::run(&arguments, trials);
    took::print_slowest();
    conclusion.exit_code()
}

/// Cases of each property on a world, and on one of the cases that people had, unless the variable says otherwise.
const CASES: u32 = 3;
const CASES_OF_PEOPLE: u32 = 10;

fn worlds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/right")
}

fn all_are_listed() -> Result<(), Failed> {
    let mut there = BTreeSet::new();
    for entry in std::fs::read_dir(worlds())? {
        there.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    let listed: BTreeSet<String> = WORLDS.iter().map(|(world, _)| (*world).to_owned()).collect();
    if there == listed { Ok(()) } else { Err(Failed::from(format!("there are {there:?}, listed are {listed:?}"))) }
}

/// Runs these properties, of which some have nothing to test.
fn is_green(world: &str, config: &Path, tried: &[&str], skipped: &[&str], cases: u32) -> Result<(), Failed> {
    let cases = number("CREDENCE_RIGHT_CASES", cases)?;
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("right").join(world);
    let first = support::options(&out).seed;
    for seed in first..first + u64::from(number("CREDENCE_RIGHT_SEEDS", 1)?) {
        let properties = tried.iter().map(|property| registry::find(property)).collect::<Result<Vec<_>, _>>()?;
        let report = execute(&Options {
            config: Some(config.to_owned()),
            parameters: parameters(world),
            cluster: Some(&Embedded),
            cases,
            seed,
            shrink: Duration::ZERO,
            properties,
            ..support::options(&out)
        })?;
        judge(world, &report, tried, skipped).map_err(|why| Failed::from(format!("seed {seed}: {why}")))?;
    }
    Ok(())
}

fn number(name: &str, default: u32) -> Result<u32, Failed> {
    Ok(std::env::var(name).map_or(Ok(default), |text| text.parse())?)
}

/// Difference of a report from what it must say, if there is one.
fn judge(world: &str, report: &Report, tried: &[&str], skipped: &[&str]) -> Result<(), Reason> {
    let left_out: BTreeSet<&str> = report.config.left_out.iter().map(|left| left.object.as_str()).collect();
    let expected = LEFT_OUT.iter().find(|(named, _)| *named == world).map_or(&[][..], |(_, objects)| objects);
    if !left_out.iter().eq(expected) {
        return Err(format!("left out are {left_out:?} and not {expected:?}").into());
    }
    let tried = report.properties.iter().filter(|property| tried.contains(&property.id.to_string().as_str()));
    for property in tried {
        let expected = match property.verdict {
            Verdict::Held | Verdict::KnownViolated => !skipped.contains(&property.id.to_string().as_str()),
            Verdict::Skipped => skipped.contains(&property.id.to_string().as_str()),
            Verdict::Violated | Verdict::Unknown => false,
        };
        if !expected {
            return Err(told(property).into());
        }
    }
    Ok(())
}

fn first_intents() -> Result<(), Failed> {
    let mut wrong = Vec::new();
    for (world, _) in WORLDS {
        let faults = first_intent::faults(&worlds().join(world), &parameters(world))?;
        wrong.extend(faults.into_iter().map(|fault| format!("{world}: {fault}")));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed::from(wrong.join("\n"))) }
}

/// Argo CD, Kargo and Flux each log in with the copy that is for it, by its rules, wherever git and ssh are installed.
fn ssh_logs_in() -> Result<(), Failed> {
    let used = [ARGO_CD_SSH_RULES, KARGO_SSH_RULES, FLUX_SSH_RULES];
    consumers_log_in("github-app-and-ssh", |_| used.to_vec())
}

/// Flux's source-controller fetches with each copy, or, where it cannot be had, its rules log in.
fn flux_fetches() -> Result<(), Failed> {
    consumers_log_in("flux-sources", |p07| {
        let is_absent = |consumer: &Consumer| p07.skipped_checks.contains_key(consumer.operation());
        let here = |consumer: Consumer| consumer.meta().fallback.filter(|_| is_absent(&consumer)).unwrap_or(consumer);
        [FLUX_GIT, FLUX_OCI].map(here).to_vec()
    })
}

/// Runs p07 on a world with the manifests of its consumers. It must hold, and these consumers must have logged in.
fn consumers_log_in(world: &str, expected: impl Fn(&PropertyReport) -> Vec<Consumer>) -> Result<(), Failed> {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("right").join(format!("{world}-p07"));
    let consumers = tempfile::tempdir()?;
    let file = format!("{world}.yaml");
    std::fs::copy(worlds().join("../consumers/worlds").join(&file), consumers.path().join(&file))?;
    let report = execute(&Options {
        config: Some(worlds().join(world)),
        consumers: Some(consumers.path().to_owned()),
        cluster: Some(&Embedded),
        cases: number("CREDENCE_RIGHT_CASES", CASES)?,
        shrink: Duration::ZERO,
        properties: vec![registry::find("p07")?],
        ..support::options(&out)
    })?;
    judge(world, &report, &["p07"], &[])?;
    let p07 = report.properties.iter().find(|property| property.id.to_string() == "p07").ok_or("p07 did not run")?;
    let operations = expected(p07).into_iter().map(|consumer| consumer.operation());
    let missing: Vec<&str> = operations.filter(|operation| !p07.operations.contains_key(*operation)).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Failed::from(format!("there was no {missing:?}: {:?}", p07.operations)))
    }
}

fn told(property: &PropertyReport) -> String {
    format!("{} is {}: {:?}", property.id, property.verdict, property.reason)
}
