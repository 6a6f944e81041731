//! Writes of an ExternalSecret: the keys of a copy, and what each holds.
//!
//! Source: External Secrets Operator, `ApplyTemplate` (pkg/controllers/externalsecret/externalsecret_controller_template.go) and
//! `Parser` (pkg/controllers/templating/parser.go): what was read, unless a template replaces it; then `templateFrom` in order;
//! then `template.data`.

use std::collections::{BTreeMap, BTreeSet};

use super::reads::{Note, Read};
use crate::config::{
    Composition, Config, DataTemplate, DecodingStrategy, ExternalSecretSpec, MergePolicy, SecretTemplate, TemplateFrom,
    TemplateScope, TemplateTarget,
};
use crate::model::{ExpectedKeys, Origin};

/// Contents of a copy.
pub(super) struct Written {
    pub(super) keys: ExpectedKeys,
    /// Origins of the keys, where they are known.
    pub(super) origins: BTreeMap<String, Origin>,
    /// The keys that a template composes.
    pub(super) composed: BTreeSet<String>,
    /// Keys with one value and white space beside it.
    pub(super) padded: BTreeSet<String>,
    /// Keys with a part of one value, or with other characters in its place, each with the name of the value.
    pub(super) cut: BTreeMap<String, String>,
    /// The keys in which a generator's value is where a value of a source was meant to be.
    pub(super) replaced: BTreeSet<String>,
    /// Templates of keys that ConfigMaps of the configuration have.
    pub(super) templates_elsewhere: BTreeMap<String, String>,
    /// The keys that are taken over though nothing names them.
    pub(super) unnamed: BTreeSet<String>,
    /// Parts that are not understood of it.
    pub(super) notes: Vec<Note>,
}

/// Facts that are known of one key.
enum Content {
    Known(Origin),
    Composed(Composition),
    Unknown,
}

/// Contents of the copy of a spec, which a Secret with the keys `kept` joins.
pub(super) fn written(config: &Config, spec: &ExternalSecretSpec, read: &Read, kept: &BTreeSet<String>) -> Written {
    let template = spec.target.template.as_ref();
    let replaces = template.is_some_and(|template| {
        let makes_some = !template.data.is_empty() || !template.template_from.is_empty();
        makes_some && template.merge_policy == MergePolicy::Replace
    });
    let known = |origin: Option<&Origin>| origin.map_or(Content::Unknown, |origin| Content::Known(origin.clone()));
    let mut contents: BTreeMap<String, Content> = kept.iter().map(|key| (key.clone(), Content::Unknown)).collect();
    let (mut unnamed, mut notes, mut unknown) = (BTreeSet::new(), Vec::new(), None);
    let mut templates_elsewhere = BTreeMap::new();
    if !replaces {
        let is_beside = template.is_some_and(|template| template.merge_policy == MergePolicy::Merge);
        let is_named = |key: &str| !is_beside && spec.data.iter().any(|entry| entry.secret_key == key);
        unnamed.extend(read.fields.keys().filter(|key| !is_named(key)).cloned());
        unnamed.extend(read.generated.keys().cloned());
        contents.extend(read.fields.iter().map(|(key, field)| (key.clone(), known(field.origin.as_ref()))));
        contents.extend(read.generated.iter().map(|(key, origin)| (key.clone(), known(origin.as_ref()))));
        unknown.clone_from(&read.more);
    }
    let content = |template: &DataTemplate| match template {
        DataTemplate::Value(name) => match read.fields.get(name) {
            Some(field) => known(field.origin.as_ref()),
            None => known(read.generated.get(name).and_then(Option::as_ref)),
        },
        DataTemplate::Text(text) => Content::Known(Origin::Text(text.clone())),
        DataTemplate::Composed(composition) => Content::Composed(composition.clone()),
    };
    let from = template.into_iter().flat_map(|template| template.template_from.iter().enumerate());
    for (index, from) in from.filter(|(_, from)| from.target == TemplateTarget::Data) {
        for (place, made) in templates(config, from) {
            let place = format!("target.template.templateFrom[{index}].{place}");
            match made {
                // What is rendered is decoded, and only the controller knows the result.
                Template::Value { key, .. } if from.values_decoding_strategy != DecodingStrategy::None => {
                    contents.insert(key, Content::Composed(Composition::Other));
                }
                Template::Value { key, text } => {
                    contents.insert(key.clone(), content(&DataTemplate::of(&text)));
                    // Texts in Secrets are not those of the configuration where this is tested.
                    templates_elsewhere.extend(from.config_map.is_some().then_some((key, text)));
                }
                Template::Keys(keys) => {
                    contents.extend(keys.into_iter().map(|key| (key, Content::Composed(Composition::Other))));
                }
                Template::Unknown(reason) => {
                    // It may make any of the keys before.
                    contents.values_mut().for_each(|content| *content = Content::Unknown);
                    unknown = Some(format!("{place}: {reason}"));
                    notes.push(Note::new(place, reason));
                }
            }
        }
    }
    let data = template.into_iter().flat_map(|template| &template.data);
    contents.extend(data.map(|(key, template)| (key.clone(), content(template))));
    let replaced = replaced(template, read, &contents);
    unnamed.retain(|key: &String| template.is_none_or(|template| !template.data.contains_key(key)));
    Written { replaced, templates_elsewhere, unnamed, notes, ..summary(contents, unknown) }
}

/// The keys of a copy that take over, under this name or another, what a generator put in the place of a source's value.
fn replaced(template: Option<&SecretTemplate>, read: &Read, contents: &BTreeMap<String, Content>) -> BTreeSet<String> {
    let is_replaced = |key: &&String| match template.and_then(|template| template.data.get(*key)) {
        Some(DataTemplate::Value(name)) => read.replaced.contains_key(name),
        Some(_) => false,
        None => read.replaced.contains_key(*key),
    };
    contents.keys().filter(is_replaced).cloned().collect()
}

fn summary(contents: BTreeMap<String, Content>, unknown: Option<String>) -> Written {
    let keys = match unknown {
        Some(why) => ExpectedKeys::Unknown { why },
        None => ExpectedKeys::Exactly(contents.keys().cloned().collect()),
    };
    let (mut origins, mut composed) = (BTreeMap::new(), BTreeSet::new());
    let (mut padded, mut cut) = (BTreeSet::new(), BTreeMap::new());
    for (key, content) in contents {
        match content {
            Content::Known(origin) => drop(origins.insert(key, origin)),
            Content::Composed(composition) => {
                match composition {
                    Composition::Padded => drop(padded.insert(key.clone())),
                    Composition::Cut(name) => drop(cut.insert(key.clone(), name)),
                    Composition::Other => {}
                }
                composed.insert(key);
            }
            Content::Unknown => {}
        }
    }
    Written {
        keys,
        origins,
        composed,
        padded,
        cut,
        replaced: BTreeSet::new(),
        templates_elsewhere: BTreeMap::new(),
        unnamed: BTreeSet::new(),
        notes: Vec::new(),
    }
}

/// A template that is kept elsewhere.
enum Template {
    /// It makes the value of this key.
    Value {
        key: String,
        text: String,
    },
    Keys(Vec<String>),
    Unknown(&'static str),
}

/// The templates of one entry of `templateFrom`, in the order of the controller, each with the field that has it.
fn templates(config: &Config, from: &TemplateFrom) -> Vec<(String, Template)> {
    let objects = [("configMap", &from.config_map), ("secret", &from.secret)];
    let items = objects.into_iter().flat_map(|(kind, object)| {
        let items = object.iter().flat_map(|object| object.items.iter().map(|item| (&object.name, item)));
        items.map(move |(name, item)| (kind, name, item))
    });
    let items = items.map(|(kind, name, item)| {
        let template = match (text(config, kind, name, &item.key), item.template_as) {
            (None, TemplateScope::Values) => Template::Keys(vec![item.key.clone()]),
            (None, TemplateScope::KeysAndValues) => Template::Unknown("the template is not in the configuration"),
            (Some(text), TemplateScope::Values) => Template::Value { key: item.key.clone(), text },
            (Some(text), TemplateScope::KeysAndValues) => keys_and_values(&text),
        };
        (format!("{kind}.items[{}]", item.key), template)
    });
    let literal = from.literal.iter().filter_map(|text| text.expose_str());
    items.chain(literal.map(|text| ("literal".to_owned(), keys_and_values(text)))).collect()
}

/// The text of a template in an object of the configuration, if all objects of that name agree.
fn text(config: &Config, kind: &str, name: &str, key: &str) -> Option<String> {
    let texts: BTreeSet<Option<String>> = match kind {
        "configMap" => config
            .of_kind("", "ConfigMap")
            .filter(|object| object.name() == name)
            .map(|object| object.object["data"][key].as_str().map(str::to_owned))
            .collect(),
        _ => {
            let named = config.secrets.iter().filter(|(source, _)| source.name == name);
            named.map(|(_, secret)| secret.data.get(key)?.expose_str().map(str::to_owned)).collect()
        }
    };
    let mut texts = texts.into_iter();
    texts.next().flatten().filter(|_| texts.next().is_none())
}

/// The keys that a text makes which is YAML after it is rendered, if no action makes one.
fn keys_and_values(text: &str) -> Template {
    const UNKNOWN: Template = Template::Unknown("an action of the template makes keys");
    const PLACEHOLDER: &str = "credence0value";
    // Actions that write nothing themselves, or take white space away.
    let makes_more = ["if", "else", "end", "range", "with", "define", "block", "template"];
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((action, behind)) = after.split_once("}}") else { return UNKNOWN };
        let first = action.split_whitespace().next().unwrap_or_default();
        if makes_more.contains(&first) || first.starts_with(['-', '$']) || action.ends_with('-') {
            return UNKNOWN;
        }
        plain.push_str(before);
        plain.push_str(PLACEHOLDER);
        rest = behind;
    }
    plain.push_str(rest);
    match serde_yaml::from_str::<BTreeMap<String, serde_yaml::Value>>(&plain) {
        Ok(made) if !made.keys().any(|key| key.contains(PLACEHOLDER)) => Template::Keys(made.into_keys().collect()),
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::values("user: '{{ .u }}'\npassword: \"{{ .p | js }}\"\n", Some(&["password", "user"][..]))]
    #[case::block("conf: |\n  a={{ .a }}\n", Some(&["conf"][..]))]
    #[case::key("{{ .key }}: a", None)]
    #[case::condition("{{ if .a }}a: b{{ end }}", None)]
    #[case::trimmed("a: b\n{{- .more }}", None)]
    #[case::no_mapping("{{ .all }}", None)]
    #[case::open("a: {{ .b", None)]
    fn keys_of_a_rendered_text_are_known_unless_an_action_makes_them(
        #[case] text: &str,
        #[case] expected: Option<&[&str]>,
    ) {
        match (keys_and_values(text), expected) {
            (Template::Keys(keys), Some(expected)) => assert_eq!(keys, expected),
            (Template::Unknown(_), None) => {}
            _ => panic!("{text}"),
        }
    }
}
