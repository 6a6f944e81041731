//! From a bundle to the model.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::endpoints::Endpoints;
use credence_core::labels::Labels;

use super::pattern::patterns;
use super::{Intended, Model, NotJudged, Source, Target, guards, implied};
use crate::config::{Bundle, CreationPolicy, Distribution, OPAQUE, SourceRef};
use crate::selector::opt_ins;

mod homes;
mod notes;
mod reads;
mod rewrite;
mod roles;
mod writes;

use reads::Note;

/// The bindings of a configuration, as [`Model::bindings`] names them.
fn bindings(bundle: &Bundle) -> BTreeSet<String> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    let inside = bundle.of_kind(RBAC, "RoleBinding");
    let inside = inside.map(|one| format!("{}/{}", one.namespace().unwrap_or("default"), one.name()));
    inside.chain(bundle.of_kind(RBAC, "ClusterRoleBinding").map(|one| one.name().to_owned())).collect()
}

pub(super) fn model(bundle: &Bundle) -> Model {
    let mut not_judged = Vec::new();
    let mut distributions: Vec<Distribution<'_>> = bundle.distributions().collect();
    distributions.retain(|distribution| {
        let obstacle = notes::obstacle(bundle, distribution);
        not_judged.extend(obstacle.iter().map(|note| distribution.not_judged(note)));
        obstacle.is_none()
    });
    let mut sources = reads::sources(bundle, distributions.iter().map(|distribution| distribution.spec));
    for Distribution { object, spec, .. } in &distributions {
        implied::add_keys(bundle, &mut sources, (*object, *spec), |store, remote| {
            reads::source_ref(bundle, store, remote)
        });
    }
    reads::fill_in(bundle, &mut sources, distributions.iter().map(|distribution| distribution.spec));
    let mut targets = Vec::new();
    for distribution in &distributions {
        let (target, notes) = target(bundle, &sources, distribution);
        not_judged.extend(notes.iter().map(|note| distribution.not_judged(note)));
        targets.push(target);
    }
    not_judged.extend(bundle.stores.values().flat_map(notes::of_store));
    let policies = bundle.of_kind("admissionregistration.k8s.io", "ValidatingAdmissionPolicy");
    let admission_policies = policies.map(|policy| policy.name().to_owned()).collect();
    Model {
        sources,
        targets,
        stores: bundle.stores.clone(),
        patterns: patterns(bundle),
        admission_policies,
        bindings: bindings(bundle),
        absent_consumers: BTreeMap::new(),
        endpoints: Endpoints::default(),
        untouchable: None,
        guards: guards::guards(bundle),
        namespaces: bundle.namespaces.clone(),
        assumed: homes::assumed(bundle),
        not_judged,
        intended: Intended::default(),
    }
}

impl Distribution<'_> {
    /// The names of all namespaces that it selects; none if some of any name are.
    fn only_namespaces(&self) -> Option<BTreeSet<String>> {
        let ways = opt_ins(&self.selection).into_iter();
        let names: Option<Vec<BTreeSet<String>>> = ways.map(|way| way.names).collect();
        names.map(|names| names.into_iter().flatten().collect())
    }

    fn not_judged(&self, note: &Note) -> NotJudged {
        NotJudged {
            place: self.place.clone(),
            target: Some(self.name.to_owned()),
            field: format!("{}.{}", self.field(), note.field),
            keys: note.keys.clone(),
            reason: note.reason.clone(),
        }
    }
}

fn target(
    bundle: &Bundle,
    sources: &BTreeMap<SourceRef, Source>,
    distribution: &Distribution<'_>,
) -> (Target, Vec<Note>) {
    let Distribution { name, object, external_secret, labels, spec, selection, .. } = distribution;
    let template = spec.target.template.as_ref();
    // Without a template the controller copies the ExternalSecret's own labels.
    let labels = literal(template.map_or(*labels, |template| template.labels()));
    let kept = kept(bundle, distribution);
    let read = reads::read(bundle, sources, spec);
    let written = writes::written(bundle, spec, &read, &kept.keys);
    let roles = roles::roles(sources, &read, &written);
    let verbatim = written.origins.iter().filter_map(|(key, origin)| {
        let (source, property) = origin.source_key()?;
        Some((key.clone(), (source.clone(), property.to_owned())))
    });
    let target = Target {
        name: (*name).to_owned(),
        object: (*object).clone(),
        external_secret: (*external_secret).to_owned(),
        secret: distribution.secret().to_owned(),
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
        stores: homes::stores(bundle, distribution),
        verbatim: verbatim.collect(),
        fields: read.fields.into_values().collect(),
        keys: written.keys,
        origins: written.origins,
        composed: written.composed,
        unnamed: written.unnamed,
        kept: kept.keys,
        roles,
    };
    let mut notes: Vec<Note> = read.notes.into_iter().chain(written.notes).collect();
    notes.extend(notes::of_template(distribution, &target));
    (target, notes)
}

/// What a copy has before the controller writes into it.
#[derive(Default)]
struct Kept {
    keys: BTreeSet<String>,
    secret_type: Option<String>,
}

/// The Secret that the configuration itself makes in every namespace that is selected, and that `creationPolicy: Merge` writes
/// into; empty if it does not.
fn kept(bundle: &Bundle, distribution: &Distribution<'_>) -> Kept {
    if distribution.spec.target.creation_policy != CreationPolicy::Merge {
        return Kept::default();
    }
    let secret = |namespace: String| bundle.secrets.get(&SourceRef::secret(namespace, distribution.secret()));
    let names = distribution.only_namespaces().unwrap_or_default();
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
    #[case::nothing("{tags: {share: maybe}}", &[], &[])]
    #[case::no_expression("{name: {regexp: '['}}", &[], &[])]
    fn a_search_reads_the_sources_that_it_finds_whole(
        #[case] find: &str,
        #[case] names: &[&str],
        #[case] tags: &[&str],
    ) {
        let text = CONFIGURATION.replace("FIND", find);
        let bundle = Bundle::from_manifests(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap();
        let model = model(&bundle);
        let found: Vec<&str> = model.targets[0].sources().into_iter().map(|source| &*source.name).collect();
        assert_eq!(found, names);
        assert_eq!(model.sources.len(), names.len());
        assert!(model.targets[0].fields.iter().all(|field| field.property.is_none()));
        let told: BTreeSet<&String> = model.sources.values().flat_map(|source| &source.tags).collect();
        assert!(told.into_iter().eq(tags), "{model:?}");
        assert!(model.sources.values().all(|source| !source.keys.is_empty()));
    }
}
