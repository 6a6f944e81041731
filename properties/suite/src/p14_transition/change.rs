//! Changes of form, made of a distribution's own manifest.
//!
//! Pure.

use std::collections::BTreeMap;
use std::fmt;

use credence_core::formats::{ARGO_CD_LABEL, KARGO_LABEL, Role, source_roles};
use credence_model::config::{OPAQUE, spec_in};
use credence_model::model::{Distribution, ExpectedKeys};
use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

/// A type of nobody's, for values that have no type of their own but `Opaque`.
const OTHER_TYPE: &str = "credence.dev/other";
/// Prefix of the keys of the new form.
const NEW_KEY: &str = "v2_";
/// Suffix of the hosts of the new form; nobody owns names below it (RFC 2606).
const NEW_HOST: &str = "example";

/// Differences of a new form from the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormChange {
    /// The Kubernetes type, with the keys that go with it.
    Type,
    /// The names of the keys.
    Keys,
    /// The host that the credential is for.
    Host,
}

impl fmt::Display for FormChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "type",
            Self::Keys => "keys",
            Self::Host => "host",
        })
    }
}

impl FormChange {
    pub(super) const ALL: [Self; 3] = [Self::Type, Self::Keys, Self::Host];

    /// The changes that `distribution` can go through.
    pub(super) fn all_of(distribution: &Distribution) -> Vec<Self> {
        Self::ALL.into_iter().filter(|change| change.apply(distribution).is_some()).collect()
    }

    /// The spec of the ExternalSecret of the new form; none if this change says nothing about `distribution`.
    pub(super) fn apply(self, distribution: &Distribution) -> Option<Value> {
        // A form is read through stores of the run, in namespaces of the run, where no such account is.
        if distribution.stores.iter().any(|store| store.referent_account().is_some()) {
            return None;
        }
        let mut spec = spec_in(&distribution.object).clone();
        let template = match self {
            Self::Type => other_type(distribution)?,
            Self::Keys => other_keys(distribution, &spec)?,
            Self::Host => other_host(distribution, &spec)?,
        };
        spec["target"]["template"] = template;
        Some(spec)
    }

    /// The endpoints of the new form, where those of the old one are `endpoints`.
    pub(super) fn endpoints(self, endpoints: &[String]) -> Vec<String> {
        match self {
            Self::Type => Vec::new(),
            Self::Keys => endpoints.to_vec(),
            Self::Host => endpoints.iter().map(|endpoint| rehost(endpoint)).collect(),
        }
    }
}

/// The values that the distribution reads, each under the plain name of its role, as another type.
fn other_type(distribution: &Distribution) -> Option<Value> {
    let properties: Option<Vec<&str>> = distribution.fields.iter().map(|field| field.property.as_deref()).collect();
    let roles = source_roles(properties?);
    let mut data = BTreeMap::new();
    for (role, property) in &roles {
        let field = distribution.fields.iter().find(|field| field.property.as_deref() == Some(property))?;
        // What a key at a provider is called need be no key of a Secret.
        let name = match role {
            Role::Other(_) if !field.source.is_secret() => field.secret_key.clone(),
            role => key(role),
        };
        data.insert(name, format!("{{{{ index . \"{}\" }}}}", field.secret_key));
    }
    let has = |role| roles.contains_key(&role);
    let own = match distribution.secret_type.as_str() {
        "kubernetes.io/basic-auth" | "kubernetes.io/tls" => OPAQUE,
        _ if has(Role::Username) && has(Role::Secret) => "kubernetes.io/basic-auth",
        _ if has(Role::Certificate) && has(Role::PrivateKey) => "kubernetes.io/tls",
        OPAQUE => OTHER_TYPE,
        _ => OPAQUE,
    };
    let mut labels = distribution.labels.clone();
    // They are promises about keys that the new form does not have.
    labels.retain(|key, _| ![ARGO_CD_LABEL, KARGO_LABEL].contains(&key.as_str()));
    (!data.is_empty()).then(|| json!({ "type": own, "metadata": { "labels": labels }, "data": data }))
}

fn key(role: &Role) -> String {
    match role {
        Role::Username => "username",
        Role::Secret => "password",
        Role::ClientId => "client-id",
        Role::ClientSecret => "client-secret",
        Role::Certificate => "tls.crt",
        Role::PrivateKey => "tls.key",
        Role::Other(key) => key,
    }
    .to_owned()
}

/// The same template with other keys, where no consumer prescribes them.
fn other_keys(distribution: &Distribution, spec: &Value) -> Option<Value> {
    let prescribed = distribution.secret_type.starts_with("kubernetes.io/") || is_of_consumer(distribution);
    let known = matches!(distribution.keys, ExpectedKeys::Exactly(_));
    let mut template = spec.pointer("/target/template").cloned().unwrap_or_else(|| json!({}));
    if prescribed || !known || template["mergePolicy"] == "Merge" || template.get("templateFrom").is_some() {
        return None;
    }
    let data: Map<String, Value> = match template["data"].as_object() {
        Some(data) => data.iter().map(|(key, text)| (format!("{NEW_KEY}{key}"), text.clone())).collect(),
        None => {
            let keys = distribution.fields.iter().map(|field| &field.secret_key);
            keys.map(|key| (format!("{NEW_KEY}{key}"), json!(format!("{{{{ index . \"{key}\" }}}}")))).collect()
        }
    };
    (!data.is_empty()).then(|| {
        template["data"] = Value::Object(data);
        template
    })
}

/// The same template for other hosts, where the form says which hosts it is for, and the template has them in plain
/// sight.
fn other_host(distribution: &Distribution, spec: &Value) -> Option<Value> {
    if distribution.secret_type != "kubernetes.io/dockerconfigjson" && !is_of_consumer(distribution) {
        return None;
    }
    let mut template = spec.pointer("/target/template")?.clone();
    let mut changed = false;
    for text in template["data"].as_object_mut()?.values_mut() {
        let moved = rehost(text.as_str()?);
        changed |= *text != moved;
        *text = json!(moved);
    }
    changed.then_some(template)
}

fn is_of_consumer(distribution: &Distribution) -> bool {
    [ARGO_CD_LABEL, KARGO_LABEL].iter().any(|label| distribution.labels.contains_key(*label))
}

/// Gives every host name in a text another one; in a regular expression its dots may be escaped.
fn rehost(text: &str) -> String {
    // The expression is a constant. A chain of fields in a template begins with a dot, a host does not.
    let host = Regex::new(r"(^|[^.\w\\-])([a-z0-9-]+(?:\\?\.[a-z0-9-]+)*\\?\.[a-z]{2,})").expect("a valid expression");
    let moved = host.replace_all(text, |found: &Captures<'_>| {
        let dot = if found[2].contains('\\') { "\\." } else { "." };
        format!("{}{dot}{NEW_HOST}", &found[0])
    });
    moved.into_owned()
}

#[cfg(test)]
mod tests {
    use credence_model::model::Model;
    use credence_model::model::testing::reference;
    use rstest::rstest;

    use super::*;

    fn distribution<'a>(model: &'a Model, name: &str) -> &'a Distribution {
        model.distributions.iter().find(|distribution| distribution.name == name).unwrap()
    }

    #[rstest]
    #[case::registry("dict \"ghcr.io\" (dict", "dict \"ghcr.io.example\" (dict")]
    #[case::url("https://github.com/org/", "https://github.com.example/org/")]
    #[case::expression(r"^ghcr\.io/org/", r"^ghcr\.io\.example/org/")]
    #[case::port("registry.internal:5000", "registry.internal.example:5000")]
    #[case::field("{{ .username }}", "{{ .username }}")]
    #[case::chain("{{ .auth.token }} printf \"%s\" .a", "{{ .auth.token }} printf \"%s\" .a")]
    fn hosts_move_and_nothing_else_does(#[case] text: &str, #[case] moved: &str) {
        assert_eq!(rehost(text), moved);
    }

    #[rstest]
    #[case("application-docker-registry", &[FormChange::Type, FormChange::Host])]
    #[case("argocd-git-credentials", &[FormChange::Type, FormChange::Host])]
    #[case("backstage-oauth-credentials", &[FormChange::Type, FormChange::Keys])]
    #[case("kargo-docker-registry", &[FormChange::Type, FormChange::Host])]
    #[case("wildcard-tls", &[FormChange::Type])]
    #[test]
    fn a_target_goes_through_the_changes_that_say_something_about_it(
        #[case] name: &str,
        #[case] changes: &[FormChange],
    ) {
        let model = reference();
        assert_eq!(FormChange::all_of(distribution(&model, name)), changes);
    }

    #[test]
    fn another_type_keeps_the_values_and_drops_what_promises_keys() {
        let model = reference();
        let spec = FormChange::Type.apply(distribution(&model, "kargo-git-credentials")).unwrap();
        let template = &spec["target"]["template"];
        assert_eq!(template["type"], "kubernetes.io/basic-auth");
        assert_eq!(template["data"]["password"], "{{ index . \"token\" }}");
        assert!(template["metadata"]["labels"].get(KARGO_LABEL).is_none());
        assert_eq!(template["metadata"]["labels"]["secret-type"], "git-credentials");
    }

    #[test]
    fn other_keys_hold_the_same_templates() {
        let model = reference();
        let spec = FormChange::Keys.apply(distribution(&model, "backstage-oauth-credentials")).unwrap();
        let data = spec["target"]["template"]["data"].as_object().unwrap();
        assert_eq!(data["v2_AUTH_GITHUB_CLIENT_ID"], "{{ .clientId }}");
        assert_eq!(data.len(), 2);
    }
}
