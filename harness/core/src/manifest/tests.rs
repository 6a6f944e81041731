use std::error::Error;
use std::path::Path;

use rstest::rstest;
use serde_json::json;

use super::{Manifest, ManifestError, parse_documents, parse_program_configuration, reject_duplicates};

fn parse(text: &str) -> Result<Vec<Manifest>, ManifestError> {
    parse_documents(Path::new("dir/some.yaml"), text)
}

/// Everything a report would print of an error.
fn chain(error: &ManifestError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n";

#[test]
fn each_document_knows_its_file_and_first_line() {
    let text = "# A comment.\n---\n\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: o}\n--- # more\n\
                apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n---\n---\n# Nothing.\n...\n";
    let manifests = parse(text).unwrap();
    let shown: Vec<String> = manifests.iter().map(|manifest| format!("{manifest:?}")).collect();
    assert_eq!(shown, ["Secret o/a at dir/some.yaml:4", "Deployment b at dir/some.yaml:8"]);
    assert_eq!((manifests[0].group(), manifests[0].version()), ("", "v1"));
    assert_eq!((manifests[1].group(), manifests[1].version()), ("apps", "v1"));
}

#[rstest]
#[case::crlf(
    "apiVersion: v1\r\nkind: Pod\r\nmetadata: {name: a}\r\n---\r\n\
     apiVersion: v1\r\nkind: Pod\r\nmetadata: {name: b}\r\n",
    2
)]
#[case::directive("%YAML 1.2\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", 1)]
#[case::content_on_the_marker_line("--- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n", 1)]
#[case::marker_inside_a_block_scalar(
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n    x: |\n      ---\n      y\n",
    1
)]
#[case::list(
    "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n\
     - {apiVersion: v1, kind: Pod, metadata: {name: b}}\n",
    2
)]
#[case::null_document("null\n---\n~\n", 0)]
#[case::audit_policy_of_the_api_server("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []\n", 0)]
#[case::encryption_configuration_of_the_api_server(
    "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: []\n",
    0
)]
#[case::kind_cluster("apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\n", 0)]
fn document_count(#[case] text: &str, #[case] objects: usize) {
    assert_eq!(parse(text).unwrap().len(), objects);
}

#[test]
fn anchors_merges_and_scalar_keys_become_json() {
    let text = format!("{POD}a: &a {{x: 1, y: true}}\nb: {{<<: *a, x: 2.5}}\nc: {{8080: yes}}\n");
    let object = &parse(&text).unwrap()[0].object;
    assert_eq!(object["b"], json!({"x": 2.5, "y": true}));
    assert_eq!(object["c"], json!({"8080": true}));
}

#[rstest]
#[case::bad_indentation("# First.\nstringData:\n  token: hunter2\n bad: hunter2\n", 9)]
#[case::open_quote("stringData:\n  token: \"hunter2\n", 8)]
fn invalid_yaml_is_located_in_the_file_and_not_shown(#[case] text: &str, #[case] line: usize) {
    let shown = chain(&parse(&format!("{POD}---\n{text}")).unwrap_err());
    assert!(shown.starts_with(&format!("failed to parse YAML at dir/some.yaml:{line}:")), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[rstest]
#[case::no_api_version("kind: Pod\nmetadata: {name: hunter2}\n", "7:1", "no apiVersion")]
#[case::no_kind("apiVersion: v1\nmetadata: {name: hunter2}\n", "7:1", "no kind")]
#[case::no_name("apiVersion: v1\nkind: Pod\nmetadata: {generateName: hunter2}\n", "9:1", "no metadata.name")]
#[case::numeric_name("apiVersion: v1\nkind: Pod\nmetadata: {name: 1}\n", "9:12", "no metadata.name")]
#[case::text("hunter2\n", "7:1", "no fields")]
#[case::sequence("- hunter2\n", "7:1", "no fields")]
#[case::own_tag("a: !vault hunter2\n", "7:1", "tag of its own")]
#[case::not_a_number("a: .nan\n", "7:1", "not finite")]
fn what_is_no_object_is_refused_without_showing_it(#[case] text: &str, #[case] at: &str, #[case] reason: &str) {
    let shown = chain(&parse(&format!("{POD}---\n\n{text}")).unwrap_err());
    assert!(shown.contains(&format!("dir/some.yaml:{at} ")) && shown.contains(reason), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn duplicates_of_two_directories_may_be_of_two_environments() {
    let text = "apiVersion: v1\nkind: A\nmetadata: {name: a}\n";
    let both = ["tree/dev/a.yaml", "tree/prod/a.yaml"].map(|file| parse_documents(Path::new(file), text).unwrap());
    assert_eq!(
        reject_duplicates(&both.concat()).unwrap_err().to_string(),
        "A a is written twice, at tree/dev/a.yaml:3:12 and at tree/prod/a.yaml:3:12; remove one, give the directory of one of \
         them alone, or give it another name"
    );
}

#[test]
fn duplicates_name_both_places_whatever_their_version() {
    let text =
        "apiVersion: x.io/v1\nkind: A\nmetadata: {name: a}\n---\napiVersion: x.io/v2\nkind: A\nmetadata: {name: a}\n";
    assert_eq!(
        parse(text).unwrap_err().to_string(),
        "A a is written twice, at dir/some.yaml:3:12 and at dir/some.yaml:7:12; remove one, or give it another name"
    );
    let twins = "apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: m}\n---\n\
                 apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: o}\n";
    assert_eq!(parse(twins).unwrap().len(), 2);
}

#[test]
fn json_is_located_by_its_own_lines_and_not_shown() {
    let text = "{\n \"token\": \"hunter2\"\n \"x\": 1}";
    let shown = chain(&parse_documents(Path::new("a.json"), text).unwrap_err());
    assert!(shown.starts_with("failed to parse JSON at a.json:3:2: "), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn what_a_program_reads_at_its_start_is_parsed_apart_and_needs_no_name() {
    let text = format!("{POD}---\napiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []\n");
    let files = parse_program_configuration(Path::new("audit.yaml"), &text).unwrap();
    let shown: Vec<String> = files.iter().map(|file| format!("{file:?}")).collect();
    assert_eq!(shown, ["Policy at audit.yaml:6"]);
    assert_eq!(parse(&text).unwrap().len(), 1);
}

#[rstest]
#[case::repeated_key(
    "kind: Secret\nstringData:\n  token: hunter2\n  token: hunter2\n",
    "failed to read dir/some.yaml:8:3: stringData.token is written twice in one mapping, first in line 7; keep one of them"
)]
#[case::template_of_helm(
    "kind: Secret\nmetadata:\n  name: {{ .Values.name }}\n",
    "failed to read dir/some.yaml:7:9: a template of Helm stands here, which nothing has rendered; give the directory with its \
     Chart.yaml as the configuration"
)]
#[case::action_of_helm(
    "{{- if .Values.enabled }}\nkind: Secret\n{{- end }}\n",
    "failed to read dir/some.yaml:5:1: a template of Helm stands here, which nothing has rendered; give the directory with its \
     Chart.yaml as the configuration"
)]
#[case::template_without_quotes(
    "kind: Secret\nstringData:\n  token: {{ .hunter2 }}\n",
    "failed to read dir/some.yaml:7:11: {{ … }} without quotes is no text; quote it if External Secrets Operator is to fill it \
     in, and if another program is, run that first and give its output as the configuration"
)]
#[case::encrypted_whole(
    "apiVersion: ENC[AES256_GCM,data:x]\nkind: ENC[AES256_GCM,data:y]\nsops: {}\n",
    "failed to read dir/some.yaml:6:1: the kind is encrypted by SOPS; encrypt the values only \
     (`sops encrypt --encrypted-regex '^(data|stringData)$'`), or give the decrypted file outside of version control"
)]
#[case::no_kind(
    "apiVersion: v1\nmetadata: {name: hunter2}\n",
    "document at dir/some.yaml:5:1 is no Kubernetes object: it has no kind; if it is not meant to be one, keep the file outside \
     of the configuration, or begin its name with a dot"
)]
fn bad_documents_are_refused_with_their_place_and_what_to_do(#[case] text: &str, #[case] refusal: &str) {
    // Without the marker, so that a document that starts with a template is the whole file behind it.
    let text = format!(
        "{}{text}",
        POD.replace("name: a\n", "name: a\n---\n")
            .replace("kind: Pod\nmetadata:\n  name: a", "kind: Pod\nmetadata: {name: a}")
    );
    assert_eq!(chain(&parse(&text).unwrap_err()), refusal);
}

#[rstest]
#[case::tab("a:\n\tb: c\n", "a line begins with a tab: YAML takes spaces only")]
#[case::unfinished_merge("a: b\n<<<<<<< HEAD\n", "a merge was left unfinished: the file has its markers")]
fn usual_faults_of_yaml_are_named(#[case] text: &str, #[case] hint: &str) {
    let shown = chain(&parse(text).unwrap_err());
    assert!(shown.contains(hint), "{shown}");
}

#[test]
fn objects_of_a_list_have_places_of_their_own() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: a\n- apiVersion: v1\n  \
                kind: Pod\n  metadata:\n    name: b\n";
    let manifests = parse(text).unwrap();
    let shown: Vec<String> = manifests.iter().map(|manifest| format!("{manifest:?}")).collect();
    assert_eq!(shown, ["Pod a at dir/some.yaml:4", "Pod b at dir/some.yaml:8"]);
    assert_eq!(manifests[1].location("/metadata/name").to_string(), "dir/some.yaml:11:5");
    assert_eq!(manifests[1].location("/metadata/labels/a").to_string(), "dir/some.yaml:10:3");
}

#[rstest]
#[case::stream(
    "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"}}\n{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"b\"}}",
    2
)]
#[case::flow_style(
    "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: b}}\n",
    2
)]
fn json_is_told_by_its_first_character_and_not_by_the_name_of_the_file(#[case] text: &str, #[case] objects: usize) {
    assert_eq!(parse_documents(Path::new("a.yaml"), text).unwrap().len(), objects);
}

#[test]
fn objects_of_a_stream_of_json_have_places_of_their_own() {
    let text = "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"}}\n\n{\"apiVersion\": \"v1\",\n \
                \"kind\": \"Pod\", \"metadata\": {\"name\": \"b\"}}";
    let manifests = parse_documents(Path::new("a.json"), text).unwrap();
    assert_eq!(manifests[1].location("/metadata").to_string(), "a.json:4:17");
    let repeated = text.replace("\"metadata\": {\"name\": \"b\"}", "\"kind\": \"Pod\"");
    let shown = parse_documents(Path::new("a.json"), &repeated).unwrap_err().to_string();
    assert!(shown.starts_with("failed to read a.json:4:17: kind is written twice"), "{shown}");
}

#[test]
fn the_namespace_that_kubectl_takes_makes_the_same_object() {
    let twins = "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\napiVersion: v1\nkind: A\nmetadata: {name: a, namespace: default}\n";
    assert!(parse(twins).is_err());
    let stamped = "apiVersion: v1\nkind: ClusterRole\nmetadata: {name: a, namespace: m}\n---\n\
                   apiVersion: v1\nkind: ClusterRole\nmetadata: {name: a, namespace: o}\n";
    assert!(parse(stamped).is_err());
}

#[test]
fn a_rendered_object_is_where_it_is_written_and_its_changes_where_they_are() {
    let read = |file: &str, text: &str| parse_documents(Path::new(file), text).unwrap().remove(0);
    let written = read("pod.yaml", "# A.\napiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  a: 1\n");
    let patch = read("patch.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {b: 2}\n");
    let mut rendered = read("dir", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  a: 1\n  b: 2\n  c: 3\n");
    assert_eq!(rendered.location("/spec/b").to_string(), "dir:7:3");
    rendered.came_from(&[&written, &patch]);
    let located = |pointer: &str| rendered.location(pointer).to_string();
    assert_eq!(located(""), "pod.yaml:2:1");
    assert_eq!(
        [located("/spec/a"), located("/spec/b"), located("/spec/c")],
        ["pod.yaml:7:3", "patch.yaml:4:8", "pod.yaml:6:1"]
    );
}
