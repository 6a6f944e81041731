//! Templates that read what the ExternalSecret does not.

use std::collections::BTreeSet;

use credence_core::id::Requirement;
use credence_core::text::nearest;

use crate::config::{Config, DeclaredDistribution, MetadataPolicy};
use crate::lint::{Context, Finding, Rule, Severity, sources, templates};
use crate::template::{self, Read, Step};

pub(super) const RULE: Rule = Rule {
    id: "template-reads-unknown-key",
    requirement: Requirement::new(3, 3),
    severity: Severity::Error,
    summary: "a template reads a value that nothing provides",
    help: "Name a secretKey of data, or a key that dataFrom reads: the controller fails on a key that is missing, and the copy is never made. Of a text, take parts with fromJson, and read a name with a dot or a hyphen with index . \"a.b\".",
    check,
};

fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for distributed in context.config.declared_distributions() {
        let provided = provided(context.config, &distributed);
        for (key, text) in templates::of(&distributed) {
            let reads = template::reads(text).values;
            let faults = reads.iter().filter_map(|read| fault(text, read, provided.as_ref()));
            findings.extend(faults.map(|fault| RULE.at(distributed.place, format!("template of {key} {fault}"))));
        }
    }
    findings
}

/// The names of the values that templates have; none if only the controller knows all of them.
fn provided(config: &Config, distributed: &DeclaredDistribution<'_>) -> Option<BTreeSet<String>> {
    let data = distributed.spec.data.iter().map(|entry| entry.secret_key.clone());
    let mut provided: BTreeSet<String> = data.collect();
    for entry in &distributed.spec.data_from {
        let extract = entry.extract.as_ref().filter(|_| entry.rewrite.is_empty() && entry.find.is_none())?;
        let is_plain = extract.property.is_none() && extract.metadata_policy == MetadataPolicy::None;
        let store = distributed.spec.store_of(entry.source_ref.as_ref()).filter(|_| is_plain)?;
        let source = sources::secret(config, store, &extract.key)?;
        let keys = sources::written_keys(config, &source)?;
        provided.extend(keys.iter().map(|key| extract.conversion_strategy.convert(key)));
    }
    Some(provided)
}

fn fault(text: &str, read: &Read, provided: Option<&BTreeSet<String>>) -> Option<String> {
    let name = &read.name;
    let is_provided = |name: &String| provided.is_some_and(|provided| provided.contains(name));
    // What each value is, is a text.
    if let Some(Step::Member(member)) = read.steps.first().filter(|_| provided.is_none() || is_provided(name)) {
        return Some(format!("reads {member} of {name}, which is a text and has no parts"));
    }
    let members = read.steps.iter().map_while(|step| match step {
        Step::Member(member) => Some(member.as_str()),
        _ => None,
    });
    let dotted = std::iter::once(name.as_str()).chain(members).collect::<Vec<_>>().join(".");
    if dotted != *name && is_provided(&dotted) {
        return Some(format!("reads .{dotted} as a part of {name}; write index . {dotted:?}"));
    }
    let provided = provided.filter(|provided| !provided.contains(name))?;
    let by_index = [format!("{name:?}"), format!("`{name}`")].iter().any(|quoted| text.contains(quoted));
    // A function finds nothing where a field is missing, which may be meant.
    if by_index && template::verbatim(text).as_ref() != Some(name) {
        return None;
    }
    let meant = nearest(name, provided.iter().map(String::as_str));
    let next = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
    Some(match by_index {
        true => format!("reads {name:?}, which nothing provides, so that it is empty{next}"),
        false => format!("reads .{name}, which nothing provides{next}"),
    })
}
