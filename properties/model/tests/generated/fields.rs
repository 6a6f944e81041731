//! Every field of the v1 schema of ESO, with what the model makes of it and the values that are generated for it.

/// A field of a spec, or of an ExternalSecret's spec.
#[derive(Debug)]
pub(crate) struct Field {
    /// Names with dots between them; `[]` stands for each element of an array, `{}` for each value of a map.
    pub(crate) path: &'static str,
    pub(crate) values: Values,
    pub(crate) standing: Standing,
}

/// The values that a field gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values {
    Name,
    Key,
    Text,
    Template,
    /// The value of a label, or a template of one.
    LabelTemplate,
    /// An expression that is valid.
    Regex,
    /// An expression that only the operator reads, when it reconciles.
    AnyRegex,
    Property,
    Duration,
    Bool,
    Number,
    Label,
    Source,
    Store,
    StoreKind,
    Namespace,
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// Standing of a field in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Expected copies follow from it.
    Modelled,
    /// It is named as not judged where it is set, as in this ExternalSecret's spec.
    NotJudged(&'static str),
    /// Nothing that is claimed depends on it, for this reason.
    Harmless(&'static str),
}

use Standing::{Harmless, Modelled, NotJudged};
use Values::{
    AnyRegex, Bool, Duration, Key, Label, LabelTemplate, Name, Namespace, Number, OneOf, Property, Regex, Source,
    Store, StoreKind, Template, Text,
};

const fn field(path: &'static str, values: Values, standing: Standing) -> Field {
    Field { path, values, standing }
}

const CONVERSION: &str = "keys of Secrets and their names have no character that it converts";
const VERSION: &str = "Secrets have no versions";
const OWN_ACCESS: &str = "the suite gives stores an access of their own to the API server, or refuses them";
const GENERATOR: &str = "{data: [{secretKey: a, remoteRef: {key: a, property: a}}], dataFrom: [{sourceRef: {generatorRef: {apiVersion: \
     generators.external-secrets.io/v1alpha1, kind: Password, name: a}}}]}";
const REWRITE_MERGE: &str = "{dataFrom: [{extract: {key: listed}, rewrite: [{merge: {}}]}]}";
const REWRITE_REGEXP: &str = "{dataFrom: [{extract: {key: listed}, rewrite: [{regexp: {source: '(', target: b}}]}]}";
const REWRITE_TRANSFORM: &str =
    "{dataFrom: [{extract: {key: listed}, rewrite: [{transform: {template: '{{ now }}'}}]}]}";
const FIND: &str = "{dataFrom: [{find: {name: {regexp: a}}}]}";
const EXTRACT_PART: &str = "{dataFrom: [{extract: {key: listed, property: a}}]}";
const TEMPLATES_ELSEWHERE: &str = "{target: {template: {templateFrom: [{configMap: {name: a, items: [{key: a, templateAs: \
     KeysAndValues}]}}]}}, data: [{secretKey: a, remoteRef: {key: a, property: a}}]}";
const LITERAL: &str = "{target: {template: {templateFrom: [{literal: '{{ .a }}'}]}}, data: [{secretKey: a, remoteRef: {key: a, property: a}}]}";

const DECODING: Values = OneOf(&["None", "Base64", "Base64URL", "Auto"]);
const CONVERSIONS: Values = OneOf(&["Default", "Unicode"]);
const METADATA: Values = OneOf(&["None", "Fetch"]);
const GENERATORS: Values = OneOf(&["Password", "UUID", "Fake", "ClusterGenerator", "SSHKey"]);
const TEMPLATE_AS: Values = OneOf(&["Values", "KeysAndValues"]);

/// The fields of an ExternalSecret's spec.
pub(crate) const EXTERNAL_SECRET: &[Field] = &[
    field("data.[].remoteRef.conversionStrategy", CONVERSIONS, Harmless(CONVERSION)),
    field("data.[].remoteRef.decodingStrategy", DECODING, Modelled),
    field("data.[].remoteRef.key", Source, Modelled),
    field("data.[].remoteRef.metadataPolicy", METADATA, Modelled),
    field("data.[].remoteRef.property", Property, Modelled),
    field("data.[].remoteRef.version", Text, Harmless(VERSION)),
    field("data.[].secretKey", Key, Modelled),
    field("data.[].sourceRef.generatorRef.apiVersion", Text, Harmless("ESO reads a generator only in dataFrom")),
    field("data.[].sourceRef.generatorRef.kind", GENERATORS, Harmless("ESO reads a generator only in dataFrom")),
    field("data.[].sourceRef.generatorRef.name", Name, Harmless("ESO reads a generator only in dataFrom")),
    field("data.[].sourceRef.storeRef.kind", StoreKind, Modelled),
    field("data.[].sourceRef.storeRef.name", Store, Modelled),
    field("dataFrom.[].extract.conversionStrategy", CONVERSIONS, Harmless(CONVERSION)),
    field("dataFrom.[].extract.decodingStrategy", DECODING, Modelled),
    field("dataFrom.[].extract.key", Source, Modelled),
    field("dataFrom.[].extract.metadataPolicy", METADATA, Modelled),
    field("dataFrom.[].extract.property", Property, NotJudged(EXTRACT_PART)),
    field("dataFrom.[].extract.version", Text, Harmless(VERSION)),
    field("dataFrom.[].find.conversionStrategy", CONVERSIONS, Harmless(CONVERSION)),
    field("dataFrom.[].find.decodingStrategy", DECODING, Modelled),
    field("dataFrom.[].find.name.regexp", AnyRegex, NotJudged(FIND)),
    field("dataFrom.[].find.path", Text, Harmless("the provider passes over it")),
    field("dataFrom.[].find.tags.{}", Label, Modelled),
    field("dataFrom.[].rewrite.[].merge.conflictPolicy", OneOf(&["Ignore", "Error"]), NotJudged(REWRITE_MERGE)),
    field("dataFrom.[].rewrite.[].merge.into", Key, NotJudged(REWRITE_MERGE)),
    field("dataFrom.[].rewrite.[].merge.priority.[]", Key, NotJudged(REWRITE_MERGE)),
    field(
        "dataFrom.[].rewrite.[].merge.priorityPolicy",
        OneOf(&["IgnoreNotFound", "Strict"]),
        NotJudged(REWRITE_MERGE),
    ),
    field("dataFrom.[].rewrite.[].merge.strategy", OneOf(&["Extract", "JSON"]), NotJudged(REWRITE_MERGE)),
    field("dataFrom.[].rewrite.[].regexp.source", AnyRegex, NotJudged(REWRITE_REGEXP)),
    field("dataFrom.[].rewrite.[].regexp.target", Text, NotJudged(REWRITE_REGEXP)),
    field("dataFrom.[].rewrite.[].transform.template", Template, NotJudged(REWRITE_TRANSFORM)),
    field("dataFrom.[].sourceRef.generatorRef.apiVersion", Text, NotJudged(GENERATOR)),
    field("dataFrom.[].sourceRef.generatorRef.kind", GENERATORS, NotJudged(GENERATOR)),
    field("dataFrom.[].sourceRef.generatorRef.name", Name, NotJudged(GENERATOR)),
    field("dataFrom.[].sourceRef.storeRef.kind", StoreKind, Modelled),
    field("dataFrom.[].sourceRef.storeRef.name", Store, Modelled),
    field("refreshInterval", Duration, Modelled),
    field("refreshPolicy", OneOf(&["CreatedOnce", "Periodic", "OnChange"]), Modelled),
    field("secretStoreRef.kind", StoreKind, Modelled),
    field("secretStoreRef.name", Store, Modelled),
    field("target.creationPolicy", OneOf(&["Owner", "Orphan", "Merge", "None"]), Modelled),
    field("target.deletionPolicy", OneOf(&["Delete", "Merge", "Retain"]), Modelled),
    field("target.immutable", Bool, Modelled),
    field("target.name", Name, Modelled),
    field("target.template.data.{}", Template, Modelled),
    field("target.template.engineVersion", OneOf(&["v2"]), Harmless("there is no other")),
    field("target.template.mergePolicy", OneOf(&["Replace", "Merge"]), Modelled),
    field("target.template.metadata.annotations.{}", Template, Harmless("no consumer reads annotations")),
    field(
        "target.template.metadata.finalizers.[]",
        Text,
        Harmless("a copy with a finalizer is like one without, until it goes"),
    ),
    field("target.template.metadata.labels.{}", LabelTemplate, Modelled),
    field("target.template.templateFrom.[].configMap.items.[].key", Key, Modelled),
    field("target.template.templateFrom.[].configMap.items.[].templateAs", TEMPLATE_AS, NotJudged(TEMPLATES_ELSEWHERE)),
    field("target.template.templateFrom.[].configMap.name", Name, Modelled),
    field("target.template.templateFrom.[].literal", Template, NotJudged(LITERAL)),
    field("target.template.templateFrom.[].secret.items.[].key", Key, Modelled),
    field("target.template.templateFrom.[].secret.items.[].templateAs", TEMPLATE_AS, NotJudged(TEMPLATES_ELSEWHERE)),
    field("target.template.templateFrom.[].secret.name", Name, Modelled),
    field("target.template.templateFrom.[].target", OneOf(&["Data", "Annotations", "Labels"]), Modelled),
    field("target.template.type", OneOf(&["Opaque", "kubernetes.io/tls", "kubernetes.io/dockerconfigjson"]), Modelled),
];

/// The fields of a ClusterExternalSecret's spec beside those of the ExternalSecret's.
pub(crate) const CLUSTER_EXTERNAL_SECRET: &[Field] = &[
    field("externalSecretMetadata.annotations.{}", Text, Harmless("no property reads annotations")),
    field("externalSecretMetadata.labels.{}", Label, Modelled),
    field("externalSecretName", Name, Modelled),
    field("namespaceSelector.matchExpressions.[].key", Label, Modelled),
    field("namespaceSelector.matchExpressions.[].operator", Text, Modelled),
    field("namespaceSelector.matchExpressions.[].values.[]", Label, Modelled),
    field("namespaceSelector.matchLabels.{}", Label, Modelled),
    field("namespaceSelectors.[].matchExpressions.[].key", Label, Modelled),
    field("namespaceSelectors.[].matchExpressions.[].operator", Text, Modelled),
    field("namespaceSelectors.[].matchExpressions.[].values.[]", Label, Modelled),
    field("namespaceSelectors.[].matchLabels.{}", Label, Modelled),
    field("namespaces.[]", Namespace, Modelled),
    field(
        "refreshTime",
        Duration,
        Harmless("it is when namespaces are looked for again, and changes of labels act at once"),
    ),
];

/// The fields of a store's spec, without the other providers.
pub(crate) const STORE: &[Field] = &[
    field("conditions.[].namespaceRegexes.[]", Regex, Modelled),
    field("conditions.[].namespaceSelector.matchExpressions.[].key", Label, Modelled),
    field("conditions.[].namespaceSelector.matchExpressions.[].operator", Text, Modelled),
    field("conditions.[].namespaceSelector.matchExpressions.[].values.[]", Label, Modelled),
    field("conditions.[].namespaceSelector.matchLabels.{}", Label, Modelled),
    field("conditions.[].namespaces.[]", Namespace, Modelled),
    field(
        "controller",
        OneOf(&["default"]),
        Harmless("stores of another class are not deployed by the suite's operator"),
    ),
    field("provider.kubernetes.auth.cert.clientCert.key", Key, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.auth.cert.clientCert.name", Name, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.auth.cert.clientCert.namespace", Namespace, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.auth.cert.clientKey.key", Key, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.auth.cert.clientKey.name", Name, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.auth.cert.clientKey.namespace", Namespace, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.auth.serviceAccount.audiences.[]", Text, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.auth.serviceAccount.name", Name, Modelled),
    field("provider.kubernetes.auth.serviceAccount.namespace", Namespace, Modelled),
    field("provider.kubernetes.auth.token.bearerToken.key", Key, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.auth.token.bearerToken.name", Name, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.auth.token.bearerToken.namespace", Namespace, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.authRef.key", Key, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.authRef.name", Name, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.authRef.namespace", Namespace, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.remoteNamespace", Namespace, Modelled),
    field("provider.kubernetes.server.caBundle", Text, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.server.caProvider.key", Key, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.server.caProvider.name", Name, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.server.caProvider.namespace", Namespace, Harmless(OWN_ACCESS)),
    field("provider.kubernetes.server.caProvider.type", OneOf(&["Secret", "ConfigMap"]), Harmless(OWN_ACCESS)),
    field("provider.kubernetes.server.url", Text, Harmless(OWN_ACCESS)),
    field("refreshInterval", Number, Harmless("it is when a store is validated again")),
    field("retrySettings.maxRetries", Number, Harmless("the Kubernetes provider does not read it")),
    field("retrySettings.retryInterval", Duration, Harmless("the Kubernetes provider does not read it")),
];
