//! Keys of a copy.

use super::*;

#[rstest]
#[case::no_template("", &["t"])]
#[case::template_of_a_type_alone("    target: {template: {type: Opaque}}\n", &["t"])]
#[case::template("    target: {template: {data: {a: x, b: z}}}\n", &["a", "b"])]
#[case::template_beside_values("    target: {template: {mergePolicy: Merge, data: {a: x}}}\n", &["a", "t"])]
#[case::template_elsewhere(
    "    target: {template: {templateFrom: [{literal: \"f: '{{ .t }}'\\ng: a\"}]}}\n",
    &["f", "g"]
)]
#[case::metadata("    dataFrom: [{extract: {key: cert, metadataPolicy: Fetch}}]\n", &["annotations", "labels", "t"])]
#[case::search_by_label("    dataFrom: [{find: {tags: {share: 'true'}}}]\n", &["t"])]
#[case::renamed_whole_source(
    "    dataFrom: [{extract: {key: cert}, rewrite: [{regexp: {source: 'tls', target: ssl}}]}]\n",
    &["ssl.crt", "ssl.key", "t"]
)]
#[case::template_elsewhere_for_labels(
    "    target: {template: {data: {a: x}, templateFrom: [{target: Labels, literal: x}]}}\n",
    &["a"]
)]
#[case::whole_source("    dataFrom: [{extract: {key: cert}}]\n", &["t", "tls.crt", "tls.key"])]
#[case::rewritten_source_behind_a_template(
    "    dataFrom: [{extract: {key: cert}, rewrite: [{regexp: {source: a, target: b}}]}]
    target: {template: {data: {a: x}}}
",
    &["a"]
)]
fn keys_of_a_copy_are_exact(#[case] spec: &str, #[case] keys: &[&str]) {
    let model = model(&[distributed("docker", "open", &format!("{TOKEN}{spec}")), certificate("central")]);
    assert_eq!(model.distributions[0].keys, ExpectedKeys::Exactly(set(keys)));
}

#[rstest]
#[case::search_by_name(
    "    dataFrom: [{find: {name: {regexp: x}}}]
---
apiVersion: v1
kind: Secret
metadata: {name: x, namespace: central}
",
    "dataFrom[0].find.name: whatever else"
)]
#[case::rewrite(
    "    data: [{secretKey: a, remoteRef: {key: x, property: a}}]
    dataFrom: [{extract: {key: x}, rewrite: [{regexp: {source: '[a&&b]', target: b}}]}]\n",
    "dataFrom[0].rewrite: the expression"
)]
#[case::part_of_a_value("    dataFrom: [{extract: {key: x, property: json}}]\n", "those of a JSON document")]
#[case::rendered_keys(
    "    data: [{secretKey: a, remoteRef: {key: x, property: a}}]
    target: {template: {templateFrom: [{literal: '{{ .a }}: b'}]}}\n",
    "target.template.templateFrom[0].literal: an action of the template makes keys"
)]
fn keys_that_only_the_controller_knows_are_unknown(#[case] spec: &str, #[case] reason: &str) {
    let distribution = only(distributed("docker", "open", spec));
    let ExpectedKeys::Unknown { why } = distribution.keys else {
        panic!("{:?}", distribution.keys);
    };
    assert!(why.contains(reason), "{why}");
}

#[rstest]
#[case::no_template("", &["t from token"])]
#[case::value("    target: {template: {data: {a: '{{ .t }}', b: '{{ index . \"t\" }}'}}}\n", &["a from token", "b from token"])]
#[case::composed("    target: {template: {data: {a: 'x{{ .t }}', b: '{{ .t | b64enc }}', c: '{{ .t }}{{ .t }}'}}}\n", &[])]
#[case::of_nothing_that_is_read("    target: {template: {data: {a: '{{ .other }}'}}}\n", &[])]
#[case::whole_source(
    "    dataFrom: [{extract: {key: cert}}]\n",
    &["t from token", "tls.crt from tls.crt", "tls.key from tls.key"]
)]
#[case::decoded("    dataFrom: [{extract: {key: cert, decodingStrategy: Auto}}]\n", &["t from token"])]
#[case::renamed(
    "    dataFrom: [{extract: {key: cert}, rewrite: [{regexp: {source: tls, target: ssl}}]}]\n",
    &["ssl.crt from tls.crt", "ssl.key from tls.key", "t from token"]
)]
#[case::converted("    dataFrom: [{extract: {key: cert, conversionStrategy: Unicode}}]\n", &[
    "t from token",
    "tls.crt from tls.crt",
    "tls.key from tls.key"
])]
#[case::template_elsewhere_of_a_value(
    "    target: {template: {templateFrom: [{literal: 'a: \"Bearer {{ .t }}\"'}]}}\n",
    &[]
)]
fn keys_that_hold_a_value_as_it_is_are_told(#[case] spec: &str, #[case] expected: &[&str]) {
    let model = model(&[distributed("docker", "open", &format!("{TOKEN}{spec}")), certificate("central")]);
    let verbatim = model.distributions[0].verbatim.iter();
    let told: Vec<String> = verbatim.map(|(key, (_, property))| format!("{key} from {property}")).collect();
    assert_eq!(told, expected);
}
