use std::path::Path;

use credence_core::manifest::parse_documents;
use rstest::rstest;

use super::*;

/// A ClusterExternalSecret with everything that is required, whose spec goes on behind line 6.
const DISTRIBUTED: &str = "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata:\n  name: a\nspec:\n  \
                           externalSecretSpec:\n    secretStoreRef: {kind: ClusterSecretStore, name: s}\n";

const STORE: &str = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: s}\nspec:\n  provider:\n    \
                     kubernetes:\n      auth: {serviceAccount: {name: reader}}\n";

/// A Secret with what may be in it, behind its metadata.
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";

fn refused(text: &str) -> Vec<String> {
    let manifests = parse_documents(Path::new("a.yaml"), text).unwrap();
    manifests.iter().flat_map(|manifest| Schema::pinned().faults_of(manifest)).map(|fault| fault.to_string()).collect()
}

#[rstest]
#[case::misspelt(
    "    target:\n      immutible: true\n",
    "a.yaml:9:7: ClusterExternalSecret a: spec.externalSecretSpec.target.immutible is no field of ClusterExternalSecret in \
     External Secrets Operator 0.20.4; did you mean immutable?"
)]
#[case::one_level_too_high(
    "    creationPolicy: Owner\n",
    "a.yaml:8:5: ClusterExternalSecret a: spec.externalSecretSpec.creationPolicy is no field of ClusterExternalSecret in External \
     Secrets Operator 0.20.4; there are data, dataFrom, refreshInterval, refreshPolicy, secretStoreRef, target"
)]
#[case::in_an_item(
    "    data:\n    - secretKey: a\n      remoteRef: {key: b, propertyy: c}\n",
    "a.yaml:10:27: ClusterExternalSecret a: spec.externalSecretSpec.data[0].remoteRef.propertyy is no field of \
     ClusterExternalSecret in External Secrets Operator 0.20.4; did you mean property?"
)]
#[case::of_a_later_version(
    "    target: {manifest: {apiVersion: v1, kind: ConfigMap}}\n",
    "a.yaml:8:14: ClusterExternalSecret a: spec.externalSecretSpec.target.manifest is of External Secrets Operator 1.0.0 and \
     later, and 0.20.4 is tested; leave it out here"
)]
#[case::of_a_later_version_and_a_path_in_what_it_names(
    "    target: {manifest: {apiVersion: v1, kind: ConfigMap}, template: {templateFrom: [{target: data.a, literal: b}]}}\n",
    "a.yaml:8:14: ClusterExternalSecret a: spec.externalSecretSpec.target.manifest is of External Secrets Operator 1.0.0 and \
     later, and 0.20.4 is tested; leave it out here"
)]
#[case::of_a_later_version_in_an_item(
    "    data: [{secretKey: a, remoteRef: {key: b, nullBytePolicy: Fail}}]\n",
    "a.yaml:8:47: ClusterExternalSecret a: spec.externalSecretSpec.data[0].remoteRef.nullBytePolicy is of External Secrets \
     Operator 2.3.0 and later, and 0.20.4 is tested; leave it out here"
)]
#[case::text_for_a_boolean(
    "    target: {immutable: 'true'}\n",
    "a.yaml:8:14: ClusterExternalSecret a: spec.externalSecretSpec.target.immutable is text, and true or false is due; write it \
     without quotes"
)]
#[case::boolean_for_text(
    "    refreshInterval: off\n",
    "a.yaml:8:5: ClusterExternalSecret a: spec.externalSecretSpec.refreshInterval is a boolean, and text is due; quote it"
)]
#[case::number_for_text(
    "    refreshInterval: 0\n",
    "a.yaml:8:5: ClusterExternalSecret a: spec.externalSecretSpec.refreshInterval is a number, and text is due; quote it"
)]
#[case::mapping_for_a_list(
    "    data: {secretKey: a}\n",
    "a.yaml:8:5: ClusterExternalSecret a: spec.externalSecretSpec.data is a mapping, and a list is due; begin each item with a \
     hyphen"
)]
#[case::none_of_those_that_there_are(
    "    target: {creationPolicy: owner}\n",
    "a.yaml:8:14: ClusterExternalSecret a: spec.externalSecretSpec.target.creationPolicy is none of Owner, Orphan, Merge, None; \
     did you mean Owner?"
)]
#[case::required(
    "    data: [{secretKey: a}]\n",
    "a.yaml:8:12: ClusterExternalSecret a: spec.externalSecretSpec.data[0].remoteRef is missing"
)]
#[case::name_with_other_characters(
    "    target: {name: Registry_Pull}\n",
    "a.yaml:8:14: ClusterExternalSecret a: spec.externalSecretSpec.target.name is not made of lower-case letters, digits, \
     hyphens and dots, with a letter or digit first and last"
)]
#[case::name_that_nobody_filled_in(
    "    target: {name: pull-<TEAM_NAME>}\n",
    "a.yaml:8:14: ClusterExternalSecret a: spec.externalSecretSpec.target.name is not made of lower-case letters, digits, \
     hyphens and dots, with a letter or digit first and last; replace <TEAM_NAME>"
)]
#[case::variable_of_flux(
    "    data: [{secretKey: a, remoteRef: {key: 'db-${CLUSTER}'}}]\n",
    "a.yaml:8:39: ClusterExternalSecret a: spec.externalSecretSpec.data[0].remoteRef.key has ${CLUSTER}, which Flux replaces when \
     it applies, and no value is given for it; pass --substitute CLUSTER=VALUE"
)]
#[case::variable_of_flux_in_a_name(
    "    target: {template: {data: {x: '{{ .TOKEN_${CLUSTER^^} }}'}}}\n",
    "a.yaml:8:32: ClusterExternalSecret a: spec.externalSecretSpec.target.template.data.x has ${CLUSTER}, which Flux replaces when \
     it applies, and no value is given for it; pass --substitute CLUSTER=VALUE"
)]
#[case::the_only_value(
    "    target: {template: {engineVersion: v1}}\n",
    "a.yaml:8:25: ClusterExternalSecret a: spec.externalSecretSpec.target.template.engineVersion has to be v2"
)]
#[case::template_of_helm(
    "    target: {name: '{{ .Values.name }}'}\n",
    "a.yaml:8:14: ClusterExternalSecret a: spec.externalSecretSpec.target.name is a template of Helm, which nothing has rendered; \
     give the directory with its Chart.yaml as the configuration"
)]
#[case::label_of_a_copy(
    "    target: {template: {metadata: {labels: {a: b c}}}}\n",
    "a.yaml:8:45: ClusterExternalSecret a: spec.externalSecretSpec.target.template.metadata.labels has a label that Kubernetes \
     refuses: value \"b c\" of label \"a\" is not valid: it is neither empty nor up to 63 of the characters A-Z a-z 0-9 - _ . \
     between letters or digits"
)]
fn a_bad_field_is_told_with_its_place_and_what_to_write(#[case] rest: &str, #[case] fault: &str) {
    assert_eq!(refused(&format!("{DISTRIBUTED}{rest}")), [fault]);
}

#[rstest]
#[case::former(
    "external-secrets.io/v1beta1",
    "ClusterExternalSecret",
    "a.yaml:1:1: ClusterExternalSecret a: apiVersion is external-secrets.io/v1beta1, which External Secrets Operator 0.20.4 does \
     not serve; write apiVersion: external-secrets.io/v1"
)]
#[case::first(
    "external-secrets.io/v1alpha1",
    "ClusterExternalSecret",
    "a.yaml:1:1: ClusterExternalSecret a: apiVersion is external-secrets.io/v1alpha1, which External Secrets Operator 0.20.4 does \
     not serve; write apiVersion: external-secrets.io/v1"
)]
#[case::misspelt(
    "external-secrets.io/v1",
    "ClusterExternalSecrets",
    "a.yaml:2:1: ClusterExternalSecrets a: ClusterExternalSecrets is no kind of External Secrets Operator 0.20.4; did you mean \
     ClusterExternalSecret?"
)]
#[case::later_kind(
    "generators.external-secrets.io/v1alpha1",
    "GitlabDeployToken",
    "a.yaml:2:1: GitlabDeployToken a: kind GitlabDeployToken is of External Secrets Operator 2.8.0 and later, and 0.20.4 is \
     tested; leave it out here"
)]
fn what_the_operator_does_not_serve_is_told_with_what_to_write(
    #[case] version: &str,
    #[case] kind: &str,
    #[case] fault: &str,
) {
    let text = DISTRIBUTED.replace("external-secrets.io/v1", version).replace("ClusterExternalSecret", kind);
    assert_eq!(refused(&text), [fault]);
}

#[test]
fn policies_of_a_former_version_of_kubernetes_are_told_with_what_to_write() {
    let text =
        "apiVersion: admissionregistration.k8s.io/v1beta1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: p}\n";
    let fault = "a.yaml:1:1: ValidatingAdmissionPolicy p: apiVersion is admissionregistration.k8s.io/v1beta1, which Kubernetes \
                 1.36.3 does not serve; write apiVersion: admissionregistration.k8s.io/v1";
    assert_eq!(refused(text), [fault]);
}

#[rstest]
#[case::secret(
    &format!("{SECRET}strindData: {{token: hunter2}}\n"),
    "a.yaml:4:1: Secret a: strindData is no field of Secret in Kubernetes 1.36.3; did you mean stringData?"
)]
#[case::value_that_is_no_text(
    &format!("{SECRET}stringData:\n  token: 12345\n"),
    "a.yaml:5:3: Secret a: stringData.token is a number, and text is due; quote it"
)]
#[case::role(
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules:\n- resource: [secrets]\n  verbs: [get]\n",
    "a.yaml:5:3: Role r: rules[0].resource is no field of Role in Kubernetes 1.36.3; did you mean resources?"
)]
#[case::a_name_that_kubernetes_refuses(
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Foo_Bar}\n",
    "a.yaml:3:12: ConfigMap Foo_Bar: metadata.name is not made of lower-case letters, digits, hyphens and dots, with a letter or \
     digit first and last"
)]
#[case::a_namespace_that_kubernetes_refuses(
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a.b, namespace: a.b}\n",
    "a.yaml:3:23: ConfigMap a.b/a.b: metadata.namespace is not made of lower-case letters, digits and hyphens, with a letter or \
     digit first and last"
)]
#[case::a_namespace_whose_name_is_too_long(
    &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {}}}\n", "a".repeat(64)),
    &format!("a.yaml:3:12: Namespace {}: metadata.name has 64 characters, and 1 to 63 are allowed", "a".repeat(64))
)]
#[case::metadata(
    "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: o\n  label: {a: b}\n",
    "a.yaml:5:3: Namespace o: metadata.label is no field of Namespace in Kubernetes 1.36.3; did you mean labels?"
)]
#[case::two_providers(
    &format!("{STORE}    fake: {{data: [{{key: a, value: b}}]}}\n"),
    "a.yaml:5:3: ClusterSecretStore s: spec.provider has 2 fields, and exactly 1 must be there"
)]
#[case::kind_of_a_store_reference(
    &DISTRIBUTED.replace("kind: ClusterSecretStore", "kind: ClusterSecretstore"),
    "a.yaml:7:22: ClusterExternalSecret a: spec.externalSecretSpec.secretStoreRef.kind is none of SecretStore, \
     ClusterSecretStore; did you mean ClusterSecretStore?"
)]
#[case::misspelt_group(
    &STORE.replace("external-secrets.io/v1", "externalsecrets.io/v1"),
    "a.yaml:1:1: ClusterSecretStore s: ClusterSecretStore is a kind of External Secrets Operator 0.20.4, and apiVersion is another; \
     write apiVersion: external-secrets.io/v1"
)]
#[case::variable_of_flux_in_metadata(
    "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${TENANT:=a}\n",
    "a.yaml:4:3: Namespace ${TENANT:=a}: metadata.name has ${TENANT}, which Flux replaces when it applies, and no value \
     is given for it; pass --substitute TENANT=VALUE"
)]
fn kinds_of_kubernetes_and_stores_are_checked_at_every_depth(#[case] text: &str, #[case] fault: &str) {
    assert_eq!(refused(text), [fault]);
}

#[test]
fn a_name_that_is_too_long_for_a_finalizer_is_told() {
    let named = |length: usize| DISTRIBUTED.replace("name: a\n", &format!("name: {}\n", "a".repeat(length)));
    assert_eq!(refused(&named(59)), Vec::<String>::new());
    let fault = format!(
        "a.yaml:4:3: ClusterExternalSecret {}: the name has 60 characters, and with more than 59 no copy is ever made: External \
         Secrets Operator puts ces-NAME into a finalizer of each namespace, and Kubernetes allows 63 characters there; shorten \
         metadata.name",
        "a".repeat(60)
    );
    assert_eq!(refused(&named(60)), [fault]);
}

#[rstest]
#[case::templates_of_the_operator(&format!(
    "{DISTRIBUTED}    target:\n      template:\n        metadata: {{labels: {{a: '{{{{ .b }}}}'}}}}\n        data: {{url: \
     'https://{{{{ .host }}}}/${{HOME}}'}}\n    dataFrom: [{{extract: {{key: a}}, rewrite: [{{transform: {{template: '{{{{ .value \
     }}}}'}}}}]}}]\n"
))]
#[case::anything_in_a_secret(&format!("{SECRET}stringData: {{script: 'echo ${{HOME}} {{{{ .Values.x }}}}'}}\n"))]
#[case::sealed_by_sops(&format!("{SECRET}data: {{token: 'ENC[a]'}}\nsops: {{mac: 'ENC[b]'}}\n"))]
#[case::exported(
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: o, uid: u, resourceVersion: '1', managedFields: [{manager: m, fieldsV1: {'f:a': \
     {}}}]}\nstatus: {phase: Active}\n"
)]
#[case::null_is_absent(&format!("{DISTRIBUTED}    target: {{template: null, name: null}}\n    data:\n"))]
#[case::of_somebody_else(&STORE.replace("external-secrets.io/v1", "alibabacloud.com/v1alpha1"))]
#[case::of_another_kind(
    "apiVersion: example.org/v1\nkind: Anything\nmetadata: {name: a}\nspec: {name: '{{ x }}', b: '${C}'}\n"
)]
fn what_the_api_servers_take_has_no_fault(#[case] text: &str) {
    assert_eq!(refused(text), Vec::<String>::new());
}

#[test]
fn no_value_is_in_a_fault() {
    let text = format!(
        "{DISTRIBUTED}    refreshPolicy: hunter2\n    target: {{name: 'hunter2!', immutable: hunter2}}\n---\n{SECRET}type: [hunter2]\n"
    );
    let shown = refused(&text).join("\n");
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_cluster_of_another_version_may_take_more() {
    let text = format!("{DISTRIBUTED}    target: {{manifest: {{apiVersion: v1, kind: ConfigMap}}}}\n---\n{STORE}");
    let manifests = parse_documents(Path::new("a.yaml"), &text.replace("s.io/v1\n", "s.io/v1beta1\n")).unwrap();
    assert!(crate::config::Config::from_manifests(manifests.clone()).is_err());
    let (_, notes) = crate::config::Config::of_live_cluster(manifests, Schema::pinned()).unwrap();
    assert_eq!(notes.len(), 3, "{notes:?}");
    let misspelt =
        parse_documents(Path::new("a.yaml"), &format!("{DISTRIBUTED}    targets: {{}}\n---\n{STORE}")).unwrap();
    assert!(crate::config::Config::of_live_cluster(misspelt, Schema::pinned()).is_err());
}

/// Definitions of a version 2.9.0 that serves two versions of one kind, and no other kind.
fn definitions() -> Vec<serde_json::Value> {
    let version = |name: &str, served: bool, provider: serde_json::Value| {
        serde_json::json!({ "name": name, "served": served, "schema": { "openAPIV3Schema": { "type": "object",
            "properties": { "apiVersion": { "type": "string" }, "kind": { "type": "string" }, "metadata": { "type": "object" },
                "spec": { "type": "object", "required": ["provider"], "properties": { "provider": provider } } } } } })
    };
    let provider = serde_json::json!({ "type": "object", "minProperties": 1, "maxProperties": 1, "properties": {
        "crd": { "type": "object", "properties": { "group": { "type": "string", "enum": ["a", "b"] },
            "name": { "type": "string", "minLength": 1, "maxLength": 253,
                "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" } } },
        "fake": { "type": "object", "additionalProperties": { "type": "integer" } } } });
    vec![serde_json::json!({ "kind": "CustomResourceDefinition", "spec": { "group": "external-secrets.io",
        "names": { "kind": "ClusterSecretStore" },
        "versions": [version("v1", true, provider.clone()), version("v1beta1", false, provider)] } })]
}

#[rstest]
#[case::of_the_version("v1", "{crd: {group: a, name: b.c}}", None)]
#[case::as_deep_as_the_definitions(
    "v1",
    "{crd: {group: c}}",
    Some("a.yaml:4:25: ClusterSecretStore s: spec.provider.crd.group is none of a, b; did you mean a?")
)]
#[case::of_a_form(
    "v1",
    "{crd: {name: B}}",
    Some(
        "a.yaml:4:25: ClusterSecretStore s: spec.provider.crd.name is not made of lower-case letters, digits, hyphens and dots, \
         with a letter or digit first and last"
    )
)]
#[case::of_a_map(
    "v1",
    "{fake: {a: b}}",
    Some(
        "a.yaml:4:26: ClusterSecretStore s: spec.provider.fake.a is text, and a whole number is due; write it without quotes"
    )
)]
#[case::not_served(
    "v1beta1",
    "{crd: {}}",
    Some(
        "a.yaml:1:1: ClusterSecretStore s: apiVersion is external-secrets.io/v1beta1, which External Secrets Operator 2.9.0 does \
         not serve; write apiVersion: external-secrets.io/v1"
    )
)]
#[case::of_the_pinned_version_alone(
    "v1",
    "{device42: {}}",
    Some(
        "a.yaml:4:19: ClusterSecretStore s: spec.provider.device42 is of External Secrets Operator 0.20.4, and 2.9.0 is tested, \
         which has it no more; leave it out here"
    )
)]
#[case::of_no_version(
    "v1",
    "{cdr: {}}",
    Some(
        "a.yaml:4:19: ClusterSecretStore s: spec.provider.cdr is no field of ClusterSecretStore in External Secrets Operator \
         2.9.0; did you mean crd?"
    )
)]
fn definitions_of_another_version_say_what_is_served(
    #[case] version: &str,
    #[case] provider: &str,
    #[case] fault: Option<&str>,
) {
    let text = format!(
        "apiVersion: external-secrets.io/{version}\nkind: ClusterSecretStore\nmetadata: {{name: s}}\nspec: {{provider: \
         {provider}}}\n"
    );
    let schema = Schema::of_definitions("2.9.0", &definitions());
    let manifests = parse_documents(Path::new("a.yaml"), &text).unwrap();
    let faults: Vec<String> =
        manifests.iter().flat_map(|manifest| schema.faults_of(manifest)).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, Vec::from_iter(fault.map(str::to_owned)));
}

#[rstest]
#[case::before("1.3.2", true)]
#[case::since("2.8.0", false)]
#[case::between_releases("2.8.0-3-g0123abc", false)]
#[case::of_no_number("main", true)]
fn a_field_is_of_a_later_version_than_the_tested_one(#[case] tested: &str, #[case] expected: bool) {
    let store = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: s}\nspec: {provider: {crd: {}}}\n";
    let without: Vec<serde_json::Value> = {
        let mut definitions = definitions();
        let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/provider/properties";
        definitions[0].pointer_mut(fields).and_then(serde_json::Value::as_object_mut).unwrap().remove("crd");
        definitions
    };
    let manifest = parse_documents(Path::new("a.yaml"), store).unwrap().remove(0);
    let faults = Schema::of_definitions(tested, &without).faults_of(&manifest);
    let said = format!(
        "spec.provider.crd is of External Secrets Operator 2.8.0 and later, and {tested} is tested; leave it out here"
    );
    assert_eq!(faults.iter().any(|fault| fault.message == said), expected, "{faults:?}");
}

#[test]
fn kinds_of_kubernetes_and_names_are_checked_whatever_the_operator() {
    let schema = Schema::of_definitions("2.9.0", &definitions());
    let text = format!("{SECRET}strindData: {{}}\n");
    let manifest = parse_documents(Path::new("a.yaml"), &text).unwrap().remove(0);
    assert_eq!(schema.faults_of(&manifest).len(), 1);
    let manifest = parse_documents(Path::new("a.yaml"), DISTRIBUTED).unwrap().remove(0);
    let faults = schema.faults_of(&manifest);
    assert!(
        faults[0].message.contains("kind ClusterExternalSecret is of External Secrets Operator 0.20.4"),
        "{faults:?}"
    );
}
