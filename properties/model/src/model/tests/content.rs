use credence_core::credential::Credential;
use credence_core::formats::KUBELET;

use super::*;
use crate::config::DecodingStrategy;

/// A source with these keys.
fn secret(name: &str, keys: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: central}}\nstringData: {{{keys}}}\n")
}

/// Parts that are not judged of one ClusterExternalSecret, without the places.
fn unjudged(model: &Model) -> Vec<String> {
    let shown = |one: &NotJudged| {
        let keys: Vec<&str> = one.keys.iter().map(String::as_str).collect();
        format!("{} [{}] {}", one.field.trim_start_matches("spec.externalSecretSpec."), keys.join(" "), one.reason)
    };
    model.not_judged.iter().map(shown).collect()
}

#[rstest]
#[case::a_key("password", "password of central/pat")]
#[case::a_key_with_a_dot("tls.crt", "tls.crt of central/pat")]
#[case::a_path("json.logins.0.name", "logins.0.name in json of central/pat")]
#[case::a_key_that_nobody_wrote_down("more.of", "more.of of central/pat")]
#[case::a_path_into_one_that_nobody_wrote_down("more.of/it", "?")]
#[case::a_query("json.logins.#(name==\"a\").token", "?")]
fn a_property_is_a_key_or_a_path_into_one(#[case] property: &str, #[case] expected: &str) {
    let spec = format!("    data: [{{secretKey: a, remoteRef: {{key: pat, property: '{property}'}}}}]\n");
    let model = model(&[distributed("a", "open", &spec), secret("pat", "json: a, tls.crt: b")]);
    let origin = model.distributions[0].origins.get("a").map_or_else(|| "?".to_owned(), ToString::to_string);
    assert_eq!(origin, expected);
    assert_eq!(unjudged(&model).is_empty(), expected != "?", "{:?}", unjudged(&model));
}

#[test]
fn a_path_reads_the_key_before_it() {
    let spec = "    data: [{secretKey: a, remoteRef: {key: pat, property: json.name}}]\n";
    let model = model(&[distributed("a", "open", spec), secret("pat", "json: a")]);
    assert_eq!(model.sources[&source("central", "pat")].keys, set(&["json"]));
    assert_eq!(model.distributions[0].fields[0].property.as_deref(), Some("json"));
}

#[rstest]
#[case::whole("{key: pat}", Some("all of central/pat as JSON"))]
#[case::decoded("{key: pat, property: a, decodingStrategy: Base64}", Some("a of central/pat decoded as Base64"))]
#[case::whole_and_decoded("{key: pat, decodingStrategy: Auto}", Some("all of central/pat as JSON"))]
#[case::metadata("{key: pat, property: labels.a, metadataPolicy: Fetch}", None)]
fn a_reference_is_a_function_of_the_source(#[case] remote: &str, #[case] expected: Option<&str>) {
    let spec = format!("    data: [{{secretKey: a, remoteRef: {remote}}}]\n");
    let model = model(&[distributed("a", "open", &spec)]);
    assert_eq!(model.distributions[0].origins.get("a").map(ToString::to_string).as_deref(), expected);
    let reasons = unjudged(&model).concat();
    assert_eq!(reasons.contains("data[0].remoteRef [a] metadataPolicy Fetch"), expected.is_none(), "{reasons}");
    let keys = &model.sources[&source("central", "pat")].keys;
    assert!(!keys.contains("labels.a"), "{keys:?}");
}

#[test]
fn a_decoding_is_of_what_was_rewritten() {
    let spec = "    dataFrom: [{extract: {key: pat, decodingStrategy: Base64URL}, rewrite: [{regexp: {source: a, target: b}}]}]\n";
    let model = model(&[distributed("a", "open", spec), secret("pat", "a: x")]);
    let of = Box::new(Origin::value(&source("central", "pat"), "a"));
    let expected = Origin::Decoded { of, strategy: DecodingStrategy::Base64Url };
    assert_eq!(model.distributions[0].origins, BTreeMap::from([("b".to_owned(), expected)]));
    assert_eq!(model.distributions[0].verbatim, BTreeMap::new());
}

/// A generator of the whole cluster.
fn generator(kind: &str, spec: &str) -> String {
    format!(
        "apiVersion: generators.external-secrets.io/v1alpha1\nkind: ClusterGenerator\nmetadata: {{name: g}}\n\
         spec: {{kind: {kind}, generator: {spec}}}\n"
    )
}

/// A value of a source, what a generator makes, and a key of its own.
const GENERATED: &str = "    dataFrom:
    - {extract: {key: pat}}
    - {sourceRef: {generatorRef: {kind: ClusterGenerator, name: g}}REWRITE}
    data: [{secretKey: b, remoteRef: {key: pat, property: a}}]
";

#[test]
fn what_a_generator_makes_may_replace_what_came_before() {
    let spec = GENERATED.replace("REWRITE", "");
    let made = generator(
        "VaultDynamicSecret",
        "{vaultDynamicSecretSpec: {path: p, provider: {server: 'https://v.example.org', auth: {}}}}",
    );
    let model = model(&[distributed("a", "open", &spec), secret("pat", "a: x"), made]);
    assert_eq!(Vec::from_iter(model.distributions[0].origins.keys()), ["b"]);
    assert_eq!(
        unjudged(&model),
        ["dataFrom[1].sourceRef.generatorRef [] what generator ClusterGenerator g makes follows from no source"]
    );
    assert!(matches!(model.distributions[0].keys, ExpectedKeys::Unknown { .. }));
}

#[test]
fn of_what_differs_each_time_the_keys_are_known() {
    let spec = GENERATED.replace("REWRITE", ", rewrite: [{regexp: {source: '^', target: db-}}]");
    let made = generator("Password", "{passwordSpec: {length: 8, allowRepeat: true, noUpper: false}}");
    let model = model(&[distributed("a", "open", &spec), secret("pat", "a: x"), made]);
    assert_eq!(model.distributions[0].keys, ExpectedKeys::Exactly(set(&["a", "b", "db-password"])));
    assert_eq!(Vec::from_iter(model.distributions[0].origins.keys()), ["a", "b"]);
    assert_eq!(model.distributions[0].sources().len(), 1);
    assert!(unjudged(&model)[0].contains("differs each time"), "{:?}", unjudged(&model));
}

#[rstest]
#[case::as_it_is("GENERATOR", &["secret is token of central/pat"])]
#[case::under_another_name("GENERATOR
    target: {template: {data: {password: '{{ .token }}'}}}", &["secret is token of central/pat"])]
#[case::composed("GENERATOR
    target: {template: {data: {password: 'Bearer {{ .token }}'}}}", &[])]
#[case::of_another_key("GENERATOR
    target: {template: {data: {password: '{{ .a }}'}}}", &[])]
#[case::before_the_source("", &["secret is token of central/pat"])]
fn what_a_generator_puts_in_the_place_of_a_password_is_not_the_password(
    #[case] after: &str,
    #[case] expected: &[&str],
) {
    let reference = "{sourceRef: {generatorRef: {kind: ClusterGenerator, name: g}}, rewrite: [{regexp: {source: password, target: token}}]}";
    let (before, after) = match after {
        "" => (format!("    - {reference}\n"), String::new()),
        after => (String::new(), after.replace("GENERATOR", &format!("    - {reference}"))),
    };
    let spec = format!("    dataFrom:\n{before}    - {{extract: {{key: pat}}}}\n{after}\n");
    let made = generator("Password", "{passwordSpec: {length: 8, allowRepeat: true, noUpper: false}}");
    let model = model(&[distributed("a", "open", &spec), secret("pat", "a: x, token: z"), made]);
    let roles = model.distributions[0].roles.iter().map(|(role, origin)| format!("{role} is {origin}"));
    assert_eq!(roles.filter(|role| role.starts_with("secret")).collect::<Vec<_>>(), expected);
}

#[test]
fn what_a_fake_makes_is_the_text_that_it_has() {
    let spec = GENERATED.replace("REWRITE", "");
    let made = generator("Fake", "{fakeSpec: {data: {a: written, b: lost}}}");
    let model = model(&[distributed("a", "open", &spec), secret("pat", "a: x"), made]);
    let origins = &model.distributions[0].origins;
    assert_eq!(origins["a"], Origin::Text(Credential::new("written")));
    assert_eq!(origins["b"], Origin::value(&source("central", "pat"), "a"), "data comes last");
    assert_eq!(unjudged(&model), [""; 0]);
}

#[rstest]
#[case::of_the_cluster("ClusterGenerator", "is not in the configuration")]
#[case::of_namespaces("Password", "in namespaces of any name, where no manifest puts it")]
fn copies_of_a_generator_that_is_not_there_are_not_judged(#[case] kind: &str, #[case] why: &str) {
    let spec = GENERATED.replace("REWRITE", "").replace("ClusterGenerator", kind);
    let model = model(&[distributed("a", "open", &spec), secret("pat", "a: x")]);
    assert!(model.distributions.is_empty());
    assert!(model.not_judged[0].reason.contains(why), "{:?}", model.not_judged);
}

#[rstest]
#[case::elsewhere("templateFrom: [{configMap: {name: c, items: [{key: f}]}}]", "no manifest puts it")]
#[case::in_a_secret("templateFrom: [{target: Labels, secret: {name: c, items: [{key: f}]}}]", "no manifest puts it")]
fn copies_that_need_an_object_in_namespaces_of_any_name_are_not_judged(#[case] template: &str, #[case] why: &str) {
    let spec = format!("{TOKEN}    target: {{template: {{{template}}}}}\n");
    let model = model(&[distributed("a", "open", &spec), distributed("b", "open", TOKEN)]);
    assert_eq!(model.distributions.iter().map(|distribution| &distribution.name).collect::<Vec<_>>(), ["b"]);
    let [one] = &model.not_judged[..] else { panic!("{:?}", model.not_judged) };
    assert_eq!(one.distribution.as_deref(), Some("a"));
    assert!(one.reason.contains(why), "{one}");
    assert!(one.to_string().starts_with("ClusterExternalSecret a at all.yaml:"), "{one}");
}

#[test]
fn a_template_in_the_namespace_that_gets_the_copy_is_read() {
    let spec = format!(
        "{TOKEN}    target: {{template: {{templateFrom: [{{configMap: {{name: c, items: [{{key: f}}, {{key: g}}]}}}}]}}}}\n"
    );
    let named = distributed("a", "open", &spec)
        .replace("namespaceSelectors: [{matchLabels: {a: 'true'}}]", "namespaces: [shop]");
    let templates = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\n\
        data: {f: '{{ .t }}', g: 'Bearer {{ .t }}'}\n";
    let model = model(&[named, templates.to_owned()]);
    let distribution = &model.distributions[0];
    assert_eq!(distribution.keys, ExpectedKeys::Exactly(set(&["f", "g"])));
    assert_eq!(
        distribution.origins,
        BTreeMap::from([("f".to_owned(), Origin::value(&source("central", "pat"), "token"))])
    );
    assert!(!unjudged(&model).concat().contains("composed by a template"), "{:?}", unjudged(&model));
    let rendered = distribution.rendering().unwrap();
    assert_eq!(rendered["data"], serde_json::json!({ "f": "{{ .t }}", "g": "Bearer {{ .t }}" }));
    assert_eq!(rendered["templateFrom"], serde_json::json!([]));
}

#[rstest]
#[case::of_many_keys("{configMap: {name: c, items: [{key: g, templateAs: KeysAndValues}]}}")]
#[case::in_a_secret("{secret: {name: c, items: [{key: g}]}}")]
#[case::that_is_not_there("{configMap: {name: c, items: [{key: h}]}}")]
fn a_template_elsewhere_that_is_not_known_is_not_rendered(#[case] from: &str) {
    let spec = format!("{TOKEN}    target: {{template: {{templateFrom: [{from}]}}}}\n");
    let named = distributed("a", "open", &spec)
        .replace("namespaceSelectors: [{matchLabels: {a: 'true'}}]", "namespaces: [shop]");
    let object = |kind: &str| {
        format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: c, namespace: shop}}\ndata: {{g: 'QmVhcmVy'}}\n")
    };
    let model = model(&[named, object("ConfigMap"), object("Secret")]);
    assert_eq!(model.distributions[0].rendering(), Err("its template is in another object"));
}

#[rstest]
#[case::a_value_as_it_is("{data: {a: '{{ .t }}'}}", false, Ok(()))]
#[case::composed("{data: {a: 'Bearer {{ .t }}'}}", true, Ok(()))]
#[case::composed_beside_a_value_as_it_is("{data: {a: 'Bearer {{ .t }}', b: '{{ .t }}'}}", true, Ok(()))]
#[case::another_each_time("{data: {a: '{{ .t }}{{ now }}'}}", false, Err("something else each time"))]
#[case::another_each_time_beside_a_value("{data: {a: '{{ now }}', b: '{{ .t }}'}}", false, Ok(()))]
#[case::composed_under_a_name_that_tells_a_part("{data: {token: 'Bearer {{ .t }}'}}", true, Ok(()))]
#[case::a_text_of_its_own("{data: {a: 'open'}}", false, Err("nothing in it follows"))]
#[case::read_by_a_consumer(
    "{type: kubernetes.io/dockerconfigjson, data: {.dockerconfigjson: \
        '{\"auths\":{\"r.example.org\":{\"username\":\"u\",\"password\":{{ .t | toJson }}}}}'}}",
    false,
    Ok(())
)]
fn a_copy_tells_its_values_by_what_is_taken_over_what_a_consumer_reads_or_what_the_engine_makes(
    #[case] template: &str,
    #[case] is_rendered: bool,
    #[case] tells: Result<(), &str>,
) {
    let model = model(&[distributed("a", "open", &format!("{TOKEN}    target: {{template: {template}}}\n"))]);
    let distribution = &model.distributions[0];
    assert_eq!(distribution.needs_rendering(), is_rendered);
    match (distribution.tells_values(), tells) {
        (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
        (told, expected) => assert_eq!(told, expected),
    }
}

#[rstest]
#[case::composed("{data: {a: 'Bearer {{ .t }}'}}", "", Ok("v2"))]
#[case::literal("{templateFrom: [{literal: 'a: b'}]}", "", Ok("v2"))]
#[case::fickle("{data: {a: '{{ now }}'}}", "", Err("something else each time"))]
#[case::two_sources(
    "{data: {a: '{{ .t }}{{ .o }}'}}",
    "    dataFrom: [{extract: {key: other}}]\n",
    Err("several sources")
)]
fn what_a_template_composes_is_rendered_where_it_can_be(
    #[case] template: &str,
    #[case] more: &str,
    #[case] expected: Result<&str, &str>,
) {
    let spec = format!("{TOKEN}{more}    target: {{template: {template}}}\n");
    let model = model(&[distributed("a", "open", &spec), secret("other", "o: x")]);
    match (model.distributions[0].rendering(), expected) {
        (Ok(template), Ok(version)) => {
            assert_eq!(template["engineVersion"], version);
            assert!(template["templateFrom"].as_array().is_none_or(|from| from[0]["target"] == "Data"), "{template}");
            assert!(unjudged(&model).is_empty());
        }
        (Err(why), Err(expected)) => {
            assert!(why.contains(expected), "{why}");
            assert!(unjudged(&model).concat().contains(expected), "{:?}", unjudged(&model));
        }
        (found, _) => panic!("{found:?}"),
    }
}

#[rstest]
#[case::other_class("controller: other, provider: {kubernetes: {remoteNamespace: central}}", "class \"other\"")]
#[case::token(
    "provider: {kubernetes: {auth: {token: {bearerToken: {name: t}}}}}",
    "auth.token is for another API server"
)]
#[case::kubeconfig("provider: {kubernetes: {authRef: {name: t}}}", "authRef is for another API server")]
fn copies_of_a_store_that_cannot_be_used_here_are_not_judged(#[case] spec: &str, #[case] why: &str) {
    let store = format!(
        "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {{name: s}}\nspec: {{{spec}}}\n"
    );
    let model = model(&[store, distributed("a", "s", TOKEN)]);
    assert!(model.distributions.is_empty() && model.sources.is_empty());
    assert!(model.not_judged[0].to_string().contains(why), "{:?}", model.not_judged);
}

#[test]
fn a_store_of_the_class_that_every_controller_has_is_used() {
    let store = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: s}\n\
        spec: {controller: default, retrySettings: {maxRetries: 3}, provider: {kubernetes: {server: {caBundle: YQ==}}}}\n";
    let model = model(&[store.to_owned(), distributed("a", "s", TOKEN)]);
    assert_eq!(model.distributions.len(), 1);
    let fields: Vec<&str> = model.not_judged.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["spec.retrySettings", "spec.provider.kubernetes.server.caBundle"]);
    assert!(model.not_judged.iter().all(|one| one.distribution.is_none()));
}

#[test]
fn a_copy_joins_a_secret_that_the_configuration_makes_itself() {
    let merge = format!("{TOKEN}    target: {{name: app, creationPolicy: Merge}}\n");
    let by_label = distributed("a", "open", &merge);
    let named = by_label.replace("namespaceSelectors: [{matchLabels: {a: 'true'}}]", "namespaces: [shop]");
    let own = "apiVersion: v1\nkind: Secret\nmetadata: {name: app, namespace: shop}\ntype: example.org/app\n\
        stringData: {own: a}\n";
    let joined = model(&[named, own.to_owned()]);
    let distribution = &joined.distributions[0];
    assert_eq!(
        (&distribution.keys, &*distribution.secret_type),
        (&ExpectedKeys::Exactly(set(&["own", "t"])), "example.org/app")
    );
    assert_eq!(distribution.kept, set(&["own"]));
    assert_eq!(Vec::from_iter(distribution.origins.keys()), ["t"]);
    let waiting = model(&[by_label, own.to_owned()]);
    assert_eq!(waiting.distributions[0].keys, ExpectedKeys::Exactly(set(&["t"])));
    assert!(waiting.distributions[0].kept.is_empty());
}

#[rstest]
#[case::template_beside_values("{mergePolicy: Merge, data: {.dockerconfigjson: x}}", "", Some(&["t"][..]))]
#[case::whole_source("{}", "    dataFrom: [{extract: {key: pull}}]\n", Some(&["user"][..]))]
#[case::named("{}", "    data: [{secretKey: extra, remoteRef: {key: pat, property: token}}]\n", None)]
#[case::replaced("{data: {.dockerconfigjson: x}}", "    dataFrom: [{extract: {key: pull}}]\n", None)]
fn values_beside_those_of_the_consumer_are_told(
    #[case] template: &str,
    #[case] reads: &str,
    #[case] expected: Option<&[&str]>,
) {
    let template = template.replacen('{', "{type: kubernetes.io/dockerconfigjson, ", 1);
    let reads = if reads.is_empty() { TOKEN } else { reads };
    let spec = format!("{reads}    target: {{template: {template}}}\n");
    let pull = secret("pull", ".dockerconfigjson: a, user: b");
    let typed = model(&[distributed("a", "open", &spec), pull.clone()]);
    let beyond = typed.distributions[0].beyond_consumer().map(|(consumer, keys)| (consumer, Vec::from_iter(keys)));
    assert_eq!(beyond, expected.map(|keys| (KUBELET, keys.to_vec())));
    let untyped = model(&[distributed("a", "open", &spec.replace("kubernetes.io/dockerconfigjson", "Opaque")), pull]);
    assert_eq!(untyped.distributions[0].beyond_consumer(), None, "nobody is known to read it");
}

#[rstest]
#[case::as_it_is("'{{ .t }}'", &["secret is token of central/pat"])]
#[case::with_a_line_break("\"{{ .t }}\\n\"", &["secret is token of central/pat"])]
#[case::with_a_word("'Bearer {{ .t }}'", &[])]
#[case::changed("'{{ .t | trim }}'", &[])]
#[case::cut("'{{ .t | trunc 20 }}'", &["secret is token of central/pat"])]
fn a_key_that_is_named_for_a_part_of_a_credential_has_it_unless_its_template_makes_something_else(
    #[case] template: &str,
    #[case] expected: &[&str],
) {
    let spec = format!("{TOKEN}    target: {{template: {{data: {{token: {template}}}}}}}\n");
    let model = model(&[distributed("a", "open", &spec)]);
    let roles = model.distributions[0].roles.iter().map(|(role, origin)| format!("{role} is {origin}"));
    assert_eq!(roles.collect::<Vec<_>>(), expected);
}

/// The roles of a copy of `database` and `mail`, which both have a password.
fn roles(data: &str) -> Vec<String> {
    let spec = format!("    data: [{data}]\n");
    let model = model(&[
        distributed("a", "open", &spec),
        secret("db", "username: a, password: b"),
        secret("mail", "password: c, url: d"),
    ]);
    model.distributions[0].roles.iter().map(|(role, origin)| format!("{role} is {origin}")).collect()
}

#[test]
fn a_role_that_two_sources_tell_is_not_compared() {
    let read = |key: &str, property: &str| {
        format!("{{secretKey: {property}_{key}, remoteRef: {{key: {key}, property: {property}}}}}")
    };
    assert_eq!(roles(&read("db", "password")), ["secret is password of central/db"]);
    assert_eq!(roles(&format!("{}, {}", read("db", "password"), read("mail", "password"))), Vec::<String>::new());
}

#[rstest]
#[case::another_value("{secretKey: password, remoteRef: {key: db, property: username}}", &[
    "username is username of central/db",
    "secret is password of central/db",
])]
#[case::of_no_role("{secretKey: password, remoteRef: {key: mail, property: url}}", &[
    "value of \"url\" is url of central/mail",
])]
#[case::decoded("{secretKey: password, remoteRef: {key: db, property: password, decodingStrategy: Base64}}", &[])]
#[case::metadata("{secretKey: password, remoteRef: {key: db, property: labels.a, metadataPolicy: Fetch}}", &[])]
#[case::whole("{secretKey: pat, remoteRef: {key: db}}", &["username is username of central/db"])]
fn a_role_counts_unless_the_copy_has_another_value_on_purpose(#[case] data: &str, #[case] expected: &[&str]) {
    assert_eq!(roles(data), expected);
}
