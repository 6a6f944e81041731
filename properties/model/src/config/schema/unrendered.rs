//! Templates of Helm and Flux in values that nothing fills in any more.

use std::sync::LazyLock;

use credence_core::manifest::Manifest;
use regex::Regex;

/// A template that nothing has rendered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Template {
    /// `{{ .Values.name }}`.
    Helm,
    /// `${NAME}`, with the name.
    Flux(String),
}

/// Source: the form that Flux takes from github.com/fluxcd/pkg/envsubst.
static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\{([_A-Za-z][_A-Za-z0-9]*)(?:\}|:?[-=+?]|[,^])").expect("a valid expression"));
/// The same where External Secrets Operator would have a name of its own: in an action, and in none of its texts.
static IN_A_NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\{\{[^{}"'`]*\$\{([_A-Za-z][_A-Za-z0-9]*)[^{}]*\}[^{}]*\}\}"#).expect("a valid expression")
});
static OF_HELM: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{\{[^}]*(\.Values\.|\.Release\.|\.Chart\.|\.Capabilities\.)").expect("a valid expression")
});

/// A word in capitals between brackets, as people leave it for somebody to fill in.
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| Regex::new("<[A-Z][A-Z0-9_-]*>").expect("a valid expression"));

/// The placeholder in the text of a field that takes a name, if there is one.
pub(super) fn placeholder(text: &str) -> Option<&str> {
    PLACEHOLDER.find(text).map(|found| found.as_str())
}

/// Fields below which text is free, and may be a template of External Secrets Operator, a script, or an expression.
const FREE: [&str; 11] = [
    "annotations",
    "auditAnnotations",
    "binaryData",
    "fake",
    "matchConditions",
    "rewrite",
    "stringData",
    "template",
    "validations",
    "variables",
    "webhook",
];

/// The template in the text of a field, if there is one where none may be.
pub(super) fn find(manifest: &Manifest, shown: &str, text: &str) -> Option<Template> {
    // Secrets and ConfigMaps hold anything.
    let is_free = shown.starts_with("data.") && manifest.group().is_empty()
        || shown.split(['.', '[']).any(|step| FREE.contains(&step));
    let holds_anything = is_free && manifest.group().is_empty();
    if !holds_anything && OF_HELM.is_match(text) {
        return Some(Template::Helm);
    }
    if is_free {
        let in_a_name = IN_A_NAME.captures(text).filter(|_| !holds_anything);
        return in_a_name.map(|found| Template::Flux(found[1].to_owned()));
    }
    if shown.starts_with("metadata.") && text.contains("{{") {
        return Some(Template::Helm);
    }
    VARIABLE.captures(text).map(|found| Template::Flux(found[1].to_owned()))
}
