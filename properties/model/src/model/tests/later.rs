//! Fields that only versions of the operator from 1.0 on take. Their definitions let it pass, which the pinned ones do not.

use std::time::Duration;

use super::*;
use crate::config::TemplateTarget;
use crate::lint::{self, Context};

fn configuration(documents: &[String]) -> Config {
    let text = [&[STORES.to_owned()], documents].concat().join("---\n");
    Config::of_checked(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap()
}

/// The same in a namespace of one name.
fn in_shop(spec: &str) -> String {
    distributed("a", "open", spec).replace("namespaceSelectors: [{matchLabels: {a: 'true'}}]", "namespaces: [shop]")
}

#[rstest]
#[case::not_at_all("null", 300)]
#[case::by_default("0", 300)]
#[case::in_seconds("7", 7)]
#[case::as_a_duration("1h30m", 5400)]
#[case::as_a_duration_of_nothing("0s", 300)]
fn a_store_is_looked_at_as_often_as_it_says(#[case] interval: &str, #[case] seconds: u64) {
    let stores = STORES.replace("spec: {provider", &format!("spec: {{refreshInterval: {interval}, provider"));
    let text = format!("{stores}---\n{}", distributed("a", "open", TOKEN));
    let config = Config::of_checked(parse_documents(Path::new("all.yaml"), &text).unwrap()).unwrap();
    assert_eq!(config.stores["open"].validated_every(), Duration::from_secs(seconds));
}

#[rstest]
#[case::in_other_letters("data", TemplateTarget::Data)]
#[case::of_all_versions("Annotations", TemplateTarget::Annotations)]
#[case::a_path("metadata.ownerReferences", TemplateTarget::Path)]
fn a_template_may_go_anywhere(#[case] target: &str, #[case] expected: TemplateTarget) {
    let from = format!("{{target: {target}, literal: 'a: b'}}");
    let spec = format!("{TOKEN}    target: {{template: {{templateFrom: [{from}]}}}}\n");
    let config = configuration(&[distributed("a", "open", &spec)]);
    let template = config.cluster_external_secrets[0].spec.external_secret_spec.target.template.as_ref().unwrap();
    assert_eq!(template.template_from[0].target, expected);
}

#[test]
fn what_makes_another_kind_than_secrets_is_not_judged() {
    let spec = format!("{TOKEN}    target: {{manifest: {{apiVersion: v1, kind: ConfigMap}}}}\n");
    let model = Model::derive(&configuration(&[distributed("a", "open", &spec)]));
    assert!(model.distributions.is_empty(), "{:?}", model.distributions);
    let told = &model.not_judged[0];
    assert!(told.field.ends_with("target.manifest") && told.reason.contains("makes a ConfigMap"), "{told}");
}

#[rstest]
#[case::merge("Merge")]
#[case::create_or_merge("CreateOrMerge")]
fn a_policy_that_merges_keeps_the_keys_of_the_secret_that_is_there(#[case] policy: &str) {
    let spec = format!("{TOKEN}    target: {{name: joined, creationPolicy: {policy}}}\n");
    let there = "apiVersion: v1\nkind: Secret\nmetadata: {name: joined, namespace: shop}\nstringData: {old: b}\n";
    let model = Model::derive(&configuration(&[in_shop(&spec), there.to_owned()]));
    assert_eq!(model.distributions[0].kept, set(&["old"]));
    assert_eq!(model.distributions[0].keys, ExpectedKeys::Exactly(set(&["old", "t"])));
}

#[rstest]
#[case::left_behind("creationPolicy: CreateOrMerge", &["creation-policy-orphan"])]
#[case::refused("creationPolicy: CreateOrMerge, deletionPolicy: Delete", &["creation-policy-orphan", "deletion-policy-without-owner"])]
fn lint_warns_of_what_a_policy_leaves_behind_or_refuses(#[case] target: &str, #[case] expected: &[&str]) {
    let config = configuration(&[distributed("a", "open", &format!("{TOKEN}    target: {{{target}}}\n"))]);
    let model = Model::derive(&config);
    let findings = lint::check(&Context { config: &config, model: &model, control_plane: &[] });
    let policies = ["creation-policy-orphan", "deletion-policy-without-owner"];
    let found: BTreeSet<&str> =
        findings.iter().map(|finding| finding.rule).filter(|id| policies.contains(id)).collect();
    assert!(found.iter().eq(expected), "{found:?}");
}

#[rstest]
#[case::rendered("", true)]
#[case::rendered_and_decoded("valuesDecodingStrategy: Base64, ", false)]
fn a_value_that_is_decoded_once_more_is_not_the_one_that_was_read(#[case] decoding: &str, #[case] is_known: bool) {
    let template =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: templates, namespace: shop}\ndata: {t: '{{ .t }}'}\n";
    let from = format!("{decoding}configMap: {{name: templates, items: [{{key: t}}]}}");
    let spec = format!("{TOKEN}    target: {{template: {{templateFrom: [{{{from}}}]}}}}\n");
    let model = Model::derive(&configuration(&[in_shop(&spec), template.to_owned()]));
    let origins = &model.distributions[0].origins;
    assert_eq!(origins.contains_key("t"), is_known, "{origins:?}");
}

#[rstest]
#[case::refused("nullBytePolicy: Fail", ValueKind::Printable)]
#[case::taken("nullBytePolicy: Ignore", ValueKind::Bytes)]
#[case::refused_once_decoded(
    "nullBytePolicy: Fail, decodingStrategy: Base64",
    ValueKind::Base64(Alphabet::Standard, Box::new(ValueKind::Printable))
)]
fn values_have_no_nul_byte_where_one_is_refused(#[case] policy: &str, #[case] expected: ValueKind) {
    let spec = format!("    data: [{{secretKey: a, remoteRef: {{key: src, property: key, {policy}}}}}]\n");
    let model = Model::derive(&configuration(&[distributed("a", "open", &spec)]));
    assert_eq!(model.value_kinds(&source("central", "src")), [("key".to_owned(), expected)].into());
}
