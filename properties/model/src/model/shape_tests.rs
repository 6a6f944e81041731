use std::path::Path;

use credence_core::consumer::Consumer;
use credence_core::formats::{ARGO_CD, KARGO_GIT, KARGO_IMAGE, KUBELET, OAUTH_CLIENT, TLS_SERVER};
use credence_core::manifest::parse_documents;
use rstest::rstest;

use super::Model;
use crate::config::Config;

const STORE: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: s}
spec: {provider: {kubernetes: {remoteNamespace: central}}}
---
";

#[rstest]
#[case::registry("type: kubernetes.io/dockerconfigjson", Some(KUBELET))]
#[case::certificate("type: kubernetes.io/tls", Some(TLS_SERVER))]
#[case::argo_cd("metadata: {labels: {argocd.argoproj.io/secret-type: repo-creds}}", Some(ARGO_CD))]
#[case::kargo_git("metadata: {labels: {kargo.akuity.io/cred-type: git}}", Some(KARGO_GIT))]
#[case::kargo_image("metadata: {labels: {kargo.akuity.io/cred-type: image}}", Some(KARGO_IMAGE))]
#[case::a_label_that_kargo_overlooks("metadata: {labels: {kargo.akuity.io/cred-type: gti}}", Some(KARGO_GIT))]
#[case::oauth_by_its_keys("data: {AUTH_CLIENT_ID: x, AUTH_CLIENT_SECRET: z}", Some(OAUTH_CLIENT))]
#[case::oauth_with_values_swapped(
    "data: {AUTH_CLIENT_ID: '{{ .client_secret }}', AUTH_CLIENT_SECRET: '{{ .client_id }}'}",
    Some(OAUTH_CLIENT)
)]
#[case::anything("data: {a: x}", None)]
fn a_consumer_is_told_by_type_labels_and_keys(#[case] template: &str, #[case] expected: Option<Consumer>) {
    let text = format!(
        "{STORE}apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: t}}\nspec:\n  \
         namespaceSelectors: [{{matchLabels: {{a: b}}}}]\n  externalSecretSpec:\n    \
         secretStoreRef: {{kind: ClusterSecretStore, name: s}}\n    target: {{template: {{{template}}}}}\n    \
         data: [{{secretKey: t, remoteRef: {{key: pat, property: token}}}}]\n"
    );
    let manifests = parse_documents(Path::new("a.yaml"), &text).unwrap();
    let model = Model::derive(&Config::from_manifests(manifests).unwrap());
    assert_eq!(Consumer::of(&model.distributions[0].shape()), expected);
}
