//! Kinds of values that may be generated for a key, for each way in which something reads it.

use std::path::Path;

use credence_core::manifest::parse_documents;
use rstest::rstest;

use super::{Alphabet, Document, Model, Notation, Password, ValueKind};
use crate::config::{Config, SourceRef};

const STORE: &str = "\
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: store}
spec: {provider: {kubernetes: {remoteNamespace: central}}}
";

/// A ClusterExternalSecret of this name and `distribution` that reads `reads`.
fn external_secret(name: &str, distribution: &str, reads: &str) -> String {
    format!(
        "---\napiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: {name}}}\nspec:\n  \
         namespaceSelectors: [{{}}]\n  externalSecretSpec:\n    secretStoreRef: {{kind: ClusterSecretStore, name: store}}\n    \
         target: {distribution}\n    {reads}\n"
    )
}

/// Reads the key `key` of the source `src` under the name `a`.
fn one(distribution: &str) -> String {
    external_secret("t", distribution, "data: [{secretKey: a, remoteRef: {key: src, property: key}}]")
}

fn templated(key: &str, template: &str) -> String {
    one(&format!("{{template: {{data: {{{key}: '{template}'}}}}}}"))
}

fn model(parts: &[String]) -> Model {
    let text = format!("{STORE}{}", parts.concat());
    Model::derive(&Config::from_manifests(parse_documents(Path::new("a.yaml"), &text).unwrap()).unwrap())
}

fn source() -> SourceRef {
    SourceRef::secret("central", "src")
}

/// Kinds by key, as `Debug` writes them.
fn kinds(parts: &[String]) -> Vec<(String, ValueKind)> {
    let model = model(parts);
    assert_eq!(model.unreadable(), []);
    model.value_kinds(&source()).into_iter().collect()
}

fn json(document: Document) -> ValueKind {
    ValueKind::Document(document, Notation::Json)
}

fn object(name: &str, document: Document) -> Document {
    Document::Object([(name.to_owned(), document)].into())
}

fn base64(kind: ValueKind) -> ValueKind {
    ValueKind::Base64(Alphabet::Standard, Box::new(kind))
}

fn docker(hosts: &[&str]) -> ValueKind {
    ValueKind::DockerConfig { hosts: hosts.iter().map(|host| (*host).to_owned()).collect() }
}

#[rstest]
#[case::taken_over(one("{}"), ValueKind::Bytes)]
#[case::taken_over_by_a_template(templated("b", "{{ .a }}"), ValueKind::Bytes)]
#[case::composed(templated("b", "x{{ .a }}"), ValueKind::Text)]
#[case::not_used(templated("b", "x"), ValueKind::Bytes)]
#[case::json(templated("b", "{{ (.a | fromJson).x.y }}"), json(object("x", object("y", Document::Any))))]
#[case::json_in_base64(templated("b", "{{ (.a | b64dec | fromJson).x }}"), base64(json(object("x", Document::Any))))]
#[case::base64_in_json(
    templated("b", "{{ (.a | fromJson).x | b64dec }}"),
    json(object("x", Document::Value(Box::new(base64(ValueKind::Text)))))
)]
#[case::encoded(templated("b", "{{ .a | b64enc }}"), ValueKind::Text)]
#[case::certificates(templated("b", "{{ .a | filterCertChain \"leaf\" }}"), ValueKind::Certificates)]
#[case::pem(templated("b", "{{ .a | filterPEM \"CERTIFICATE\" }}"), ValueKind::PemBundle)]
#[case::all_at_once(templated("b", "{{ . | toJson }}"), ValueKind::Text)]
#[case::label(one("{template: {metadata: {labels: {b: \"{{ .a }}\"}}}}"), ValueKind::Label)]
#[case::annotation(one("{template: {metadata: {annotations: {b: \"{{ .a }}\"}}}}"), ValueKind::Text)]
#[case::literal(one("{template: {templateFrom: [{literal: \"b: {{ .a }}\"}]}}"), ValueKind::Text)]
#[case::a_name_of_a_user(templated("username", "{{ .a }}"), ValueKind::UserName)]
#[case::a_name_of_a_password(templated("password", "{{ .a }}"), ValueKind::SomeText)]
#[case::an_ssh_key(templated("ssh-privatekey", "{{ .a }}"), ValueKind::SshPrivateKey)]
#[case::an_ssh_key_of_argo_cd(templated("sshPrivateKey", "{{ .a }}"), ValueKind::SshPrivateKey)]
#[case::a_pull_secret(
    one("{template: {type: kubernetes.io/dockerconfigjson, data: {.dockerconfigjson: \"{{ .a }}\"}}}"),
    docker(&[])
)]
#[case::a_copy_of_a_known_consumer(
    one("{template: {metadata: {labels: {kargo.akuity.io/cred-type: git}}, data: {repoURL: \"{{ .a }}\"}}}"),
    ValueKind::SomeText
)]
fn one_reader_tells_what_a_value_may_be(#[case] reader: String, #[case] expected: ValueKind) {
    assert_eq!(kinds(&[reader]), [("key".to_owned(), expected)]);
}

#[rstest]
#[case::base64("decodingStrategy: Base64", base64(ValueKind::Bytes))]
#[case::for_urls("decodingStrategy: Base64URL", ValueKind::Base64(Alphabet::UrlSafe, Box::new(ValueKind::Bytes)))]
#[case::by_chance("decodingStrategy: Auto", ValueKind::Bytes)]
#[case::metadata("metadataPolicy: Fetch, property: labels", ValueKind::Text)]
fn the_way_of_reading_tells_what_a_value_may_be(#[case] strategy: &str, #[case] expected: ValueKind) {
    let property = if strategy.contains("property") { "" } else { ", property: key" };
    let reads = format!("data: [{{secretKey: a, remoteRef: {{key: src, {strategy}{property}}}}}]");
    let manifest =
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: src, namespace: central}\nstringData: {key: ''}\n";
    assert_eq!(kinds(&[external_secret("t", "{}", &reads), manifest.to_owned()]), [("key".to_owned(), expected)]);
}

#[rstest]
#[case::dockerconfigjson("kubernetes.io/dockerconfigjson", ".dockerconfigjson", docker(&[]))]
#[case::dockercfg("kubernetes.io/dockercfg", ".dockercfg", ValueKind::DockerCfg)]
#[case::ssh("kubernetes.io/ssh-auth", "ssh-privatekey", ValueKind::SshPrivateKey)]
#[case::basic("kubernetes.io/basic-auth", "username", ValueKind::UserName)]
#[case::bootstrap("bootstrap.kubernetes.io/token", "token-id", ValueKind::Label)]
fn the_type_of_a_source_tells_what_a_value_may_be(
    #[case] secret_type: &str,
    #[case] key: &str,
    #[case] expected: ValueKind,
) {
    let manifest = format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: src, namespace: central}}\ntype: {secret_type}\n\
         stringData: {{{key}: ''}}\n"
    );
    let reads = format!("data: [{{secretKey: a, remoteRef: {{key: src, property: {key}}}}}]");
    assert_eq!(kinds(&[external_secret("t", "{}", &reads), manifest]), [(key.to_owned(), expected)]);
}

#[test]
fn the_password_of_a_file_is_a_key_beside_it_or_what_the_template_writes() {
    let reads = "data: [{secretKey: a, remoteRef: {key: src, property: file}}, {secretKey: p, remoteRef: {key: src, property: word}}]";
    let by_key = external_secret("t", "{template: {data: {b: '{{ .a | b64dec | pkcs12keyPass .p }}'}}}", reads);
    let file = base64(ValueKind::Pkcs12(Some(Password::Key("word".to_owned()))));
    let expected = [("file".to_owned(), file), ("word".to_owned(), ValueKind::Printable)];
    assert_eq!(kinds(&[by_key]), expected);
    let by_text = kinds(&[templated("b", "{{ .a | pkcs12certPass \"changeit\" }}")]);
    let written = Password::Text(credence_core::credential::Credential::new("changeit"));
    assert_eq!(by_text, [("key".to_owned(), ValueKind::Pkcs12(Some(written)))]);
}

#[rstest]
#[case::members(
    "{{ range $k, $v := .a | fromJson }}{{ $k }}={{ $v }}{{ end }}{{ (.a | fromJson).x }}",
    true,
    Some("x")
)]
#[case::elements("{{ range $i, $v := .a | fromJson }}{{ $v }}{{ end }}", false, None)]
fn what_is_gone_through_one_by_one_is_named_where_its_members_are(
    #[case] template: &str,
    #[case] is_by_name: bool,
    #[case] member: Option<&str>,
) {
    let named = member.map(|member| (member.to_owned(), Document::Any)).into_iter().collect();
    let expected = Document::Each { is_by_name, each: Box::new(Document::Any), named };
    assert_eq!(kinds(&[templated("b", template)]), [("key".to_owned(), json(expected))]);
}

#[test]
fn two_readers_of_one_key_are_both_served() {
    let one = templated("b", "{{ (.a | fromJson).x }}");
    let other = external_secret(
        "u",
        "{template: {data: {b: '{{ (.a | fromJson).y }}'}}}",
        "data: [{secretKey: a, remoteRef: {key: src, property: key}}]",
    );
    let both = Document::Object(["x", "y"].map(|name| (name.to_owned(), Document::Any)).into());
    assert_eq!(kinds(&[one, other]), [("key".to_owned(), json(both))]);
}

#[test]
fn the_first_of_two_readers_that_contradict_each_other_is_served() {
    let readers = ["{{ (.a | fromJson).x }}", "{{ .a | b64dec }}"].map(|template| templated("b", template));
    let second = readers[1].replace("name: t}", "name: u}");
    let model = model(&[readers[0].clone(), second]);
    assert_eq!(model.value_kinds(&source())["key"], json(object("x", Document::Any)));
    let told: Vec<String> = model.unreadable().iter().map(ToString::to_string).collect();
    let expected = "copies of u: key \"key\" of central/src is not generated for them, because it is read as a JSON \
                    document and as base64";
    assert_eq!(told, [expected]);
}

#[rstest]
#[case::pkcs12_with_a_password(
    "{{ .a | b64dec | pkcs12keyPass .p }}",
    "the password of a PKCS#12 file is no value of the same source as it is"
)]
#[case::pkcs12_with_a_part_for_password(
    "{{ .a | pkcs12keyPass (.a | fromJson).b }}",
    "pkcs12keyPass reads a form that this suite does not make"
)]
#[case::pkcs12_in_a_document(
    "{{ (.a | fromJson).b | pkcs12key }}",
    "it is read as text and as a PKCS#12 file without a password"
)]
#[case::jwk("{{ .a | jwkPrivateKeyPem }}", "jwkPrivateKeyPem reads a form that this suite does not make")]
#[case::a_part_of_a_text("{{ .a.b }}", "a template takes a part of a text")]
fn what_is_not_generated_makes_its_copies_unreadable(#[case] template: &str, #[case] why: &str) {
    let model = model(&[templated("b", template)]);
    let told: Vec<String> = model.unreadable().iter().map(|unreadable| unreadable.why.to_string()).collect();
    assert_eq!(told, [why]);
    assert_eq!(model.value_kinds(&source())["key"], ValueKind::Text);
}

#[rstest]
#[case::fields("doc.x.y", object("x", object("y", Document::Value(Box::new(ValueKind::Text)))))]
#[case::elements(
    "doc.x.1.y",
    object("x", Document::Array(2, Box::new(object("y", Document::Value(Box::new(ValueKind::Text))))))
)]
#[case::all_elements("doc.#.y", Document::Array(1, Box::new(object("y", Document::Value(Box::new(ValueKind::Text))))))]
fn a_path_tells_what_a_document_holds(#[case] property: &str, #[case] expected: Document) {
    let path = format!("data: [{{secretKey: a, remoteRef: {{key: src, property: '{property}'}}}}]");
    let manifest =
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: src, namespace: central}\nstringData: {doc: ''}\n";
    let found = kinds(&[external_secret("t", "{}", &path), manifest.to_owned()]);
    assert_eq!(found, [("doc".to_owned(), json(expected))]);
}

#[test]
fn a_path_that_is_not_understood_makes_its_copies_unreadable() {
    let path = "data: [{secretKey: a, remoteRef: {key: src, property: 'doc.#(x==\"y\").z'}}]";
    let unreadable = model(&[external_secret("t", "{}", path)]).unreadable();
    assert_eq!(unreadable[0].why.to_string(), "the path \"#(x==\\\"y\\\").z\" is not understood");
}

#[rstest]
#[case::of_a_template(
    "{template: {data: {url: 'pg://{{ .user }}:{{ .pass }}@h'}}}",
    "dataFrom: [{extract: {key: src}}]",
    &["pass", "user"]
)]
#[case::of_a_document(
    "{template: {data: {b: '{{ (.a | fromJson).token }}'}}}",
    "data: [{secretKey: a, remoteRef: {key: src}}]",
    &["token"]
)]
#[case::of_the_type("{template: {type: kubernetes.io/tls}}", "dataFrom: [{extract: {key: src}}]", &["tls.crt", "tls.key"])]
#[case::any("{}", "dataFrom: [{extract: {key: src}}]", &["first", "second"])]
#[case::of_a_template_that_reads_what_a_rewrite_keeps(
    "{template: {data: {b: '{{ .user }}'}}}",
    "dataFrom: [{extract: {key: src}, rewrite: [{regexp: {source: 'fqdn-(.*)', target: 'f_$1'}}]}]",
    &["user"]
)]
#[case::of_a_template_that_reads_what_a_rewrite_makes(
    "{template: {data: {b: '{{ .DB_USER }}'}}}",
    "dataFrom: [{extract: {key: src}, rewrite: [{regexp: {source: '^(.*)$', target: 'db_$1'}}, {transform: {template: '{{ .value | upper }}'}}]}]",
    &["user"]
)]
#[case::not_those_that_others_give(
    "{template: {data: {b: '{{ .user }}{{ .c }}'}}}",
    "data: [{secretKey: c, remoteRef: {key: other, property: c}}]\n    dataFrom: [{extract: {key: src}}]",
    &["user"]
)]
fn the_keys_of_a_source_that_is_in_no_manifest_follow_from_its_readers(
    #[case] distribution: &str,
    #[case] reads: &str,
    #[case] expected: &[&str],
) {
    let keys: Vec<String> =
        kinds(&[external_secret("t", distribution, reads)]).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, expected);
}

#[test]
fn tokens_of_the_control_plane_are_not_generated() {
    let manifest = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: src, namespace: central}\n\
                    type: kubernetes.io/service-account-token\n";
    let unreadable = model(&[one("{}"), manifest.to_owned()]).unreadable();
    assert!(unreadable[0].to_string().ends_with("writes Secrets of type kubernetes.io/service-account-token"));
}
