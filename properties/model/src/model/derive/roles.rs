//! The parts of a credential that a copy and its sources both tell by the names of their keys.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::formats::{Role, source_roles, unambiguous_roles};

use super::reads::Read;
use super::writes::Written;
use crate::config::SourceRef;
use crate::model::{ExpectedKeys, Origin, Source};

/// Values that the consumer of a copy must find in each part of it.
///
/// A role counts if one key of all the sources tells it, and no key of the copy contradicts: one that holds something else by its
/// origin, one that a template makes of more than a value, or one of which nothing is known. A user name, and what tells no role, count only if they are read, since a template
/// may well bring its own; a secret one counts even if it is not, since then another value is in its place: of another key, cut, or of a
/// generator.
pub(super) fn roles(sources: &BTreeMap<SourceRef, Source>, read: &Read, written: &Written) -> BTreeMap<Role, Origin> {
    let ExpectedKeys::Exactly(keys) = &written.keys else { return BTreeMap::new() };
    let used: BTreeSet<&SourceRef> =
        read.fields.values().chain(read.replaced.values()).map(|field| &field.source).collect();
    let all: Vec<(&SourceRef, &str)> = used
        .into_iter()
        .filter_map(|source| Some((source, sources.get(source)?)))
        .flat_map(|(source, about)| about.keys.iter().map(move |key| (source, key.as_str())))
        .collect();
    let is_known =
        read.more.is_none() && read.generated.is_empty() && read.fields.values().all(|field| field.origin.is_some());
    let mut roles = BTreeMap::new();
    for (role, key) in unambiguous_roles(all.iter().map(|(_, key)| *key)) {
        let mut having = all.iter().filter(|(_, other)| *other == key);
        let (Some((source, _)), None) = (having.next(), having.next()) else { continue };
        let reads_it = |property: Option<&String>| property.is_none_or(|property| property == key);
        let readers: Vec<_> = read
            .fields
            .values()
            .filter(|field| field.source == **source && reads_it(field.property.as_ref()))
            .collect();
        let mut values =
            readers.iter().filter(|field| field.property.is_some()).filter_map(|field| field.origin.as_ref());
        let is_optional = matches!(role, Role::Username | Role::Other(_)) || !is_known;
        match values.next() {
            Some(origin) if values.all(|other| other == origin) => drop(roles.insert(role, origin.clone())),
            // Read in two ways, it may be any of them.
            Some(_) => {}
            None if is_whole(&role) && is_replaced(read, source, key) => {
                drop(roles.insert(role, Origin::value(source, key)));
            }
            None if is_optional && readers.is_empty() => {}
            None if !is_known => {}
            None => drop(roles.insert(role, Origin::value(source, key))),
        }
    }
    for (role, key) in unambiguous_roles(keys.iter().map(String::as_str)) {
        let agrees = match written.origins.get(key) {
            Some(origin) => origin.source_key().is_some_and(|(_, property)| tells_a_role(property)),
            // What a template makes of several values, or with words of its own, is no part of a credential any more. A name may
            // be written otherwise, and a part of a password opens nothing.
            None => {
                written.padded.contains(key)
                    || is_whole(&role) && (is_cut(read, written, key) || written.replaced.contains(key))
            }
        };
        if !agrees {
            roles.remove(&role);
        }
    }
    roles
}

/// True if a template writes a part of a value that is of a credential.
fn is_cut(read: &Read, written: &Written, key: &str) -> bool {
    let of = written.cut.get(key).and_then(|name| read.fields.get(name)?.property.as_deref());
    of.is_some_and(tells_a_role)
}

/// True if a generator's value is in the place of this value of a source.
fn is_replaced(read: &Read, source: &SourceRef, key: &str) -> bool {
    let mut lost = read.replaced.values().filter(|field| field.source == *source);
    lost.any(|field| field.property.as_deref() == Some(key) && field.origin.is_some())
}

/// True for a part of a credential of which a part is worth nothing.
fn is_whole(role: &Role) -> bool {
    matches!(role, Role::Secret | Role::ClientSecret)
}

fn tells_a_role(key: &str) -> bool {
    !source_roles([key]).into_keys().any(|role| matches!(role, Role::Other(_)))
}
