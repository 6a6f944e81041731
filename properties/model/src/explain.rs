//! Explanation of a configuration, in words: who gets what by which selector, what each key is made of, and what no
//! property judges.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::config::{Config, CreationPolicy, DeclaredDistribution};
use crate::model::{Distribution, ExpectedKeys, Input, Model, NotJudged, Origin, Unreadable, WHOLE, expected_in};

mod intended;
mod receivers;

use receivers::receivers;

/// A name that nothing in a configuration has.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to explain {name}: the configuration has no namespace, copy, ClusterExternalSecret, ExternalSecret or store of that name; without a \
     name, everything is explained"
)]
pub struct NothingOfThatName {
    name: String,
}

/// Explains a configuration: all of it, or what has this `name`, which is a namespace's, a copy's, that of what makes it, or a
/// store's.
///
/// A namespace is one that the configuration makes, by the labels that it gives it, or one whose name decides what it gets.
///
/// # Errors
/// When nothing has that name.
pub fn explain(config: &Config, model: &Model, name: Option<&str>) -> Result<String, NothingOfThatName> {
    let known = Known {
        declared: config.declared_distributions().map(|declared| (declared.name, declared)).collect(),
        unreadable: model.unreadable(),
    };
    let Some(name) = name else {
        let distributions =
            model.distributions.iter().map(|distribution| of_target(config, model, distribution, &known));
        let others = beside_targets(model, |_| true).into_iter().chain(intended::beside_targets(&model.intended));
        return Ok(distributions.chain(others).collect::<Vec<_>>().join("\n"));
    };
    let has_name = |distribution: &&Distribution| {
        let names = [&distribution.name, &distribution.secret, &distribution.external_secret];
        names.iter().any(|own| *own == name) || distribution.stores.iter().any(|store| store.name == name)
    };
    let mut parts: Vec<String> = model
        .distributions
        .iter()
        .filter(has_name)
        .map(|distribution| of_target(config, model, distribution, &known))
        .collect();
    parts.extend(beside_targets(model, |one| one.place.object.split(' ').nth(1) == Some(name)));
    parts.extend(of_namespace(model, name));
    if parts.is_empty() { Err(NothingOfThatName { name: name.to_owned() }) } else { Ok(parts.join("\n")) }
}

/// Parts that are looked up for each distribution and found once for all.
struct Known<'a> {
    /// The distributions as they are written, by name.
    declared: BTreeMap<&'a str, DeclaredDistribution<'a>>,
    unreadable: Vec<Unreadable>,
}

fn of_target(config: &Config, model: &Model, distribution: &Distribution, known: &Known<'_>) -> String {
    let declared = known.declared.get(distribution.name.as_str());
    // What kustomize rendered has no place of its own.
    let mut text = match declared.filter(|distributed| distributed.place.file.extension().is_some()) {
        Some(distributed) => format!("{}\n", distributed.place),
        None => format!("{} {}\n", distribution.kind(), distribution.name),
    };
    let secret = format!("Secret {} ({})", distribution.secret, distribution.secret_type);
    match distribution.creation_policy {
        CreationPolicy::Owner | CreationPolicy::Orphan | CreationPolicy::CreateOrMerge => {
            line(&mut text, "makes", &secret)
        }
        CreationPolicy::Merge => line(&mut text, "joins", &format!("{secret}, which somebody else has to make")),
        CreationPolicy::None => line(&mut text, "makes", "nothing, by its creationPolicy None"),
    }
    for who in receivers(model, distribution) {
        line(&mut text, "for", &who);
    }
    let read = declared.map(|declared| declared.inputs(config)).unwrap_or_default();
    for (input, store) in &read {
        line(&mut text, "reads", &read_line(distribution, input, store));
    }
    for (key, origin) in keys(model, distribution) {
        line(&mut text, "key", &format!("{key}: {origin}"));
    }
    let uses = distribution.uses(&model.endpoints);
    let has_purpose = model.intended.purposes.iter().any(|purpose| purpose.distributions.contains(&distribution.name));
    if uses.is_empty() && !has_purpose {
        line(&mut text, "used by", "nobody that is known, so that p07 does not judge it");
    }
    for used in uses {
        let title = used.consumer.title();
        match used.endpoints {
            Ok(_) => line(&mut text, "used by", title),
            Err(why) => line(&mut text, "used by", &format!("{title}, not judged by p07: {why}")),
        }
    }
    if let Some(why) = distribution.never_updates() {
        line(&mut text, "updates", &format!("never: {why}"));
    }
    let unreadable = known.unreadable.iter().filter(|unreadable| unreadable.distribution == distribution.name);
    for Unreadable { source, key, why, .. } in unreadable {
        let value = if key == WHOLE { source.to_string() } else { format!("{key} of {source}") };
        line(&mut text, "unjudged", &format!("no value of {value} is generated for it: {why}"));
    }
    for unjudged in model.not_judged.iter().filter(|one| one.distribution.as_deref() == Some(&distribution.name)) {
        line(&mut text, "unjudged", &unjudged_field(unjudged));
    }
    intended::of_target(&mut text, &model.intended, distribution);
    text
}

/// A source or a generator, and what of it is in the copy if that is nothing.
fn read_line(distribution: &Distribution, input: &Input, store: &str) -> String {
    match input {
        Input::Generator(generator) => format!("what {generator} generates"),
        Input::Source(source) => {
            let what = if source.is_secret() { "Secret" } else { "key" };
            let is_known = distribution.sources().contains(source);
            let rest = if is_known { "" } else { ", of which no key is known that the copy has of it" };
            format!("{what} {source} through {store}{rest}")
        }
    }
}

/// A field that keeps something from being judged, without its place.
fn unjudged_field(NotJudged { field, keys, reason, .. }: &NotJudged) -> String {
    if keys.is_empty() {
        format!("{field}: {reason}")
    } else {
        format!("{}: {field}: {reason}", keys.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}

/// Parts that are not judged beside the copies that are: copies that cannot be made where this is tested, and stores.
fn beside_targets(model: &Model, has_name: impl Fn(&NotJudged) -> bool) -> Vec<String> {
    let is_target = |name: &str| model.distributions.iter().any(|distribution| distribution.name == name);
    let others = model.not_judged.iter().filter(|one| !one.distribution.as_deref().is_some_and(is_target));
    others
        .filter(|one| has_name(one))
        .map(|one| {
            let mut text = format!("{}\n", one.place);
            line(&mut text, "unjudged", &unjudged_field(one));
            text
        })
        .collect()
}

fn is_unjudged(model: &Model, distribution: &Distribution, key: &str) -> bool {
    let of_target = model.not_judged.iter().filter(|one| one.distribution.as_deref() == Some(&distribution.name));
    of_target.flat_map(|one| &one.keys).any(|own| own == key)
}

/// The keys of a copy, and what each is made of.
fn keys(model: &Model, distribution: &Distribution) -> Vec<(String, String)> {
    let known = match &distribution.keys {
        ExpectedKeys::Exactly(keys) => keys,
        ExpectedKeys::Unknown { why } => return vec![("any".to_owned(), format!("not judged one by one: {why}"))],
    };
    let origin = |key: &String| match distribution.origins.get(key) {
        Some(origin @ Origin::Document { .. }) => format!("{origin}, compared member by member"),
        Some(origin) => match origin.source_key().and_then(|(source, _)| model.stands_for(source)) {
            Some(what) => format!("{origin}, which stands for {what}; compared as bytes"),
            None => format!("{origin}, compared as bytes"),
        },
        None if is_unjudged(model, distribution, key) => "not judged".to_owned(),
        None if distribution.rendering().is_ok() => {
            "composed by the template, compared with what ESO's own engine makes".to_owned()
        }
        None => "composed by the template, judged as its consumer reads it".to_owned(),
    };
    known.iter().map(|key| (key.clone(), origin(key))).collect()
}

/// Copies that a namespace of the configuration gets; none if nothing is known of this name.
fn of_namespace(model: &Model, name: &str) -> Option<String> {
    let labels = model.namespaces.get(name);
    let decided =
        || model.distributions.iter().flat_map(Distribution::named_ways).any(|(names, _)| names.contains(name));
    if labels.is_none() && !decided() {
        return None;
    }
    let labels = labels.cloned().unwrap_or_default();
    let mut text = format!("Namespace {name}\n");
    for (key, value) in &labels {
        line(&mut text, "label", &format!("{key}={value}"));
    }
    let expected = expected_in(model, name, &labels);
    if expected.is_empty() {
        line(&mut text, "gets", "nothing");
    }
    for (secret, distribution) in expected {
        line(&mut text, "gets", &format!("Secret {secret} of {} {}", distribution.kind(), distribution.name));
    }
    Some(text)
}

fn line(text: &mut String, what: &str, rest: &str) {
    // A string takes everything.
    writeln!(text, "  {what:<8} {rest}").ok();
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;

    use super::*;

    const CONFIGURATION: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: store}
spec: {provider: {kubernetes: {remoteNamespace: central}}}
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: search}
spec:
  namespaceSelectors: [{matchExpressions: [{key: team, operator: In, values: [payments, search]}]}]
  externalSecretSpec:
    secretStoreRef: {kind: ClusterSecretStore, name: store}
    target: {name: search-api}
    data: [{secretKey: API_KEY, remoteRef: {key: search, property: key}}]
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: payments}}
---
apiVersion: v1
kind: Namespace
metadata: {name: blog}
";

    fn config() -> Config {
        Config::from_manifests(parse_documents(Path::new("a.yaml"), CONFIGURATION).unwrap()).unwrap()
    }

    fn explained(name: Option<&str>) -> Result<String, NothingOfThatName> {
        let config = config();
        explain(&config, &Model::derive(&config), name)
    }

    #[test]
    fn a_copy_is_explained_by_who_gets_it_and_what_its_keys_are_made_of() {
        let expected = "\
ClusterExternalSecret search at a.yaml:6
  makes    Secret search-api (Opaque)
  for      namespaces with team=payments|search
  reads    Secret central/search through store
  key      API_KEY: key of central/search, compared as bytes
  used by  nobody that is known, so that p07 does not judge it
";
        assert_eq!(explained(None).unwrap(), expected);
        for name in ["search", "search-api", "store"] {
            assert_eq!(explained(Some(name)).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_not_judged_is_explained_with_its_field_and_reason() {
        let text = CONFIGURATION.replace("{remoteNamespace: central}}}", "{remoteNamespace: central}}, retrySettings: {}}").replace(
            "    data: [",
            "    data:\n    - {secretKey: team, remoteRef: {key: search, metadataPolicy: Fetch, property: labels.team}}\n    - ",
        );
        let text = text.replace("property: key}}]", "property: key}}");
        let config = Config::from_manifests(parse_documents(Path::new("a.yaml"), &text).unwrap()).unwrap();
        let model = Model::derive(&config);
        let explained = explain(&config, &model, None).unwrap();
        let reason = "metadataPolicy Fetch reads labels and annotations, which no case changes";
        for line in [
            "  key      team: not judged\n".to_owned(),
            format!("  unjudged team: spec.externalSecretSpec.data[0].remoteRef: {reason}\n"),
            "ClusterSecretStore store at a.yaml:1\n  unjudged spec.retrySettings: the Kubernetes provider".to_owned(),
        ] {
            assert!(explained.contains(&line), "{explained}");
        }
        let store = explain(&config, &model, Some("store")).unwrap();
        assert!(store.contains("retrySettings") && store.contains("makes    Secret search-api"), "{store}");
    }

    #[test]
    fn a_namespace_is_explained_by_its_labels() {
        let shop =
            "Namespace shop\n  label    team=payments\n  gets     Secret search-api of ClusterExternalSecret search\n";
        assert_eq!(explained(Some("shop")).unwrap(), shop);
        assert_eq!(explained(Some("blog")).unwrap(), "Namespace blog\n  gets     nothing\n");
        assert!(explained(Some("absent")).unwrap_err().to_string().starts_with("failed to explain absent: "));
    }
}
