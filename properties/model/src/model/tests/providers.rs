use super::*;

/// A store of another provider.
fn store(name: &str, provider: &str) -> String {
    format!(
        "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: {name}}}\nspec: {{provider: {{{provider}}}}}\n"
    )
}

const AWS: &str = "aws: {service: SecretsManager, region: eu-central-1}";

/// Model of one distribution through a store of AWS.
fn through_aws(spec: &str) -> Model {
    model(&[store("far", AWS), distributed("a", "far", spec)])
}

fn origins(model: &Model) -> Vec<String> {
    model.distributions[0].origins.iter().map(|(key, origin)| format!("{key}={origin}")).collect()
}

/// The sources, each with its keys.
fn keys(model: &Model) -> Vec<String> {
    let shown = |(source, about): (&SourceRef, &Source)| {
        format!("{source}: {}", about.keys.iter().map(String::as_str).collect::<Vec<_>>().join(","))
    };
    model.sources.iter().map(shown).collect()
}

#[rstest]
#[case::text("{key: prod/a b}", "prod/a b in store far: ", "t=prod/a b in store far")]
#[case::version("{key: k, version: v1}", "k at version v1 in store far: ", "t=k at version v1 in store far")]
#[case::property("{key: k, property: a.b}", "k in store far: a.b", "t=a.b of k in store far")]
#[case::query(
    "{key: k, property: 'l.#(n==\"x\").p'}",
    "k in store far: l.#(n==\"x\").p",
    "t=l.#(n==\"x\").p of k in store far"
)]
#[case::decoded("{key: k, decodingStrategy: Base64}", "k in store far: ", "t=k in store far decoded as Base64")]
fn a_value_at_a_provider_is_what_its_reference_names(#[case] remote: &str, #[case] source: &str, #[case] origin: &str) {
    let model = through_aws(&format!("    data: [{{secretKey: t, remoteRef: {remote}}}]\n"));
    assert_eq!(keys(&model), [source]);
    assert_eq!(origins(&model), [origin]);
    assert!(model.source_namespaces().is_empty() || !model.source_namespaces().contains(""));
}

#[test]
fn a_key_is_text_unless_somebody_reads_a_part_of_it() {
    let whole = "    data:\n    - {secretKey: w, remoteRef: {key: k}}\n";
    let kind = |model: &Model| model.value_kinds(&SourceRef::remote("far", "k", None));
    assert_eq!(kind(&through_aws(whole)), BTreeMap::from([(WHOLE.to_owned(), ValueKind::Text)]));
    let template = format!("{whole}    target: {{template: {{data: {{x: '{{{{ (.w | fromJson).a.b }}}}'}}}}}}\n");
    let document = kind(&through_aws(&template)).remove(WHOLE).unwrap();
    assert!(matches!(document, ValueKind::Document(Document::Object(_), Notation::Json)), "{document:?}");
    let both = through_aws(&format!("{whole}    - {{secretKey: p, remoteRef: {{key: k, property: a.b}}}}\n"));
    assert_eq!(keys(&both), ["k in store far: a.b"]);
    assert_eq!(origins(&both), ["p=a.b of k in store far", "w=all of k in store far as JSON"]);
}

#[rstest]
#[case::whole("    dataFrom: [{extract: {key: db}}]\n", "db in store far: password,user")]
#[case::of_another_version(
    "    dataFrom: [{extract: {key: db, version: v1}}]\n",
    "db at version v1 in store far: first,second"
)]
#[case::no_document("    dataFrom: [{extract: {key: plain}}]\n", "plain in store far: first,second")]
#[case::a_part(
    "    data: [{secretKey: t, remoteRef: {key: db, property: user.name}}]\n",
    "db in store far: password,user.name"
)]
#[case::one_value("    data: [{secretKey: t, remoteRef: {key: db}}]\n", "db in store far: ")]
#[case::found("    dataFrom: [{find: {name: {regexp: ^d}}}]\n", "found by name ^d in store far: db")]
fn a_store_that_has_its_values_in_itself_has_those_members(#[case] spec: &str, #[case] expected: &str) {
    let data = "[{key: db, value: '{\"user\": \"a\", \"password\": \"b\"}'}, {key: plain, value: a}]";
    let model = model(&[store("far", &format!("fake: {{data: {data}}}")), distributed("a", "far", spec)]);
    assert_eq!(keys(&model), [expected]);
}

#[rstest]
#[case::whole("", "k in store far: first,second")]
#[case::of_which_a_template_takes_members(
    "    target: {template: {data: {x: '{{ (.w | fromJson).user }}'}}}\n",
    "k in store far: user"
)]
fn a_secret_of_vault_is_a_document_even_if_no_property_of_it_is_named(
    #[case] distribution: &str,
    #[case] expected: &str,
) {
    let whole = format!("    data:\n    - {{secretKey: w, remoteRef: {{key: k}}}}\n{distribution}");
    let model = model(&[store("far", "vault: {server: 'https://v.example.org'}"), distributed("a", "far", &whole)]);
    assert_eq!(keys(&model), [expected]);
    if distribution.is_empty() {
        assert_eq!(origins(&model), ["w=all of k in store far as JSON"]);
    }
}

#[rstest]
#[case::extract("{extract: {key: k}}", &["first=first of k in store far", "second=second of k in store far"])]
#[case::converted("{find: {name: {regexp: '^x/.$'}}}", &["x_f", "x_s"])]
#[case::by_number("{find: {name: {regexp: '^x/a$'}, conversionStrategy: Unicode}}", &["x_U002f_a"])]
#[case::rewritten_first("{find: {name: {regexp: '^x/.$'}}, rewrite: [{regexp: {source: 'x/', target: 'y.'}}]}", &["y.f", "y.s"])]
#[case::by_tags("{find: {tags: {a: b}}}", &["first", "second"])]
fn keys_are_made_as_the_provider_and_the_controller_make_them(#[case] entry: &str, #[case] expected: &[&str]) {
    let model = through_aws(&format!("    dataFrom: [{entry}]\n"));
    let ExpectedKeys::Exactly(made) = &model.distributions[0].keys else { panic!("{:?}", model.not_judged) };
    let names: Vec<&str> = expected.iter().map(|one| one.split_once('=').map_or(*one, |(name, _)| name)).collect();
    assert_eq!(Vec::from_iter(made), names);
    assert!(
        expected
            .iter()
            .filter(|one| one.contains('='))
            .eq(origins(&model).iter().filter(|_| expected[0].contains('=')))
    );
}

#[test]
fn a_provider_that_converts_names_does_so_before_they_are_rewritten() {
    let spec = "    dataFrom: [{find: {name: {regexp: '^x/.$'}}, rewrite: [{regexp: {source: 'x_', target: 'y.'}}]}]\n";
    let model = model(&[store("far", "gcpsm: {projectID: p}"), distributed("a", "far", spec)]);
    assert_eq!(model.distributions[0].keys, ExpectedKeys::Exactly(set(&["y.f", "y.s"])));
}

#[test]
fn two_keys_that_a_rewrite_makes_one_are_not_judged() {
    let spec = "    dataFrom: [{find: {name: {regexp: '^x/.$'}}, rewrite: [{regexp: {source: '.+', target: all}}]}]\n";
    let model = through_aws(spec);
    assert!(model.distributions[0].origins.is_empty());
    assert!(
        model.not_judged.iter().any(|one| one.reason.contains("several values get this key")),
        "{:?}",
        model.not_judged
    );
}

#[rstest]
#[case::refused_search(
    "webhook: {url: 'https://x', result: {}}",
    "    dataFrom: [{find: {name: {regexp: a}}}]\n",
    "knows no search"
)]
#[case::no_such_name(AWS, "    dataFrom: [{find: {path: b, name: {regexp: '^a$'}}}]\n", "no name is known")]
#[case::write_only(
    "github: {appID: 1, installationID: 2, organization: o, auth: {privateKey: {name: app, key: pem}}}",
    TOKEN,
    "only writes"
)]
fn copies_that_the_provider_could_not_give_are_not_judged(
    #[case] provider: &str,
    #[case] spec: &str,
    #[case] why: &str,
) {
    let model = model(&[store("far", provider), distributed("a", "far", spec)]);
    assert!(model.distributions.is_empty());
    assert!(model.not_judged.iter().any(|one| one.reason.contains(why)), "{:?}", model.not_judged);
}

#[test]
fn a_store_says_what_stands_in_and_what_that_leaves_unjudged() {
    let model = through_aws(TOKEN);
    let [one] = &model.not_judged[..] else { panic!("{:?}", model.not_judged) };
    assert_eq!((one.place.object.as_str(), one.field.as_str()), ("ClusterSecretStore far", "spec.provider.aws"));
    assert!(one.reason.contains("rights at the provider, its audit"), "{one}");
}
