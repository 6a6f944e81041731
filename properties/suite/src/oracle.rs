//! Comparing what namespaces hold with what the model says: the oracle is bytes, never a condition.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::credential::Credential;
use credence_core::formats::{self, Role};
use credence_model::config::SourceRef;
use credence_model::model::{ExpectedKeys, Model, Target};
use credence_model::values::{Values, mixtures};
use credence_watch::observer::{SecretSeen, View};

/// The key of the Docker configuration in a Secret of type `kubernetes.io/dockerconfigjson`.
const DOCKER_CONFIG_KEY: &str = ".dockerconfigjson";

/// The copies that a namespace must hold, by Secret name.
pub type Expected<'a> = BTreeMap<String, &'a Target>;

/// Checks that `namespace` holds exactly the `expected` copies, each of the right type, and no other Secret or
/// ExternalSecret of the distribution. In a namespace that is not ours alone, only names of the distribution count.
///
/// # Errors
/// What differs, in words.
pub fn exact(view: &View<'_>, namespace: &str, expected: &Expected<'_>, names: &Names) -> Result<(), String> {
    for (name, target) in expected {
        match view.secret(namespace, name) {
            Some(secret) if secret.type_ == target.secret_type => {}
            Some(secret) => {
                return Err(format!("{namespace}/{name} has type {} and not {}", secret.type_, target.secret_type));
            }
            None => return Err(missing(view, namespace, name, target)),
        }
    }
    let seen = view.external_secrets(namespace);
    // Secrets and ExternalSecrets are two watches: what the second one does not show yet says nothing of absences.
    if let Some(target) = expected.values().find(|target| !seen.contains(target.external_secret.as_str())) {
        return Err(format!("ExternalSecret {namespace}/{} is not in sight", target.external_secret));
    }
    extra(view, namespace, expected, names).map_or(Ok(()), Err)
}

/// What a namespace holds beyond the `expected` copies, in words.
pub fn extra(view: &View<'_>, namespace: &str, expected: &Expected<'_>, names: &Names) -> Option<String> {
    let wanted: BTreeSet<&str> = expected.values().map(|target| target.external_secret.as_str()).collect();
    let extra = view
        .secrets(namespace)
        .map(|(name, _)| name.as_str())
        .find(|name| !expected.contains_key(*name) && names.is_copy(namespace, name));
    if let Some(name) = extra {
        return Some(format!("{namespace} holds {name}, which its labels do not ask for"));
    }
    let stray = view.external_secrets(namespace).into_iter().find(|name| {
        let stray = !wanted.contains(name) && names.external_secrets.contains(*name);
        stray && !names.is_forgiven(namespace, name)
    });
    stray.map(|name| format!("{namespace} holds ExternalSecret {name}, which its labels do not ask for"))
}

/// Says that a copy is missing, with what its ExternalSecret says of itself.
pub fn missing(view: &View<'_>, namespace: &str, name: &str, target: &Target) -> String {
    let says = match view.external_secret(namespace, &target.external_secret) {
        None => "there is no ExternalSecret".to_owned(),
        Some(seen) => match &seen.ready {
            Some(ready) => format!("its ExternalSecret says {ready}"),
            None => "its ExternalSecret has no condition yet".to_owned(),
        },
    };
    format!("{namespace}/{name} does not exist ({says})")
}

/// An ExternalSecret that its ClusterExternalSecret has forgotten.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forgotten {
    /// Where it is.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The names that a distribution uses for Secrets and ExternalSecrets.
#[derive(Debug, Clone, Default)]
pub struct Names {
    secrets: BTreeSet<String>,
    external_secrets: BTreeSet<String>,
    sources: BTreeSet<SourceRef>,
    /// ExternalSecrets that are passed over, with the Secret that each makes, by namespace.
    forgiven: BTreeSet<(String, String)>,
}

impl Names {
    /// All names that a configuration uses.
    pub fn of(model: &Model) -> Self {
        let mut names = Self { sources: model.sources.keys().cloned().collect(), ..Self::default() };
        for target in &model.targets {
            names.secrets.insert(target.secret.clone());
            names.external_secrets.insert(target.external_secret.clone());
        }
        names
    }

    /// Passes over these ExternalSecrets and their copies where nothing asks for them.
    #[must_use]
    pub fn forgiving(mut self, model: &Model, forgotten: &BTreeSet<Forgotten>) -> Self {
        for Forgotten { namespace, name } in forgotten {
            self.forgiven.insert((namespace.clone(), name.clone()));
            let targets = model.targets.iter().filter(|target| target.external_secret == *name);
            self.forgiven.extend(targets.map(|target| (namespace.clone(), target.secret.clone())));
        }
        self
    }

    fn is_forgiven(&self, namespace: &str, name: &str) -> bool {
        self.forgiven.contains(&(namespace.to_owned(), name.to_owned()))
    }

    /// Whether a Secret has the name of a copy and is not a source, which may have the same name.
    fn is_copy(&self, namespace: &str, name: &str) -> bool {
        let place = SourceRef { namespace: namespace.to_owned(), name: name.to_owned() };
        self.secrets.contains(name) && !self.sources.contains(&place) && !self.is_forgiven(namespace, name)
    }
}

/// Checks that a copy is what `target` promises of a source with these `values`: Kubernetes type, labels, exact key
/// set, and the content as its consumer decodes it.
///
/// # Errors
/// What differs, in words, with lengths and fingerprints in place of values.
pub fn faithful(target: &Target, secret: &SecretSeen, values: &Values) -> Result<(), String> {
    let name = &target.secret;
    if secret.type_ != target.secret_type {
        return Err(format!("{name} has type {} and not {}", secret.type_, target.secret_type));
    }
    for (key, value) in &target.labels {
        if secret.labels.get(key) != Some(value) {
            return Err(format!("{name} has label {key}={:?} and not {value:?}", secret.labels.get(key)));
        }
    }
    if let ExpectedKeys::Exactly(wanted) = &target.keys {
        let keys: BTreeSet<&String> = secret.data.keys().collect();
        if !keys.iter().copied().eq(wanted) {
            return Err(format!("{name} has keys {keys:?} and not {wanted:?}"));
        }
    }
    if let [source] = target.sources().into_iter().collect::<Vec<_>>()[..] {
        as_read(target, source, secret, values)?;
        // Its logins are the source's own, and may differ.
        if target.verbatim.contains_key(DOCKER_CONFIG_KEY) {
            return Ok(());
        }
    }
    let decoded = formats::decode(&secret.type_, &secret.labels, &secret.data)
        .map_err(|error| format!("{name} cannot be read by its consumer: {error}"))?;
    match formats::disagreement(&decoded, &comparable(target, values)) {
        Some(difference) => Err(format!("{name} disagrees with its source: {difference}")),
        None => Ok(()),
    }
}

/// The values that a target takes from its sources. Of several sources, only what it reads of each.
pub fn values_for<'a>(target: &Target, of: impl Fn(&SourceRef) -> Option<&'a Values>) -> Values {
    if let [source] = target.sources().into_iter().collect::<Vec<_>>()[..] {
        return of(source).cloned().unwrap_or_default();
    }
    let mut values = Values::new();
    for field in &target.fields {
        for (key, value) in of(&field.source).into_iter().flatten() {
            if field.property.as_ref().is_none_or(|property| property == key) {
                values.insert(key.clone(), value.clone());
            }
        }
    }
    values
}

/// What a copy is of two versions of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Made of the values before.
    Old,
    /// Made of the new values.
    New,
    /// Old in some keys and new in others: ESO reads the keys of a source one by one, and the source was written
    /// between two of them.
    HalfNew,
}

/// Tells which version of its source a copy is.
///
/// # Errors
/// That it is none, in words.
pub fn version(target: &Target, secret: &SecretSeen, old: &Values, new: &Values) -> Result<Version, String> {
    let is = |values: &Values| faithful(target, secret, values);
    let Err(not_new) = is(new) else { return Ok(Version::New) };
    let Err(not_old) = is(old) else { return Ok(Version::Old) };
    if mixtures(&[old, new]).iter().any(|mixture| is(mixture).is_ok()) {
        return Ok(Version::HalfNew);
    }
    Err(format!("neither old ({not_old}) nor new ({not_new}), nor half of each"))
}

/// Checks the values that the target takes over as they are, under whatever keys.
fn as_read(target: &Target, source: &SourceRef, secret: &SecretSeen, values: &Values) -> Result<(), String> {
    let of_source = target.verbatim.iter().filter(|(_, (from, _))| from == source);
    for (key, (_, property)) in of_source {
        if let (Some(found), Some(expected)) = (secret.data.get(key), values.get(property))
            && found != expected
        {
            return Err(format!("{}: {key} is {found} and {property} of its source {expected}", target.secret));
        }
    }
    Ok(())
}

/// The parts of a source that a copy of it must agree with: every secret one whose key alone tells that role, and a user name
/// only if the target reads it, since a template may bring its own.
fn comparable(target: &Target, values: &Values) -> BTreeMap<Role, Credential> {
    let reads = |key: &str| target.fields.iter().any(|field| field.property.as_deref().is_none_or(|read| read == key));
    formats::unambiguous_roles(values.keys().map(String::as_str))
        .into_iter()
        .filter(|(role, key)| !matches!(role, Role::Username | Role::Other(_)) || reads(key))
        .filter_map(|(role, key)| values.get(key).map(|value| (role, value.clone())))
        .collect()
}
