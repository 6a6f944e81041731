//! Versions and kinds that are served, and fields that only later versions have.

use credence_core::manifest::Manifest;
use credence_core::text::nearest;

use super::Fault;
use super::table::{Object, PINNED, TABLE};

/// Fields of later versions of External Secrets Operator: kind, field, and the first release with it.
const LATER: &str = include_str!("later.txt");

/// The groups of External Secrets Operator.
const GROUPS: [&str; 2] = ["external-secrets.io", "generators.external-secrets.io"];

/// The faults of a manifest's version and kind, and the fields that it may have.
pub(super) fn kind_of(manifest: &Manifest) -> (Vec<Fault>, Option<&'static Object>) {
    let version = manifest.object["apiVersion"].as_str().unwrap_or_default();
    if let Some(object) = TABLE.kind(version, manifest.kind()) {
        return (Vec::new(), Some(object));
    }
    let of_group = || TABLE.kinds.iter().filter(|((version, _), _)| group(version) == manifest.group());
    if let Some(((served, _), object)) = of_group().find(|((_, kind), _)| *kind == manifest.kind()) {
        let message = format!(
            "apiVersion is {version}, which {} does not serve; write apiVersion: {served}",
            server(manifest.group())
        );
        let is_of_another_version = GROUPS.contains(&manifest.group());
        let fault = Fault { is_of_another_version, ..Fault::new(manifest, "/apiVersion", message) };
        return (vec![fault], Some(object));
    }
    if !GROUPS.contains(&manifest.group()) {
        return (Vec::new(), None);
    }
    let fault = match since(manifest.kind(), "spec") {
        Some(release) => {
            let message = later(&format!("kind {}", manifest.kind()), release);
            Fault { is_of_another_version: true, ..Fault::new(manifest, "/kind", message) }
        }
        None => {
            let meant = match nearest(manifest.kind(), of_group().map(|((_, kind), _)| *kind)) {
                Some(kind) => format!("did you mean {kind}?"),
                None => "correct the kind, or leave the object out".to_owned(),
            };
            let message = format!("{} is no kind of {}; {meant}", manifest.kind(), server(manifest.group()));
            Fault::new(manifest, "/kind", message)
        }
    };
    (vec![fault], None)
}

/// The first release with a field of a kind that the pinned version has not.
pub(super) fn since(kind: &str, field: &str) -> Option<&'static str> {
    let kind = kind.strip_prefix("Cluster").filter(|kind| *kind == "SecretStore").unwrap_or(kind);
    let mut rows = LATER.lines().filter_map(|row| row.split_once(' '));
    rows.find_map(|(of, rest)| rest.rsplit_once(' ').filter(|(path, _)| of == kind && *path == field))
        .map(|(_, release)| release)
}

/// Says that something is of a later version.
pub(super) fn later(what: &str, release: &str) -> String {
    format!(
        "{what} is of External Secrets Operator {release} and later, and {} is tested; leave it out here",
        PINNED.external_secrets
    )
}

/// The program that serves a group.
pub(super) fn server(group: &str) -> String {
    match GROUPS.contains(&group) {
        true => format!("External Secrets Operator {}", PINNED.external_secrets),
        false => format!("Kubernetes {}", PINNED.kubernetes),
    }
}

fn group(version: &str) -> &str {
    version.split_once('/').map_or("", |(group, _)| group)
}
