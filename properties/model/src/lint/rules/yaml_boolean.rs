//! Plain scalars that are text in YAML 1.2 and something else in YAML 1.1, where Kubernetes wants text.

use credence_core::id::Requirement;

use std::collections::BTreeSet;
use std::path::Path;

use credence_core::manifest::{Manifest, parse_part};
use regex::Regex;
use serde_json::Value;

use crate::config::Place;
use crate::lint::{Context, Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "yaml-boolean",
    requirement: Requirement::new(2, 2),
    severity: Severity::Error,
    summary: "a plain yes or no where text is due",
    help: "Quote the value: kubectl, kustomize, Flux and Argo CD read YAML 1.1, in which it is a boolean or a number, and Kubernetes refuses that.",
    check,
};

/// The maps whose values must be text.
const OF_TEXT: [&str; 4] = ["annotations", "labels", "matchLabels", "stringData"];

/// Booleans of YAML 1.1 that YAML 1.2 takes for text, in lower case.
const BOOLEANS: [&str; 6] = ["n", "no", "off", "on", "y", "yes"];

/// A word that is text in every version.
const OTHER: &str = "another-word";

fn check(context: &Context<'_>) -> Vec<Finding> {
    context.bundle.manifests.iter().flat_map(|manifest| of_manifest(context, manifest)).collect()
}

fn of_manifest(context: &Context<'_>, manifest: &Manifest) -> Vec<Finding> {
    let is_json = manifest.file.extension().is_some_and(|extension| extension == "json");
    let Some(text) = context.texts.get(&manifest.file).filter(|_| !is_json) else { return Vec::new() };
    let after = context.bundle.manifests.iter().filter(|other| other.file == manifest.file);
    let end = after.map(|other| other.line).filter(|line| *line > manifest.line).min().unwrap_or(usize::MAX);
    let ambiguous = entries(&manifest.object).into_iter().filter(|(_, value)| is_ambiguous(value));
    let mut findings = Vec::new();
    for (key, value) in ambiguous.collect::<BTreeSet<_>>() {
        for line in (manifest.line..end).take_while(|line| *line <= text.lines().count()) {
            if is_plain(&manifest.file, text, line, key, value) {
                let place = Place { line, ..Place::of(manifest) };
                findings.push(RULE.at(&place, format!("{key}: {value} is no text in YAML 1.1: quote {value}")));
            }
        }
    }
    findings
}

/// True for a line with an entry of a map of text whose value is plain: with another word there, and without any
/// quotes, the object has this other word.
fn is_plain(file: &Path, text: &str, line: usize, key: &str, value: &str) -> bool {
    let entry = format!(r#"({}["']?:\s+){}(\s|[,}}]|$)"#, regex::escape(key), regex::escape(value));
    let Ok(entry) = Regex::new(&entry) else { return false };
    let Some(written) = text.lines().nth(line - 1).filter(|written| entry.is_match(written)) else { return false };
    let changed = entry.replace_all(written, format!("${{1}}{OTHER}${{2}}"));
    let lines = text.lines().enumerate().map(|(index, one)| if index + 1 == line { &changed } else { one });
    let lines: Vec<&str> = lines.collect();
    parse_part(file, &lines.join("\n")).is_ok_and(|manifests| {
        manifests.iter().flat_map(|manifest| entries(&manifest.object)).any(|entry| entry == (key, OTHER))
    })
}

/// The entries of all maps of text in an object.
fn entries(value: &Value) -> Vec<(&str, &str)> {
    match value {
        Value::Object(fields) => {
            let maps = fields.iter().filter(|(name, _)| OF_TEXT.contains(&name.as_str()));
            let own = maps.filter_map(|(_, map)| map.as_object()).flatten();
            let own = own.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
            own.chain(fields.values().flat_map(entries)).collect()
        }
        Value::Array(items) => items.iter().flat_map(entries).collect(),
        _ => Vec::new(),
    }
}

fn is_ambiguous(value: &str) -> bool {
    let is_octal = value.len() > 1 && value.starts_with('0') && value.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    // YAML 1.1 has a word in lower case, in upper case, or with a capital.
    let forms = |word: &&str| {
        let capital = format!("{}{}", word[..1].to_uppercase(), &word[1..]);
        value == *word || value == word.to_uppercase() || value == capital
    };
    is_octal || BOOLEANS.iter().any(forms)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::yes("yes", true)]
    #[case::capital("No", true)]
    #[case::upper_case("OFF", true)]
    #[case::mixed_is_text("yEs", false)]
    #[case::octal("012", true)]
    #[case::no_octal("019", false)]
    #[case::a_boolean_of_both("true", false)]
    fn words_and_octals_of_yaml_1_1_are_ambiguous(#[case] value: &str, #[case] expected: bool) {
        assert_eq!(is_ambiguous(value), expected);
    }
}
