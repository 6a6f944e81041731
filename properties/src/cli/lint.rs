//! `credence lint`: what a configuration asks for, and what is wrong with it, without a cluster.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use credence_core::labels::Labels;
use credence_model::config::CreationPolicy;
use credence_model::model::{Bound, Model, Target, asking_labels};
use credence_programs::supply;
use credence_report::verdict::ExitCode;
use credence_suite::testbed;

/// Reads a configuration, says what it distributes, and fails on what can be seen to be wrong.
pub(super) async fn lint(directory: Option<&Path>, options: &supply::Options) -> anyhow::Result<ExitCode> {
    let (path, bundle) = super::load(directory, options).await?;
    let model = Model::derive(&bundle);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{path}: {} sources, {} targets", model.sources.len(), model.targets.len())?;
    for target in &model.targets {
        let bound = match model.propagation_bound(target, 1, testbed::WORKERS) {
            Bound::Within(bound) => format!("updates within {bound:?}"),
            Bound::Never { why, .. } => format!("updates never: {why}"),
        };
        let sources: Vec<String> = target.sources().into_iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "  {}: {} → Secret {} ({}), {bound}",
            target.name,
            sources.join(", "),
            target.secret,
            target.secret_type
        )?;
    }
    let findings = findings(&model);
    for finding in &findings {
        writeln!(out, "  warning: {finding}")?;
    }
    Ok(if findings.is_empty() { ExitCode::Held } else { ExitCode::Violated })
}

/// What is wrong with a configuration as far as it can be told without a cluster.
fn findings(model: &Model) -> Vec<String> {
    let mut findings = Vec::new();
    for target in &model.targets {
        let name = &target.name;
        if let Some(why) = target.never_updates() {
            findings.push(format!("{name}: updates of the source never arrive: {why} (requirement 1.2)"));
        }
        if target.creation_policy != CreationPolicy::Owner {
            let policy = target.creation_policy;
            findings.push(format!("{name}: creationPolicy {policy:?} makes no copy, or leaves it behind (2.1, 2.5)"));
        }
        for store in target.stores.iter().filter(|store| store.conditions.is_empty()) {
            findings.push(format!("{name}: store {} has no conditions: any namespace may read it (5.1)", store.name));
        }
        findings.extend(contradictions(model, target));
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Asks with the labels of a target, and declines with each of them, in the model.
fn contradictions(model: &Model, target: &Target) -> Vec<String> {
    let mut worlds = BTreeMap::new();
    for labels in asking_labels(target) {
        for key in labels.keys() {
            let mut declined = labels.clone();
            declined.insert(key.clone(), "false".to_owned());
            worlds.insert(format!("with-{}-false", key.replace('/', "-")), declined);
        }
        worlds.insert("that-asks".to_owned(), labels);
    }
    worlds.insert("without-labels".to_owned(), Labels::new());
    let conflicts = model.expectation(&worlds).conflicts;
    conflicts.iter().map(ToString::to_string).filter(|text| text.starts_with(&target.name)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use credence_model::config::Bundle;

    use super::*;

    fn lint(replace: &str, by: &str) -> Vec<String> {
        let text = include_str!("../../../fixtures/central-secret-store/secrets/application-docker-registry.yaml");
        assert!(text.contains(replace), "{replace} is not in the manifest");
        let store = include_str!("../../../fixtures/central-secret-store/stores/github-pat.yaml");
        let all = format!("{}\n---\n{store}", text.replace(replace, by));
        let manifests = parse_documents(Path::new("a.yaml"), &all).unwrap();
        findings(&Model::derive(&Bundle::from_manifests(manifests).unwrap()))
    }

    #[test]
    fn the_reference_manifest_has_no_finding() {
        assert_eq!(lint("refreshInterval: 5m", "refreshInterval: 5m"), Vec::<String>::new());
    }

    #[test]
    fn an_interval_of_zero_is_found() {
        let found = lint("refreshInterval: 5m", "refreshInterval: 0s");
        assert!(found[0].contains("never arrive: refreshInterval is 0"), "{found:?}");
    }

    #[test]
    fn a_copy_that_would_stay_behind_is_found() {
        let found = lint("creationPolicy: Owner", "creationPolicy: Orphan");
        assert!(found[0].contains("Orphan"), "{found:?}");
    }
}
