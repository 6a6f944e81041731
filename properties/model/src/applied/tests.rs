use std::path::Path;

use credence_core::manifest::parse_documents;
use rstest::rstest;

use super::*;

fn parse(text: &str) -> Vec<Manifest> {
    parse_documents(Path::new("tree.yaml"), text).unwrap()
}

fn object(api_version: &str, kind: &str, rest: &str) -> String {
    format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{ name: a, namespace: b }}\n{rest}\n")
}

fn names(manifests: &[Manifest]) -> Vec<String> {
    manifests.iter().map(Manifest::object_name).collect()
}

fn also(kinds: &[&str]) -> BTreeSet<String> {
    kinds.iter().map(|kind| (*kind).to_owned()).collect()
}

#[rstest]
#[case::pods("v1", "Pod", "", "would run on this machine")]
#[case::deployments("apps/v1", "Deployment", "", "would run on this machine")]
#[case::stateful_sets("apps/v1", "StatefulSet", "", "would run on this machine")]
#[case::daemon_sets("apps/v1", "DaemonSet", "", "would run on this machine")]
#[case::replica_sets("apps/v1", "ReplicaSet", "", "would run on this machine")]
#[case::replication_controllers("v1", "ReplicationController", "", "would run on this machine")]
#[case::jobs("batch/v1", "Job", "", "would run on this machine")]
#[case::cron_jobs("batch/v1", "CronJob", "", "would run on this machine")]
#[case::volumes("v1", "PersistentVolume", "", "not known")]
#[case::custom_resources("kyverno.io/v1", "ClusterPolicy", "", "not known")]
#[case::a_namesake_of_another_group("example.org/v1", "Secret", "", "not known")]
#[case::validating_webhooks("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", "send objects")]
#[case::mutating_webhooks("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "", "send objects")]
#[case::aggregated_apis("apiregistration.k8s.io/v1", "APIService", "", "send objects")]
#[case::definitions("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "conversion")]
#[case::pushes("external-secrets.io/v1alpha1", "PushSecret", "", "write into stores")]
#[case::cluster_pushes("external-secrets.io/v1alpha1", "ClusterPushSecret", "", "write into stores")]
#[case::stores_by_kubeconfig(
    "external-secrets.io/v1",
    "ClusterSecretStore",
    "spec: { provider: { kubernetes: { authRef: { name: kubeconfig } } } }",
    "kubeconfig"
)]
#[case::stores_of_nothing("external-secrets.io/v1", "SecretStore", "spec: { provider: {} }", "no provider")]
#[case::generators_of_clouds("generators.external-secrets.io/v1alpha1", "ECRAuthorizationToken", "", "ask a service")]
#[case::generators_of_webhooks("generators.external-secrets.io/v1alpha1", "Webhook", "", "ask a service")]
#[case::cluster_generators(
    "generators.external-secrets.io/v1alpha1",
    "ClusterGenerator",
    "spec: { kind: VaultDynamicSecret }",
    "ask a service"
)]
#[case::account_tokens("v1", "Secret", "type: kubernetes.io/service-account-token", "token of a ServiceAccount")]
#[case::bootstrap_tokens("v1", "Secret", "type: bootstrap.kubernetes.io/token", "nodes join")]
fn what_runs_reaches_out_or_is_not_known_is_left_out(
    #[case] api_version: &str,
    #[case] kind: &str,
    #[case] rest: &str,
    #[case] reason: &str,
) {
    let (applied, left_out) = select(parse(&object(api_version, kind, rest)), &also(&[]));
    assert_eq!(names(&applied), [""; 0]);
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0].object, format!("{kind} b/a"));
    assert_eq!(left_out[0].place, "tree.yaml:1");
    assert!(left_out[0].reason.contains(reason), "{}", left_out[0].reason);
}

#[rstest]
#[case("v1", "Secret", "type: Opaque")]
#[case("v1", "ConfigMap", "")]
#[case("v1", "ServiceAccount", "")]
#[case("rbac.authorization.k8s.io/v1", "Role", "")]
#[case("bitnami.com/v1alpha1", "SealedSecret", "")]
#[case("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "")]
#[case("external-secrets.io/v1", "ExternalSecret", "spec: { secretStoreRef: { name: elsewhere } }")]
#[case("external-secrets.io/v1", "SecretStore", "spec: { provider: { kubernetes: {}, vault: null } }")]
#[case("external-secrets.io/v1", "ClusterSecretStore", "spec: { provider: { fake: {} } }")]
#[case::with_a_stand_in("external-secrets.io/v1", "ClusterSecretStore", "spec: { provider: { aws: {} } }")]
#[case::with_a_stand_in("external-secrets.io/v1", "SecretStore", "spec: { provider: { vault: {} } }")]
#[case::with_a_stand_in("external-secrets.io/v1", "SecretStore", "spec: { provider: { webhook: {} } }")]
#[case("generators.external-secrets.io/v1alpha1", "Password", "")]
#[case("generators.external-secrets.io/v1alpha1", "ClusterGenerator", "spec: { kind: UUID }")]
fn what_distributes_is_applied(#[case] api_version: &str, #[case] kind: &str, #[case] rest: &str) {
    let (applied, left_out) = select(parse(&object(api_version, kind, rest)), &also(&[]));
    assert_eq!((names(&applied), left_out.len()), (vec![format!("{kind} b/a")], 0));
}

#[test]
fn a_kind_that_is_asked_for_is_applied_unless_it_reaches_outside() {
    let tree = [object("apps/v1", "Deployment", ""), object("external-secrets.io/v1alpha1", "PushSecret", "")];
    let (applied, left_out) = select(parse(&tree.join("---\n")), &also(&["Deployment", "PushSecret"]));
    assert_eq!(names(&applied), ["Deployment b/a"]);
    assert_eq!(left_out.iter().map(|left| left.object.as_str()).collect::<Vec<_>>(), ["PushSecret b/a"]);
}

#[rstest]
#[case::its_store("spec: { secretStoreRef: { name: foreign } }", "SecretStore foreign")]
#[case::the_store_of_a_value(
    "spec: { data: [{ sourceRef: { storeRef: { name: elsewhere, kind: ClusterSecretStore } } }] }",
    "ClusterSecretStore elsewhere"
)]
#[case::a_generator(
    "spec: { dataFrom: [{ sourceRef: { generatorRef: { kind: GCRAccessToken, name: gcr } } }] }",
    "GCRAccessToken gcr"
)]
fn what_names_something_left_out_is_left_out_too(#[case] spec: &str, #[case] missing: &str) {
    let tree = [
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: { name: copy, namespace: b }\n".to_owned() + spec,
        "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: { name: foreign, namespace: b }\n\
         spec: { provider: { kubernetes: { authRef: { name: kubeconfig } } } }"
            .to_owned(),
        "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: { name: elsewhere }\n\
         spec: { provider: { kubernetes: { authRef: { name: kubeconfig } } } }"
            .to_owned(),
        "apiVersion: generators.external-secrets.io/v1alpha1\nkind: GCRAccessToken\nmetadata: { name: gcr, namespace: b }"
            .to_owned(),
    ];
    let (applied, left_out) = select(parse(&tree.join("\n---\n")), &also(&[]));
    assert_eq!(names(&applied), [""; 0]);
    let copy = left_out.iter().find(|left| left.object == "ExternalSecret b/copy").unwrap();
    assert_eq!(copy.reason, format!("{missing}, which it names, is left out"));
}

#[test]
fn a_store_of_another_namespace_is_no_reason() {
    let tree = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: { name: copy, namespace: c }\n\
                spec: { secretStoreRef: { name: a } }\n---\n"
        .to_owned()
        + &object("external-secrets.io/v1", "SecretStore", "spec: { provider: {} }");
    let (applied, _) = select(parse(&tree), &also(&[]));
    assert_eq!(names(&applied), ["ExternalSecret c/copy"]);
}

#[test]
fn no_value_of_a_secret_stays() {
    let tree = "apiVersion: v1\nkind: Secret\nmetadata: { name: a }\ndata: { token: aHVudGVyMg== }\nstringData: { user: hunter2 }\n\
                sops: { mac: hunter2 }\n---\napiVersion: v1\nkind: Secret\nmetadata: { name: b }\ntype: kubernetes.io/dockerconfigjson\n\
                data: { .dockerconfigjson: aHVudGVyMg== }\n---\napiVersion: v1\nkind: Secret\nmetadata: { name: c }\n";
    let mut manifests = parse(tree);
    replace_values(&mut manifests);
    let text: Vec<String> = manifests.iter().map(|manifest| manifest.object.to_string()).collect();
    assert!(text.iter().all(|text| !text.contains("hunter2") && !text.contains("aHVudGVyMg")), "{text:?}");
    let keys = |index: usize| {
        let data = manifests[index].object["stringData"].as_object();
        data.map(|data| data.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    assert_eq!(
        (keys(0), keys(1), keys(2).len()),
        (vec!["token".into(), "user".into()], vec![".dockerconfigjson".into()], 0)
    );
    assert_eq!(manifests[1].object["stringData"][".dockerconfigjson"], r#"{"auths":{}}"#);
    assert!(manifests[0].object.get("data").is_none());
}

#[test]
fn what_makes_the_source_of_others_is_left_out_and_what_reads_it_is_not() {
    let store = |name: &str, provider: &str| {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: {name}}}\nspec: {{provider: \
             {{{provider}}}}}\n---\n"
        )
    };
    let chain = [
        store("far", "aws: {region: a}"),
        store("near", "kubernetes: {remoteNamespace: b}"),
        object(
            "external-secrets.io/v1",
            "ExternalSecret",
            "spec: {secretStoreRef: {kind: ClusterSecretStore, name: far}, data: [{secretKey: k, remoteRef: {key: x}}]}\n---",
        ),
        "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {name: all}\nspec: {externalSecretSpec: {secretStoreRef: \
         {kind: ClusterSecretStore, name: near}, dataFrom: [{extract: {key: a}}]}}\n"
            .to_owned(),
    ];
    let (applied, left_out) = select(parse(&chain.concat()), &also(&[]));
    assert_eq!(names(&applied), ["ClusterSecretStore far", "ClusterSecretStore near", "ClusterExternalSecret all"]);
    assert_eq!(
        left_out[0].reason,
        "it makes a source of ClusterExternalSecret all, which a run gives values of its own"
    );
}
