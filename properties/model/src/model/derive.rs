//! From a configuration to the model.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::endpoints::Endpoints;
use credence_core::labels::Labels;

use super::blueprint::blueprints;
use super::{Distribution, Intended, Model, NotJudged, Source, denying_bindings, implied};
use crate::config::{Config, DeclaredDistribution, OPAQUE, SourceRef};
use crate::selector::opt_ins;

mod generated;
mod homes;
mod notes;
mod reads;
mod references;
mod rewrite;
mod roles;
mod sources;
mod writes;

use reads::Note;

pub(crate) use references::Input;
pub(in crate::model) use rewrite::original;

/// The bindings of a configuration, as [`Model::bindings`] names them.
fn bindings(config: &Config) -> BTreeSet<String> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    let inside = config.of_kind(RBAC, "RoleBinding");
    let inside = inside.map(|one| format!("{}/{}", one.namespace().unwrap_or("default"), one.name()));
    inside.chain(config.of_kind(RBAC, "ClusterRoleBinding").map(|one| one.name().to_owned())).collect()
}

pub(super) fn model(config: &Config) -> Model {
    let mut not_judged = Vec::new();
    let mut declared: Vec<DeclaredDistribution<'_>> = config.declared_distributions().collect();
    declared.retain(|declared| {
        let obstacle = notes::obstacle(config, declared);
        not_judged.extend(obstacle.iter().map(|note| declared.not_judged(note)));
        obstacle.is_none()
    });
    let mut sources = sources::sources(config, declared.iter().map(|declared| declared.spec));
    for DeclaredDistribution { object, spec, .. } in &declared {
        implied::add_keys(config, &mut sources, (*object, *spec), |store, remote| {
            references::source_ref(config, store, remote)
        });
    }
    sources::fill_in(config, &mut sources, declared.iter().map(|declared| (declared.spec, declared.object)));
    declared.retain(|declared| {
        let unknown = sources::unknown_source(config, &sources, declared.spec);
        not_judged.extend(unknown.iter().map(|note| declared.not_judged(note)));
        unknown.is_none()
    });
    let mut distributions = Vec::new();
    for declared in &declared {
        let (distribution, notes) = distribution(config, &sources, declared);
        not_judged.extend(notes.iter().map(|note| declared.not_judged(note)));
        distributions.push(distribution);
    }
    not_judged.extend(config.stores.values().flat_map(notes::of_store));
    let policies = config.of_kind("admissionregistration.k8s.io", "ValidatingAdmissionPolicy");
    let admission_policies = policies.map(|policy| policy.name().to_owned()).collect();
    let blueprints = blueprints(config);
    Model {
        sources,
        distributions,
        stores: config.stores.clone(),
        listed_labels: denying_bindings::listed_labels(
            config,
            blueprints.iter().map(|blueprint| blueprint.label.as_str()),
        ),
        blueprints,
        admission_policies,
        bindings: bindings(config),
        absent_consumers: BTreeMap::new(),
        endpoints: Endpoints::default(),
        outages_unsupported: None,
        undisturbed: BTreeMap::new(),
        denying_bindings: denying_bindings::denying_bindings(config),
        namespaces: config.namespaces.clone(),
        assumed: homes::assumed(config),
        not_judged,
        intended: Intended::default(),
    }
}

impl DeclaredDistribution<'_> {
    /// Inputs that it takes values from, each with the name of the store that it is read through. Of a distribution of the model, whose stores
    /// are there.
    pub(crate) fn inputs(&self, config: &Config) -> Vec<(Input, &str)> {
        references::inputs(config, self.spec)
    }

    /// The sources and generators that it takes values from, by their names. Of a distribution of the model.
    pub fn input_names(&self, config: &Config) -> Vec<String> {
        let inputs = self.inputs(config).into_iter();
        let names = inputs.map(|(input, _)| match input {
            Input::Source(source) => source.to_string(),
            Input::Generator(name) => name,
        });
        names.collect()
    }

    /// The names of all namespaces that it selects; none if some of any name are.
    fn only_namespaces(&self) -> Option<BTreeSet<String>> {
        let ways = opt_ins(&self.selection).into_iter();
        let names: Option<Vec<BTreeSet<String>>> = ways.map(|way| way.names).collect();
        names.map(|names| names.into_iter().flatten().collect())
    }

    fn not_judged(&self, note: &Note) -> NotJudged {
        NotJudged {
            place: self.place.clone(),
            distribution: Some(self.name.to_owned()),
            field: format!("{}.{}", self.field(), note.field),
            keys: note.keys.clone(),
            reason: note.reason.clone(),
            is_refused: note.is_refused,
        }
    }
}

fn distribution(
    config: &Config,
    sources: &BTreeMap<SourceRef, Source>,
    declared: &DeclaredDistribution<'_>,
) -> (Distribution, Vec<Note>) {
    let DeclaredDistribution { name, object, external_secret, labels, spec, selection, .. } = declared;
    let template = spec.target.template.as_ref();
    // Without a template the controller copies the ExternalSecret's own labels.
    let labels = literal(template.map_or(*labels, |template| template.labels()));
    let kept = kept(config, declared);
    let read = reads::read(config, sources, declared);
    let written = writes::written(config, spec, &read, &kept.keys);
    let roles = roles::roles(sources, &read, &written);
    let verbatim = written.origins.iter().filter_map(|(key, origin)| {
        let (source, property) = origin.source_key()?;
        Some((key.clone(), (source.clone(), property.to_owned())))
    });
    let distribution = Distribution {
        name: (*name).to_owned(),
        object: (*object).clone(),
        external_secret: (*external_secret).to_owned(),
        secret: declared.secret().to_owned(),
        secret_type: template
            .and_then(|template| template.secret_type.clone())
            .or(kept.secret_type)
            .unwrap_or_else(|| OPAQUE.to_owned()),
        labels,
        refresh_interval: spec.refresh_interval(),
        refresh_policy: spec.refresh_policy,
        creation_policy: spec.target.creation_policy,
        deletion_policy: spec.target.deletion_policy,
        immutable: spec.target.immutable,
        selection: selection.clone(),
        stores: homes::stores(config, declared),
        verbatim: verbatim.collect(),
        fields: read.fields.into_values().collect(),
        generated: read.generated,
        merged: read.merged,
        keys: written.keys,
        origins: written.origins,
        composed: written.composed,
        templates_elsewhere: written.templates_elsewhere,
        unnamed: written.unnamed,
        kept: kept.keys,
        roles,
    };
    let mut notes: Vec<Note> = read.notes.into_iter().chain(written.notes).collect();
    notes.extend(notes::of_template(declared, &distribution));
    (distribution, notes)
}

/// Contents of a copy before the controller writes into it.
#[derive(Default)]
struct Kept {
    keys: BTreeSet<String>,
    secret_type: Option<String>,
}

/// The Secret that the configuration itself makes in every namespace that is selected, and that a `creationPolicy` which merges writes
/// into; empty if it does not.
fn kept(config: &Config, declared: &DeclaredDistribution<'_>) -> Kept {
    if !declared.spec.target.creation_policy.keeps_keys() {
        return Kept::default();
    }
    let secret = |namespace: String| config.secrets.get(&SourceRef::secret(namespace, declared.secret()));
    let names = declared.only_namespaces().unwrap_or_default();
    let Some(secrets) = names.into_iter().map(secret).collect::<Option<Vec<_>>>() else { return Kept::default() };
    Kept {
        keys: secrets.iter().flat_map(|secret| secret.data.keys().cloned()).collect(),
        secret_type: secrets.first().map(|secret| secret.secret_type.clone()),
    }
}

/// The labels whose value is no template.
fn literal(labels: &Labels) -> Labels {
    labels.iter().filter(|(_, value)| !value.contains("{{")).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::manifest::parse_documents;
    use rstest::rstest;

    use super::*;

    const CONFIGURATION: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: store}
spec: {provider: {kubernetes: {remoteNamespace: central}}}
---
apiVersion: external-secrets.io/v1
kind: ClusterExternalSecret
metadata: {name: docker}
spec:
  externalSecretSpec:
    secretStoreRef: {kind: ClusterSecretStore, name: store}
    dataFrom: [{find: FIND}]
---
apiVersion: v1
kind: Secret
metadata: {name: pat, namespace: central, labels: {share: 'true', more: a}}
stringData: {token: a, username: b}
---
apiVersion: v1
kind: Secret
metadata: {name: oauth, namespace: central, labels: {share: 'false'}}
stringData: {id: a}
---
apiVersion: v1
kind: Secret
metadata: {name: pat, namespace: elsewhere, labels: {share: 'true'}}
";

    #[rstest]
    #[case::by_tags("{tags: {share: 'true'}}", &["pat"], &["share"])]
    #[case::by_name("{name: {regexp: a}}", &["oauth", "pat"], &[])]
    #[case::tags_come_first("{name: {regexp: oauth}, tags: {share: 'true', more: a}}", &["pat"], &["more", "share"])]
    fn a_search_reads_the_sources_that_it_finds_whole(
        #[case] find: &str,
        #[case] names: &[&str],
        #[case] tags: &[&str],
    ) {
        let text = CONFIGURATION.replace("FIND", find);
        let config = Config::from_manifests(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap();
        let model = model(&config);
        let found: Vec<&str> = model.distributions[0].sources().into_iter().map(|source| &*source.name).collect();
        assert_eq!(found, names);
        assert_eq!(model.sources.len(), names.len());
        assert!(model.distributions[0].fields.iter().all(|field| field.property.is_none()));
        let told: BTreeSet<&String> = model.sources.values().flat_map(|source| &source.tags).collect();
        assert!(told.into_iter().eq(tags), "{model:?}");
        assert!(model.sources.values().all(|source| !source.keys.is_empty()));
    }
    #[rstest]
    #[case::nothing("{tags: {share: maybe}}")]
    #[case::no_expression("{name: {regexp: '['}}")]
    fn a_search_that_finds_nothing_makes_no_copy_to_judge(#[case] find: &str) {
        let text = CONFIGURATION.replace("FIND", find);
        let config = Config::from_manifests(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap();
        let model = model(&config);
        assert!(model.distributions.is_empty() && model.sources.is_empty(), "{model:?}");
        assert_eq!(model.not_judged[0].field, "spec.externalSecretSpec.dataFrom[0].find");
        assert!(model.not_judged[0].reason.starts_with("no Secret of the configuration in namespace central is found"));
    }
}
