//! ExternalSecrets that the configuration itself has.

use super::*;
use crate::explain::explain;

/// A store of namespace `shop`, a central one for labelled namespaces, and one that takes the account of each namespace.
const OWN_STORES: &str = "\
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: own, namespace: shop}
spec:
  provider: {kubernetes: {remoteNamespace: shop-secrets, auth: {serviceAccount: {name: reader, namespace: elsewhere}}}}
  conditions: [{namespaces: [never]}]
---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: labelled}
spec:
  provider: {kubernetes: {remoteNamespace: central, auth: {serviceAccount: {name: central, namespace: central}}}}
  conditions: [{namespaceSelector: {matchLabels: {team: 'true'}}}]
---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: referent}
spec: {provider: {kubernetes: {remoteNamespace: central, auth: {serviceAccount: {name: each}}}}}
";

const REFERENT: &str = "{kind: ClusterSecretStore, name: referent}";

fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n")
}

fn account(name: &str, namespace: &str) -> String {
    format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {namespace}}}\n")
}

/// ExternalSecret `pull` of a namespace.
fn plain(namespace: &str, store: &str) -> String {
    format!(
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: pull, namespace: {namespace}}}\n\
         spec:\n  secretStoreRef: {store}\n  target: {{template: {{type: kubernetes.io/basic-auth, data: {{password: '{{{{ .t }}}}'}}}}}}\n\
         \x20 data: [{{secretKey: t, remoteRef: {{key: pat, property: token}}}}]\n"
    )
}

fn config(documents: &[String]) -> Config {
    let text = [&[OWN_STORES.to_owned()], documents].concat().join("---\n");
    Config::from_manifests(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap()
}

fn derived(documents: &[String]) -> Model {
    Model::derive(&config(documents))
}

/// Why nothing is judged of the only thing that is distributed.
fn unjudged(documents: &[String]) -> String {
    let model = derived(documents);
    assert!(model.distributions.is_empty(), "{:?}", model.distributions);
    let about = model.not_judged.iter().find(|one| one.distribution.is_some()).unwrap();
    assert_eq!(about.place.file, Path::new("all.yaml"));
    format!("{}: {}", about.field, about.reason)
}

#[test]
fn an_external_secret_is_a_distribution_to_its_own_namespace_through_its_own_store() {
    let model = derived(&[plain("shop", "{name: own}"), plain("blog", "{kind: ClusterSecretStore, name: labelled}")]);
    let [blog, shop] = model.distributions.as_slice() else { panic!("{:?}", model.distributions) };
    assert_eq!((shop.name.as_str(), shop.namespace(), shop.kind()), ("shop/pull", Some("shop"), "ExternalSecret"));
    assert_eq!((shop.external_secret.as_str(), shop.secret.as_str()), ("pull", "pull"));
    assert_eq!(shop.secret_type, "kubernetes.io/basic-auth");
    assert_eq!(shop.keys, ExpectedKeys::Exactly(set(&["password"])));
    assert_eq!(shop.verbatim["password"], (source("shop-secrets", "pat"), "token".to_owned()));
    let reader = shop.stores[0].kubernetes.as_ref().unwrap().service_account().unwrap();
    assert_eq!((shop.stores[0].name.as_str(), reader.namespace.as_deref()), ("shop/own", Some("shop")));
    assert_eq!(shop.written().literal("password"), None);
    assert_eq!(copies(&model, "shop:, blog:, other: team=true"), ["blog/pull by blog/pull", "shop/pull by shop/pull"]);
    assert_eq!(blog.named_ways(), [(set(&["blog"]), Labels::new())]);
    assert!(shop.opt_in_labels().is_empty() && model.label_vocabulary().is_empty());
}

#[test]
fn a_copy_beside_its_source_is_due_where_an_external_secret_asks_for_it() {
    let model = derived(&[plain("central", REFERENT), account("each", "central")]);
    assert_eq!(copies(&model, "central:"), ["central/pull by central/pull"]);
    assert!(conflicts(&model, "central:").is_empty());
}

#[test]
fn conditions_look_at_the_labels_of_the_configuration_or_at_those_that_are_assumed() {
    let store = "{kind: ClusterSecretStore, name: labelled}";
    let assumed = derived(&[plain("shop", store)]).assumed;
    assert_eq!(assumed, namespaces("shop: team=true"));
    let labelled = derived(&[plain("shop", store), namespace("shop", "team: 'true'")]);
    assert_eq!((labelled.distributions.len(), labelled.assumed.len()), (1, 0));
    let reason = unjudged(&[plain("shop", store), namespace("shop", "team: 'no'")]);
    assert!(
        reason.starts_with("spec.secretStoreRef: store labelled: its conditions do not admit namespace shop"),
        "{reason}"
    );
}

#[rstest]
#[case::absent_store("{name: absent}", "spec.secretStoreRef: SecretStore shop/absent is not in the configuration")]
#[case::absent_account(REFERENT, "and the configuration does not make it in shop")]
fn what_nobody_makes_is_not_judged_and_has_its_reason(#[case] store: &str, #[case] expected: &str) {
    let reason = unjudged(&[plain("shop", store)]);
    assert!(reason.contains(expected), "{reason}");
}

#[test]
fn what_makes_the_source_of_others_is_not_judged_and_these_are() {
    let maker = plain("shop-secrets", "{kind: ClusterSecretStore, name: labelled}");
    let model = derived(&[plain("shop", "{name: own}").replace("key: pat", "key: pull"), maker]);
    assert_eq!(model.distributions.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["shop/pull"]);
    let why = model.not_judged.iter().find(|one| one.distribution.as_deref() == Some("shop-secrets/pull")).unwrap();
    assert_eq!(why.field, "spec.target");
    assert_eq!(why.reason, "it makes a source of ExternalSecret shop/pull, which a run gives values of its own");
}

#[test]
fn a_store_of_another_provider_has_a_stand_in_that_knows_it_by_namespace_and_name() {
    let vault = "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: vault, namespace: shop}\n\
                 spec: {provider: {vault: {server: 'https://v.example'}}}\n";
    let model = derived(&[plain("shop", "{name: vault}"), vault.to_owned()]);
    let stand_in = model.distributions[0].stores[0].stand_in.as_ref().unwrap();
    assert_eq!((stand_in.store.as_str(), stand_in.provider.as_str()), ("shop/vault", "vault"));
    assert_eq!(model.sources.keys().collect::<Vec<_>>(), [&SourceRef::remote("shop/vault", "pat", None)]);
}

#[test]
fn a_referent_account_is_that_of_the_namespace_of_the_copy() {
    let model = derived(&[plain("shop", REFERENT), account("each", "shop")]);
    let taken = model.distributions[0].stores[0].kubernetes.as_ref().unwrap().service_account().unwrap();
    assert_eq!((taken.name.as_str(), taken.namespace.as_deref()), ("each", Some("shop")));
    let default = OWN_STORES.replace("name: each", "name: default");
    let text = [default, plain("shop", REFERENT)].join("---\n");
    let made_by_kubernetes = Config::from_manifests(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap();
    assert_eq!(Model::derive(&made_by_kubernetes).distributions.len(), 1);
}

#[test]
fn a_distribution_with_a_referent_account_needs_it_in_each_namespace() {
    let by_label = distributed("pull", "referent", TOKEN);
    let by_name = by_label.replace("namespaceSelectors: [{matchLabels: {pull: 'true'}}]", "namespaces: [a, b]");
    let both = [account("each", "a"), account("each", "b")];
    assert_eq!(derived(&[vec![by_name.clone()], both.to_vec()].concat()).distributions.len(), 1);
    let reason = unjudged(&[by_name, account("each", "b")]);
    assert!(reason.ends_with("the configuration does not make it in a"), "{reason}");
    let reason = unjudged(&[by_label, account("each", "b")]);
    assert!(
        reason.ends_with("namespaces of any name are selected, and the configuration makes it in b alone"),
        "{reason}"
    );
}

#[test]
fn both_forms_are_one_model() {
    let model = derived(&[distributed("pull", "labelled", TOKEN), plain("shop", "{name: own}")]);
    let names: Vec<&str> = model.distributions.iter().map(|distribution| distribution.name.as_str()).collect();
    assert_eq!(names, ["pull", "shop/pull"]);
    assert_eq!(conflicts(&model, "shop: pull=true team=true"), ["pull and shop/pull both write shop/pull"]);
    assert_eq!(model.sources.len(), 2);
}

#[test]
fn a_plain_external_secret_is_explained_with_its_namespace_its_store_and_its_keys() {
    let config = config(&[plain("shop", "{name: own}")]);
    let model = Model::derive(&config);
    let expected = "\
ExternalSecret shop/pull at all.yaml:20
  makes    Secret pull (kubernetes.io/basic-auth)
  for      namespace shop, whatever any selector says
  reads    Secret shop-secrets/pat through shop/own
  key      password: token of shop-secrets/pat, compared as bytes
";
    for name in ["shop/pull", "pull", "shop/own"] {
        let explained = explain(&config, &model, Some(name)).unwrap();
        assert!(explained.starts_with(expected), "{name}: {explained}");
    }
    let unread = explain(&config, &model, Some("shop/own")).unwrap();
    assert!(unread.contains("spec.conditions: the operator reads them of ClusterSecretStores alone"), "{unread}");
    let namespace = explain(&config, &model, Some("shop")).unwrap();
    assert_eq!(namespace, "Namespace shop\n  gets     Secret pull of ExternalSecret shop/pull\n");
}

#[test]
fn bindings_are_known_by_their_names_and_those_of_a_namespace_behind_it() {
    let binding = |kind: &str, metadata: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {metadata}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}\n"
        )
    };
    let model = derived(&[
        plain("shop", "{name: own}"),
        binding("RoleBinding", "{name: readers, namespace: shop}"),
        binding("ClusterRoleBinding", "{name: auditors}"),
    ]);
    assert_eq!(model.bindings, set(&["auditors", "shop/readers"]));
}
