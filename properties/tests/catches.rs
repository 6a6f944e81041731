//! The suite is tested by broken worlds: each directory in `fixtures/broken` has one fault, and the property named
//! here must be violated by it, with a smaller case and a line that repeats it, or the consumer named here must find it.
//! What holds on the reference configuration is shown by the conformance test of the same `cargo test`.
//!
//! Some trials are ignored unless asked for, as at night: `cargo test --test catches -- --include-ignored`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use credence_core::consumer::Consumer;
use credence_core::formats::{ARGO_CD, BACKSTAGE, KARGO_GIT, KARGO_IMAGE, KUBELET, OAUTH_CLIENT, TLS_SERVER};
use credence_core::id::CaseId;
use credence_model::config::Config;
use credence_model::lint;
use credence_model::model::Model;
use credence_programs::configuration::Parameters;
use credence_programs::supply::Part;
use credence_report::report::{PropertyReport, Report};
use credence_report::verdict::Verdict;
use credence_suite::error::RunError;
use credence_suite::options::{ClusterKind, Options};
use credence_suite::{load, registry};
use libtest_mimic::{Arguments, Failed};

#[path = "support/execute.rs"]
mod execute;
mod support;
#[path = "support/took.rs"]
mod took;

use execute::execute;

/// Each fault, and the properties that must find it.
const FAULTS: &[(&str, &[&str])] = &[
    ("refresh-interval-zero", &["p01"]),
    ("creation-policy-merge", &["p02"]),
    ("creation-policy-orphan", &["p03"]),
    ("selector-exists", &["p03", "p04"]),
    ("raw-values-in-json", &["p05"]),
    ("format-reads-other-key", &["p06"]),
];

/// Faults that must be found as well, whose cases are not made smaller here: how that goes, the faults above show.
const FURTHER_FAULTS: &[(&str, &[&str])] = &[
    ("and-for-or", &["p03"]),
    ("conditions-narrower-than-selector", &["p10"]),
    ("find-with-delete", &["p11"]),
    ("store-without-conditions", &["p08"]),
    ("role-without-resource-names", &["p08"]),
    ("role-with-watch", &["p08"]),
    ("sources-bound-to-developers", &["p08"]),
    ("one-role-for-all-sources", &["p08"]),
    ("labels-checked-on-create-only", &["p08"]),
    ("templates-only-audited", &["p08"]),
    ("stores-by-kubeconfig", &["p08"]),
    ("audit-bodies-of-secrets", &["p09"]),
    ("audit-without-secrets", &["p09"]),
    ("audit-without-collectors", &["p09"]),
    ("audit-without-updates", &["p09"]),
    ("audit-without-reads", &["p09"]),
    ("encryption-identity-first", &["p12"]),
    ("policy-without-binding", &["p13"]),
    ("policy-audit-only", &["p13"]),
    ("policy-on-create-only", &["p13"]),
    ("policy-without-names", &["p13"]),
    ("policy-exempts-service-accounts", &["p13"]),
    ("policy-hinders-collectors", &["p13"]),
    ("own-external-secrets-unchecked", &["p13"]),
    ("immutable-copies", &["p01", "p14"]),
    ("keys-beyond-consumer", &["p05"]),
];

/// Each fault that a real consumer must find, and which one; p07 has many.
const CONSUMER_FAULTS: &[(&str, Consumer)] = &[
    ("registry-with-wrong-port", KUBELET),
    ("auth-from-other-fields", KUBELET),
    ("newline-after-token", KUBELET),
    ("argo-cd-url-without-slash", ARGO_CD),
    ("kargo-unanchored", KARGO_GIT),
    ("wrong-cred-type", KARGO_IMAGE),
    ("oauth-keys-swapped", OAUTH_CLIENT),
    ("tls-key-of-other-certificate", TLS_SERVER),
];

/// Each fault that no cluster shows, because nobody uses the copy: the rule of lint of the same name must find it, and p07 must
/// list the copy, which has this name, among those that it does not judge.
const UNUSED: &[(&str, &str)] = &[
    // Argo CD looks at labels alone.
    ("argo-cd-label-lost", "argocd-git-credentials"),
];

/// Each fault that reading tells, and no cluster of ours: Vault is not asked here, and of two values with one key chance has one.
/// The rule of lint of the same name must find it, and nothing else.
const READ: &[&str] = &["rewrite-merges-keys", "vault-policy-wildcard", "vault-role-admits-everyone"];

/// Each fault of the values of a chart, which the rule of lint of this name must find, and in which template.
const VALUES: &[(&str, &str, &str)] = &[
    // The chart that it needs has the template.
    ("values-without-conditions", "store-without-conditions", "right/chart-with-values/templates/stores.yaml"),
];

/// Faults that are looked for at night, so that all tests have their time by day. Some take minutes: those of a consumer,
/// and where namespaces cannot go, each of which takes its whole bound. Of the others, the same property finds one of
/// the same kind by day.
const NIGHTLY: &[&str] = &[
    "role-without-resource-names",
    "role-with-watch",
    "sources-bound-to-developers",
    "one-role-for-all-sources",
    "labels-checked-on-create-only",
    "templates-only-audited",
    "audit-without-secrets",
    "audit-without-updates",
    "audit-without-reads",
    "policy-without-binding",
    "policy-on-create-only",
    "policy-without-names",
    "policy-exempts-service-accounts",
    "policy-hinders-collectors",
    "auth-from-other-fields",
    "newline-after-token",
    "kargo-unanchored",
    "wrong-cred-type",
    "oauth-keys-swapped",
    "tls-key-of-other-certificate",
];

/// Enough cases that some case meets the fault, whatever the seed.
const CASES: u32 = 100;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each trial brings up a cluster and then mostly waits for bounds to pass, so that two share the processors well.
    arguments.test_threads = Some(2);
    let mut trials = vec![took::trial("every_broken_configuration_has_a_property_that_must_find_it", all_are_listed)];
    // The longest first, so that none of them is left over for one lane at the end.
    for (fault, consumer) in CONSUMER_FAULTS {
        let name = format!("p07_is_violated_by_{}", fault.replace('-', "_"));
        trials
            .push(took::trial(name, move || is_found_by(fault, *consumer)).with_ignored_flag(NIGHTLY.contains(fault)));
    }
    for (fault, properties) in FAULTS {
        for property in *properties {
            let name = format!("{property}_is_violated_by_{}", fault.replace('-', "_"));
            trials.push(took::trial(name, move || finds(fault, property)));
        }
    }
    for (fault, properties) in FURTHER_FAULTS {
        for property in *properties {
            let name = format!("{property}_is_violated_by_{}", fault.replace('-', "_"));
            trials.push(took::trial(name, move || sees(fault, property)).with_ignored_flag(NIGHTLY.contains(fault)));
        }
    }
    for (fault, copy) in UNUSED {
        let name = format!("lint_finds_{}", fault.replace('-', "_"));
        trials.push(took::trial(name, move || is_read(fault, copy)));
    }
    for fault in READ {
        let name = format!("lint_finds_{}", fault.replace('-', "_"));
        trials.push(took::trial(name, move || is_told(fault)));
    }
    for (fault, rule, template) in VALUES {
        let name = format!("lint_finds_{}", fault.replace('-', "_"));
        trials.push(took::trial(name, move || is_rendered(fault, rule, template)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    took::print_slowest();
    conclusion.exit_code()
}

fn broken() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/broken")
}

fn all_are_listed() -> Result<(), Failed> {
    let mut there = Vec::new();
    for entry in std::fs::read_dir(broken())? {
        there.push(entry?.file_name().to_string_lossy().into_owned());
    }
    there.sort();
    let found_by_consumers = CONSUMER_FAULTS.iter().map(|(fault, _)| *fault);
    let found = FAULTS.iter().chain(FURTHER_FAULTS).map(|(fault, _)| *fault);
    let unused = UNUSED.iter().map(|(fault, _)| *fault);
    let values = VALUES.iter().map(|(fault, ..)| *fault);
    let read = READ.iter().copied();
    let mut listed: Vec<&str> = found.chain(found_by_consumers).chain(unused).chain(values).chain(read).collect();
    listed.sort_unstable();
    if there == listed { Ok(()) } else { Err(Failed::from(format!("there are {there:?}, listed are {listed:?}"))) }
}

fn options(fault: &str, property: &str) -> Result<Options, Failed> {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("catches").join(format!("{property}-{fault}"));
    Ok(Options {
        config: Some(broken().join(fault)),
        consumers: Some(broken().join("../consumers/manifests")),
        cluster: ClusterKind::Embedded,
        properties: vec![registry::find(property)?],
        cases: CASES,
        ..support::options(&out)
    })
}

/// The consumer that the fault is for says so, and nobody else but Backstage, which uses several copies; that a case can
/// be made smaller and repeated, the other trials show.
fn is_found_by(fault: &str, consumer: Consumer) -> Result<(), Failed> {
    let options = Options { shrink: Duration::ZERO, ..options(fault, "p07")? };
    let consumer = match consumer.meta().fallback {
        Some(fallback) if options.components.kargo.is_none() => fallback,
        _ => consumer,
    };
    let report = execute(&options)?;
    let found = violated(&report)?;
    let violations = || found.findings.iter().filter(|finding| finding.verdict == Verdict::Violated);
    let is_by = |reason: &str, consumer: Consumer| reason.starts_with(consumer.operation());
    if !violations().any(|finding| is_by(&finding.reason, consumer)) {
        return Err(Failed::from(format!("not found by {}", consumer.title())));
    }
    let expected = |reason: &str| is_by(reason, consumer) || is_by(reason, BACKSTAGE);
    match violations().find(|finding| !expected(&finding.reason)) {
        None => Ok(()),
        Some(finding) => Err(Failed::from(format!("found by something else as well: {}", finding.reason))),
    }
}

/// Lint says so, and the model that p07 has no consumer for the copy.
fn is_read(fault: &str, copy: &str) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    let options = support::options(Path::new(env!("CARGO_TARGET_TMPDIR"))).components;
    let manifests = runtime.block_on(async {
        let progress = credence_programs::supply::PlainProgress::new();
        let programs = credence_programs::supply::obtain(&options, &[Part::Kustomize], &progress).await?;
        let kustomize = programs.path(Part::Kustomize);
        let read = credence_programs::kustomize::load_directory(&broken().join(fault), Some(kustomize)).await?;
        Ok::<_, Box<dyn std::error::Error>>(read)
    })?;
    let config = Config::from_manifests(manifests)?;
    let model = Model::derive(&config);
    let found = lint::check(&lint::Context { config: &config, model: &model, control_plane: &[] });
    if !found.iter().any(|finding| finding.rule == fault) {
        return Err(Failed::from(format!("lint finds {found:?}")));
    }
    let distribution =
        model.distributions.iter().find(|distribution| distribution.name == copy).ok_or("there is no such copy")?;
    match distribution.uses(&model.endpoints)[..] {
        [] => Ok(()),
        ref uses => Err(Failed::from(format!("it is used: {uses:?}"))),
    }
}

/// Lint says so of the configuration and the intent beside it.
fn is_told(fault: &str) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let options = support::options(scratch).components;
    let progress = credence_programs::supply::PlainProgress::new();
    let (config, parameters) = (broken().join(fault), Parameters::default());
    let (manifests, intent) = runtime.block_on(async {
        let (_, manifests) = load::load(Some(&config), &parameters, scratch, &options, &progress).await?;
        Ok::<_, RunError>((manifests, load::intent(Some(&config), None).await?))
    })?;
    let config = Config::from_manifests(manifests)?;
    let model = load::understand(&config, intent.as_ref())?;
    let found = lint::check(&lint::Context { config: &config, model: &model, control_plane: &[] });
    match &found[..] {
        [one] if one.rule == fault => Ok(()),
        _ => Err(Failed::from(format!("lint finds {found:?}"))),
    }
}

/// Lint says so of what the chart renders to, at the template.
fn is_rendered(fault: &str, rule: &str, template: &str) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let options = support::options(scratch).components;
    let progress = credence_programs::supply::PlainProgress::new();
    let (config, parameters) = (broken().join(fault), Parameters::default());
    let read = load::load(Some(&config), &parameters, scratch, &options, &progress);
    let config = Config::from_manifests(runtime.block_on(read)?.1)?;
    let model = Model::derive(&config);
    let found = lint::check(&lint::Context { config: &config, model: &model, control_plane: &[] });
    match &found[..] {
        [one] if one.rule == rule && one.file.ends_with(template) && one.line.is_some() => Ok(()),
        _ => Err(Failed::from(format!("lint finds {found:?}"))),
    }
}

fn finds(fault: &str, property: &str) -> Result<(), Failed> {
    let options = options(fault, property)?;
    let report = execute(&options)?;
    let found = violated(&report)?;
    let Some(finding) = found.findings.iter().find(|finding| finding.smallest.is_some()) else {
        return Err(Failed::from(format!("no smaller case in {:?}", found.findings)));
    };
    if report.exit_code().code() != 1 {
        return Err(Failed::from(format!("exit code {:?} and not 1", report.exit_code())));
    }
    replays(&options, finding.case)
}

fn sees(fault: &str, property: &str) -> Result<(), Failed> {
    let report = execute(&Options { shrink: Duration::ZERO, ..options(fault, property)? })?;
    violated(&report)?;
    match report.exit_code().code() {
        1 => Ok(()),
        code => Err(Failed::from(format!("exit code {code} and not 1"))),
    }
}

/// The line in the report reproduces the verdict.
fn replays(options: &Options, case: CaseId) -> Result<(), Failed> {
    let options = Options { seed: case.seed, only: Some(case.index), shrink: Duration::ZERO, ..options.clone() };
    violated(&execute(&options)?).map(drop)
}

fn violated(report: &Report) -> Result<&PropertyReport, Failed> {
    let executed = report.properties.iter().find(|property| property.verdict != Verdict::Skipped);
    match executed {
        Some(property) if property.verdict == Verdict::Violated => Ok(property),
        Some(property) => Err(Failed::from(format!("{} is {}: {:?}", property.id, property.verdict, property.reason))),
        None => Err(Failed::from("no property was executed")),
    }
}
