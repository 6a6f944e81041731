//! From a bundle to the model.

use std::collections::BTreeMap;

use credence_core::endpoints::Endpoints;
use credence_core::labels::Labels;
use serde_json::Value;

use super::pattern::patterns;
use super::{Model, Source, Target, guards};
use crate::config::{Bundle, ClusterExternalSecret, ExternalSecretSpec, OPAQUE, SourceRef};
use crate::selector::NamespaceSelection;

mod reads;
mod writes;

pub(super) fn model(bundle: &Bundle) -> Model {
    let distributions: Vec<Distribution<'_>> = distributions(bundle).collect();
    let sources = reads::sources(bundle, distributions.iter().map(|distribution| distribution.spec));
    let targets = distributions.iter().map(|distribution| target(bundle, &sources, distribution)).collect();
    let policies = bundle.of_kind("admissionregistration.k8s.io", "ValidatingAdmissionPolicy");
    let admission_policies = policies.map(|policy| policy.name().to_owned()).collect();
    Model {
        sources,
        targets,
        stores: bundle.stores.clone(),
        patterns: patterns(bundle),
        admission_policies,
        absent_consumers: BTreeMap::new(),
        endpoints: Endpoints::default(),
        untouchable: None,
        guards: guards::guards(bundle),
        namespaces: bundle.namespaces.clone(),
    }
}

/// An ExternalSecret that the configuration has, or makes, with the namespaces that it is for.
struct Distribution<'a> {
    /// The name of what it is written as.
    name: &'a str,
    /// That, as it is written.
    object: &'a Value,
    /// The ExternalSecret's name.
    external_secret: &'a str,
    /// The ExternalSecret's labels.
    labels: &'a Labels,
    /// Its spec.
    spec: &'a ExternalSecretSpec,
    /// The namespaces.
    selection: NamespaceSelection,
}

fn distributions(bundle: &Bundle) -> impl Iterator<Item = Distribution<'_>> {
    bundle.cluster_external_secrets.iter().map(|ClusterExternalSecret { name, object, spec, .. }| Distribution {
        name,
        object,
        external_secret: spec.external_secret_name.as_ref().unwrap_or(name),
        labels: spec.external_secret_labels(),
        spec: &spec.external_secret_spec,
        selection: spec.selection(),
    })
}

fn target(bundle: &Bundle, sources: &BTreeMap<SourceRef, Source>, distribution: &Distribution<'_>) -> Target {
    let Distribution { name, object, external_secret, labels, spec, selection } = distribution;
    let template = spec.target.template.as_ref();
    // Without a template the controller copies the ExternalSecret's own labels.
    let labels = literal(template.map_or(*labels, |template| template.labels()));
    let (fields, read_keys) = reads::fields(bundle, sources, spec);
    Target {
        name: (*name).to_owned(),
        object: (*object).clone(),
        external_secret: (*external_secret).to_owned(),
        secret: spec.target.name.as_deref().unwrap_or(external_secret).to_owned(),
        secret_type: template.and_then(|template| template.secret_type.clone()).unwrap_or_else(|| OPAQUE.to_owned()),
        labels,
        refresh_interval: spec.refresh_interval(),
        refresh_policy: spec.refresh_policy,
        creation_policy: spec.target.creation_policy,
        deletion_policy: spec.target.deletion_policy,
        immutable: spec.target.immutable,
        selection: selection.clone(),
        stores: reads::stores(bundle, spec),
        verbatim: writes::verbatim(template, &fields, &read_keys),
        fields,
        keys: writes::written_keys(template, read_keys),
    }
}

/// The labels whose value is no template.
fn literal(labels: &Labels) -> Labels {
    labels.iter().filter(|(_, value)| !value.contains("{{")).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
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
