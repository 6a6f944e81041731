//! Comparing what namespaces hold with what the model says: the oracle is bytes, never a condition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use credence_core::credential::Credential;
use credence_core::formats::{self, DOCKER_CONFIG_KEY, Role};
use credence_core::text::Reason;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, ExpectedKeys, Field, Model};
use credence_model::values::{Values, World, mixed_worlds};
use credence_watch::observer::{SecretSeen, View};

#[cfg(feature = "faults")]
use crate::faults::{self, OwnFault};

/// The copies that a namespace must hold, by Secret name.
pub(crate) type Expected<'a> = BTreeMap<String, &'a Distribution>;

/// Checks that `namespace` holds exactly the `expected` copies, each of the right type, and no other Secret or
/// ExternalSecret of the distribution. In a namespace that is not ours alone, only names of the distribution count.
///
/// # Errors
/// The difference, in words.
pub(crate) fn exact(view: &View<'_>, namespace: &str, expected: &Expected<'_>, names: &Names) -> Result<(), Reason> {
    for (name, distribution) in expected {
        match view.secret(namespace, name) {
            Some(secret) if secret.type_ == distribution.secret_type => {}
            Some(secret) => {
                return Err(format!(
                    "{namespace}/{name} has type {} and not {}",
                    secret.type_, distribution.secret_type
                )
                .into());
            }
            None => return Err(missing(view, namespace, name, distribution).into()),
        }
    }
    let seen = view.external_secrets(namespace);
    // Secrets and ExternalSecrets are two watches: what the second one does not show yet says nothing of absences.
    if let Some(distribution) =
        expected.values().find(|distribution| !seen.contains(distribution.external_secret.as_str()))
    {
        return Err(format!("ExternalSecret {namespace}/{} is not in sight", distribution.external_secret).into());
    }
    #[cfg(feature = "faults")]
    if faults::is_on(OwnFault::AbsenceAtOnce) {
        return Ok(());
    }
    extra(view, namespace, expected, names).map_or(Ok(()), |extra| Err(extra.into()))
}

/// Excess of a namespace over the `expected` copies, in words.
pub(crate) fn extra(view: &View<'_>, namespace: &str, expected: &Expected<'_>, names: &Names) -> Option<String> {
    let wanted: BTreeSet<&str> = expected.values().map(|distribution| distribution.external_secret.as_str()).collect();
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
pub(crate) fn missing(view: &View<'_>, namespace: &str, name: &str, distribution: &Distribution) -> String {
    let says = match view.external_secret(namespace, &distribution.external_secret) {
        None => "there is no ExternalSecret".to_owned(),
        Some(seen) => match &seen.ready {
            Some(ready) => format!("its ExternalSecret says {ready}"),
            None => "its ExternalSecret has no condition yet".to_owned(),
        },
    };
    format!("{namespace}/{name} does not exist ({says})")
}

/// An ExternalSecret that its ClusterExternalSecret no longer lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrphanedExternalSecret {
    /// Namespace that it stays in.
    pub namespace: String,
    /// Name of the ExternalSecret in that namespace.
    pub name: String,
}

/// The names that a distribution uses for Secrets and ExternalSecrets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    secrets: BTreeSet<String>,
    external_secrets: BTreeSet<String>,
    sources: BTreeSet<SourceRef>,
    /// ExternalSecrets that are passed over, with the Secret that each makes, by namespace.
    forgiven: BTreeSet<(String, String)>,
}

impl Names {
    /// All names that a configuration uses.
    pub(crate) fn of(model: &Model) -> Self {
        let mut names = Self { sources: model.sources.keys().cloned().collect(), ..Self::default() };
        for distribution in &model.distributions {
            names.secrets.insert(distribution.secret.clone());
            names.external_secrets.insert(distribution.external_secret.clone());
        }
        names
    }

    /// Passes over these ExternalSecrets and their copies where nothing asks for them.
    #[must_use]
    pub(crate) fn forgiving(mut self, model: &Model, orphaned: &BTreeSet<OrphanedExternalSecret>) -> Self {
        for OrphanedExternalSecret { namespace, name } in orphaned {
            self.forgiven.insert((namespace.clone(), name.clone()));
            let distributions = model.distributions.iter().filter(|distribution| distribution.external_secret == *name);
            self.forgiven.extend(distributions.map(|distribution| (namespace.clone(), distribution.secret.clone())));
        }
        self
    }

    fn is_forgiven(&self, namespace: &str, name: &str) -> bool {
        self.forgiven.contains(&(namespace.to_owned(), name.to_owned()))
    }

    /// True if a Secret has the name of a copy and is not a source, which may have the same name.
    fn is_copy(&self, namespace: &str, name: &str) -> bool {
        let place = SourceRef::secret(namespace, name);
        self.secrets.contains(name) && !self.sources.contains(&place) && !self.is_forgiven(namespace, name)
    }
}

/// The values that copies are compared with.
pub trait Known {
    /// Values of a source, as far as those of the sources of `distribution` are known.
    fn of(&self, distribution: &Distribution, source: &SourceRef) -> Option<&Values>;

    /// Values that the template of `distribution` makes of them, where they were rendered.
    fn rendered(&self, _distribution: &Distribution) -> Option<Arc<Values>> {
        None
    }
}

/// Output of templates for known values.
pub(crate) trait Rendered: Sync {
    /// Values that the template of `distribution` makes of these, under the names by which it knows them; none where that was not
    /// rendered.
    fn of(&self, distribution: &Distribution, values: &dyn Fn() -> Option<Values>) -> Option<Arc<Values>>;
}

/// Values, and what templates make of them.
pub(crate) struct WithRenderings<'a, K> {
    known: &'a K,
    rendered: &'a dyn Rendered,
}

impl<'a, K: Known> WithRenderings<'a, K> {
    pub(crate) fn new(known: &'a K, rendered: &'a dyn Rendered) -> Self {
        Self { known, rendered }
    }
}

impl<K: Known> Known for WithRenderings<'_, K> {
    fn of(&self, distribution: &Distribution, source: &SourceRef) -> Option<&Values> {
        self.known.of(distribution, source)
    }

    fn rendered(&self, distribution: &Distribution) -> Option<Arc<Values>> {
        self.rendered.of(distribution, &|| inputs(distribution, self.known))
    }
}

/// Values of the only source; of several, nothing tells whose they are.
impl Known for Values {
    fn of(&self, distribution: &Distribution, source: &SourceRef) -> Option<&Values> {
        distribution.sources().iter().eq([&source]).then_some(self)
    }
}

impl Known for World {
    fn of(&self, _: &Distribution, source: &SourceRef) -> Option<&Values> {
        self.get(source)
    }
}

/// Values of one source, whatever others there are.
impl Known for (&SourceRef, &Values) {
    fn of(&self, _: &Distribution, source: &SourceRef) -> Option<&Values> {
        (self.0 == source).then_some(self.1)
    }
}

/// Checks that a copy is what `distribution` promises of sources with these values: Kubernetes type, labels, exact key
/// set, each key whose origin is known, what the template makes where that was rendered, and the content as its consumer
/// decodes it.
///
/// # Errors
/// The difference, in words, with lengths and fingerprints in place of values.
pub(crate) fn matches_source(
    distribution: &Distribution,
    secret: &SecretSeen,
    known: &impl Known,
) -> Result<(), Reason> {
    let name = &distribution.secret;
    if secret.type_ != distribution.secret_type {
        return Err(format!("{name} has type {} and not {}", secret.type_, distribution.secret_type).into());
    }
    for (key, value) in &distribution.labels {
        if secret.labels.get(key) != Some(value) {
            return Err(format!("{name} has label {key}={:?} and not {value:?}", secret.labels.get(key)).into());
        }
    }
    if let ExpectedKeys::Exactly(wanted) = &distribution.keys {
        let keys: BTreeSet<&String> = secret.data.keys().collect();
        if !keys.iter().copied().eq(wanted) {
            return Err(format!("{name} has keys {keys:?} and not {wanted:?}").into());
        }
    }
    as_made(distribution, secret, known)?;
    if let Some(rendered) = known.rendered(distribution) {
        as_rendered(distribution, secret, &rendered)?;
    }
    // Its logins are the source's own, and may differ.
    if distribution.sources().len() == 1 && distribution.verbatim.contains_key(DOCKER_CONFIG_KEY) {
        return Ok(());
    }
    let decoded = formats::decode(&secret.type_, &secret.labels, &secret.data)
        .map_err(|error| format!("{name} cannot be read by its consumer: {error}"))?;
    match formats::disagreement(&decoded, &expected_roles(distribution, known)) {
        Some(difference) => Err(format!("{name} disagrees with its source: {difference}").into()),
        None => Ok(()),
    }
}

/// Relation of a copy to two versions of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Made of the values before.
    Old,
    /// Made of the new values.
    New,
    /// Old in some keys and new in others: ESO reads the keys of a source one by one, and the source was written
    /// between two of them.
    HalfNew,
}

/// Tells which version of its sources a copy is.
///
/// # Errors
/// That it is none, in words.
pub(crate) fn version(
    distribution: &Distribution,
    secret: &SecretSeen,
    old: &World,
    new: &World,
    rendered: &dyn Rendered,
) -> Result<Version, Reason> {
    let is = |world: &World| matches_source(distribution, secret, &WithRenderings::new(world, rendered));
    let Err(not_new) = is(new) else { return Ok(Version::New) };
    let Err(not_old) = is(old) else { return Ok(Version::Old) };
    // Mixtures are too many to be rendered each.
    if mixed_worlds(old, new).iter().any(|mixture| is(mixture).is_ok()) {
        return Ok(Version::HalfNew);
    }
    Err(format!("neither old ({not_old}) nor new ({not_new}), nor half of each").into())
}

/// Checks the keys whose values follow from those of the sources.
fn as_made(distribution: &Distribution, secret: &SecretSeen, known: &impl Known) -> Result<(), Reason> {
    let values_of = |source: &SourceRef| known.of(distribution, source);
    for (key, origin) in &distribution.origins {
        let Some(made) = origin.made_of(&values_of) else { continue };
        match secret.data.get(key) {
            Some(found) if made.is(found) => {}
            Some(found) => {
                return Err(format!("{}: {key} is {found}, and {origin} is {made}", distribution.secret).into());
            }
            None => return Err(format!("{} has no key {key}, and {origin} is {made}", distribution.secret).into()),
        }
    }
    Ok(())
}

/// The values that a template of `distribution` has, by the names by which it knows them; none if they are not all known.
pub(crate) fn inputs(distribution: &Distribution, known: &impl Known) -> Option<Values> {
    let values_of = |source: &SourceRef| known.of(distribution, source);
    let input =
        |field: &Field| Some((field.secret_key.clone(), field.origin.as_ref()?.made_of(&values_of)?.into_bytes()?));
    let generated = distribution.generated.iter().map(|(key, origin)| {
        let value = origin.as_ref()?.made_of(&values_of)?.into_bytes()?;
        Some((key.clone(), value))
    });
    distribution.fields.iter().map(input).chain(generated).collect()
}

/// Checks the keys that a template composes against what the operator's own engine makes of the same values.
///
/// # Errors
/// The difference, in words.
pub(crate) fn as_rendered(distribution: &Distribution, secret: &SecretSeen, rendered: &Values) -> Result<(), Reason> {
    for key in &distribution.composed {
        if let Some(made) = rendered.get(key)
            && secret.data.get(key) != Some(made)
        {
            let found = secret.data.get(key).map_or_else(|| "missing".to_owned(), ToString::to_string);
            return Err(format!("{}: {key} is {found}, and its template makes {made}", distribution.secret).into());
        }
    }
    Ok(())
}

/// The parts that the copy must have as its consumer reads it, as far as the values are known.
fn expected_roles(distribution: &Distribution, known: &impl Known) -> BTreeMap<Role, Credential> {
    let values_of = |source: &SourceRef| known.of(distribution, source);
    let parts = distribution.roles.iter();
    parts.filter_map(|(role, origin)| Some((role.clone(), origin.made_of(&values_of)?.into_bytes()?))).collect()
}
