//! What an ExternalSecret writes: the keys of a copy, and those that hold one value as it is.

use std::collections::BTreeMap;

use crate::config::{DataTemplate, MergePolicy, SecretTemplate, SourceRef, TemplateFrom};
use crate::model::{ExpectedKeys, Field};

/// The keys of a copy whose value its template, or the lack of one, takes over as it was read.
pub(super) fn verbatim(
    template: Option<&SecretTemplate>,
    fields: &[Field],
    read: &ExpectedKeys,
) -> BTreeMap<String, (SourceRef, String)> {
    let origin = |name: &str| {
        let field = fields.iter().find(|field| field.secret_key == name && field.verbatim)?;
        Some((field.source.clone(), field.property.clone()?))
    };
    // Keys that only the controller knows may have been renamed before a template sees them.
    if matches!(read, ExpectedKeys::Unknown { .. }) {
        return BTreeMap::new();
    }
    let made = template.map(|template| &template.data);
    let beside = made.is_none_or(BTreeMap::is_empty);
    let own = fields.iter().filter(|_| beside).map(|field| (&field.secret_key, &field.secret_key));
    let templates = made.into_iter().flatten().filter_map(|(key, template)| match template {
        DataTemplate::Value(name) => Some((key, name)),
        DataTemplate::Composed => None,
    });
    own.chain(templates).filter_map(|(key, name)| Some((key.clone(), origin(name)?))).collect()
}

/// The keys that a copy has after its template.
///
/// Source: `Reconciler.ApplyTemplate` (pkg/controllers/externalsecret/externalsecret_controller_template.go).
pub(super) fn written_keys(template: Option<&SecretTemplate>, read: ExpectedKeys) -> ExpectedKeys {
    let Some(template) = template else {
        return read;
    };
    let made = template.template_from.iter().map(template_keys).collect::<Option<Vec<_>>>();
    let Some(made) = made else {
        return ExpectedKeys::Unknown { why: "templateFrom makes its own keys" };
    };
    let makes_nothing = template.data.is_empty() && template.template_from.is_empty();
    let made = made.into_iter().flatten().chain(template.data.keys().cloned());
    if template.merge_policy != MergePolicy::Merge && !makes_nothing {
        return ExpectedKeys::Exactly(made.collect());
    }
    match read {
        ExpectedKeys::Exactly(read) => ExpectedKeys::Exactly(made.chain(read).collect()),
        unknown @ ExpectedKeys::Unknown { .. } => unknown,
    }
}

/// The keys that a template kept elsewhere makes, if they are known beforehand.
fn template_keys(from: &TemplateFrom) -> Option<Vec<String>> {
    if from.target.as_deref().is_some_and(|target| target != "Data") {
        return Some(Vec::new());
    }
    let items = from.config_map.iter().chain(&from.secret).flat_map(|object| &object.items);
    let mut keys = Vec::new();
    for item in items {
        if item.template_as.as_deref() == Some("KeysAndValues") {
            return None;
        }
        keys.push(item.key.clone());
    }
    from.literal.is_none().then_some(keys)
}
