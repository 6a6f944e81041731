//! Versions and kinds that are served, and fields that only other versions have.

use credence_core::manifest::Manifest;
use credence_core::text::nearest;

use super::table::{Object, PINNED, Shape, TABLE, Table};
use super::{Fault, GROUPS, Schema};

/// Fields of later versions of External Secrets Operator than the pinned one: kind, field, and the first release with it.
const LATER: &str = include_str!("later.txt");

/// The faults of a manifest's version and kind, and the fields that it may have.
pub(super) fn kind_of<'s>(schema: &'s Schema, manifest: &Manifest) -> (Vec<Fault>, Option<&'s Object>) {
    let version = manifest.object["apiVersion"].as_str().unwrap_or_default();
    let table = &schema.table;
    if let Some(object) = table.kind(version, manifest.kind()) {
        return (Vec::new(), Some(object));
    }
    let of_group = || table.kinds.iter().filter(|((version, _), _)| group(version) == manifest.group());
    if let Some(((served, _), object)) = of_group().find(|((_, kind), _)| *kind == manifest.kind()) {
        let message = format!(
            "apiVersion is {version}, which {} does not serve; write apiVersion: {served}",
            schema.server(manifest.group())
        );
        let is_of_another_version = GROUPS.contains(&manifest.group());
        let fault = Fault { is_of_another_version, ..Fault::new(manifest, "/apiVersion", message) };
        return (vec![fault], Some(object));
    }
    if !GROUPS.contains(&manifest.group()) {
        return (misspelt_group(schema, manifest).into_iter().collect(), None);
    }
    let fault = match of_another(schema, manifest, "spec", &format!("kind {}", manifest.kind())) {
        Some(message) => Fault { is_of_another_version: true, ..Fault::new(manifest, "/kind", message) },
        None => {
            let meant = match nearest(manifest.kind(), of_group().map(|((_, kind), _)| kind.as_str())) {
                Some(kind) => format!("did you mean {kind}?"),
                None => "correct the kind, or leave the object out".to_owned(),
            };
            let message = format!("{} is no kind of {}; {meant}", manifest.kind(), schema.server(manifest.group()));
            Fault::new(manifest, "/kind", message)
        }
    };
    (vec![fault], None)
}

/// The fault of a manifest whose kind is one of External Secrets Operator, and whose group is most likely meant to be: a kind of that name
/// in any other group is somebody else's.
fn misspelt_group(schema: &Schema, manifest: &Manifest) -> Option<Fault> {
    let mut kinds = schema.table.kinds.keys().filter(|(version, _)| GROUPS.contains(&group(version)));
    let (served, kind) = kinds.find(|(_, kind)| *kind == manifest.kind())?;
    let own = manifest.group();
    let is_meant = own.is_empty() || nearest(own, std::iter::once(group(served))).is_some();
    let server = schema.server(group(served));
    let message = format!("{kind} is a kind of {server}, and apiVersion is another; write apiVersion: {served}");
    is_meant.then(|| Fault::new(manifest, "/apiVersion", message))
}

/// Says that a field is of another version of External Secrets Operator than the one that is tested, if one is known that has
/// it. `shown` is the field as people write it.
pub(super) fn of_another(schema: &Schema, manifest: &Manifest, field: &str, shown: &str) -> Option<String> {
    let tested = &schema.external_secrets;
    match since(manifest.kind(), field) {
        Some(release) if is_before(tested, release) => Some(format!(
            "{shown} is of External Secrets Operator {release} and later, and {tested} is tested; leave it out here"
        )),
        _ if is_in(&TABLE, manifest, field) => Some(format!(
            "{shown} is of External Secrets Operator {}, and {tested} is tested, which has it no more; leave it out here",
            PINNED.external_secrets
        )),
        _ => None,
    }
}

/// The first release with a field of a kind that the pinned version has not.
fn since(kind: &str, field: &str) -> Option<&'static str> {
    let kind = kind.strip_prefix("Cluster").filter(|kind| *kind == "SecretStore").unwrap_or(kind);
    let mut rows = LATER.lines().filter_map(|row| row.split_once(' '));
    rows.find_map(|(of, rest)| rest.rsplit_once(' ').filter(|(path, _)| of == kind && *path == field))
        .map(|(_, release)| release)
}

/// True if a version is older than a release. One that is no version is taken for older.
fn is_before(version: &str, release: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        core.split('.').map(|number| number.parse().ok()).collect()
    };
    numbers(version) < numbers(release)
}

/// True if a table has a field of External Secrets Operator in a kind of the manifest's group, whatever its version.
fn is_in(table: &Table, manifest: &Manifest, field: &str) -> bool {
    let of_kind = |(version, kind): &(String, String)| group(version) == manifest.group() && kind == manifest.kind();
    let mut objects = table.kinds.iter().filter(|(key, _)| of_kind(key)).map(|(_, object)| object);
    GROUPS.contains(&manifest.group()) && objects.any(|object| has(table, object, field))
}

fn has(table: &Table, object: &Object, path: &str) -> bool {
    let (step, rest) = path.split_once('.').map_or((path, None), |(step, rest)| (step, Some(rest)));
    let Some(field) = object.fields.get(step.trim_end_matches("[]")) else { return false };
    rest.is_none_or(|rest| object_in(table, &field.shape).is_some_and(|inner| has(table, inner, rest)))
}

fn object_in<'t>(table: &'t Table, shape: &'t Shape) -> Option<&'t Object> {
    match shape {
        Shape::Object(object) => Some(object),
        Shape::Shared(name) => table.shared(name),
        Shape::List(inner) => object_in(table, inner),
        _ => None,
    }
}

pub(super) fn group(version: &str) -> &str {
    version.split_once('/').map_or("", |(group, _)| group)
}
