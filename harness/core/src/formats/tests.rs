use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rstest::rstest;
use serde_json::json;

use super::*;

const DOCKER: &str = "kubernetes.io/dockerconfigjson";

fn data(values: &[(&str, &str)]) -> BTreeMap<String, Credential> {
    values.iter().map(|(key, value)| ((*key).to_owned(), Credential::new(*value))).collect()
}

fn labelled(key: &str, value: &str) -> Labels {
    Labels::from([(key.to_owned(), value.to_owned())])
}

fn docker(json: &str) -> Result<Decoded, FormatError> {
    decode(DOCKER, &Labels::new(), &data(&[(".dockerconfigjson", json)]))
}

fn part(decoded: &Decoded, role: &Role) -> String {
    decoded.parts[role].expose_str().unwrap().to_owned()
}

/// Output of a template that pastes a token into JSON as it is.
fn pasted(token: &str) -> String {
    format!(r#"{{"auths":{{"ghcr.io":{{"username":"bot","password":"{token}"}}}}}}"#)
}

/// Output of a template that knows its JSON.
fn encoded(username: &str, password: &str) -> String {
    let auth = STANDARD.encode(format!("{username}:{password}"));
    let entry = json!({"username": username, "password": password, "auth": auth});
    json!({"auths": {"ghcr.io": entry}}).to_string()
}

#[rstest]
#[case::plain("ghp_0123456789")]
#[case::quotes_and_backslashes(r#"a"b\c\"d"#)]
#[case::colons("a:b::c")]
#[case::template_and_shell("{{ .x }} $HOME ${x}")]
#[case::markup("<>&'")]
#[case::not_ascii("pä\u{10348}ß")]
#[case::line_breaks("a\nb\r\nc\n")]
#[case::empty("")]
fn docker_config_yields_the_very_password(#[case] password: &str) {
    let decoded = docker(&encoded("bot", password)).unwrap();
    assert_eq!(decoded.kind, FormatKind::DockerConfig);
    assert_eq!(decoded.endpoints, ["ghcr.io"]);
    assert_eq!(part(&decoded, &Role::Username), "bot");
    assert_eq!(part(&decoded, &Role::Secret), password);
}

#[rstest]
#[case::padded(json!({"auth": STANDARD.encode("bot:a:b1")}), "bot", "a:b1")]
#[case::without_padding(json!({"auth": STANDARD_NO_PAD.encode("bot:a:b1")}), "bot", "a:b1")]
#[case::folded(json!({"auth": "Ym90\r\nOmE="}), "bot", "a")]
#[case::empty_auth(json!({"auth": "", "username": "bot", "password": "p"}), "bot", "p")]
#[case::no_auth(json!({"username": "bot", "password": "p", "email": "a@b"}), "bot", "p")]
#[case::auth_alone_names_the_user(json!({"username": "", "auth": STANDARD.encode("bot:p")}), "bot", "p")]
#[case::no_username(json!({"password": "p"}), "", "p")]
fn docker_config_entry_is_read_like_the_kubelet_does(
    #[case] entry: serde_json::Value,
    #[case] username: &str,
    #[case] password: &str,
) {
    let decoded = docker(&json!({"auths": {"ghcr.io": entry}}).to_string()).unwrap();
    assert_eq!(part(&decoded, &Role::Username), username);
    assert_eq!(part(&decoded, &Role::Secret), password);
}

#[test]
fn docker_config_of_several_hosts_needs_one_credential() {
    let entry = json!({"username": "bot", "password": "p"});
    let same = json!({"auths": {"quay.io": entry, "ghcr.io": entry}, "HttpHeaders": {}});
    assert_eq!(docker(&same.to_string()).unwrap().endpoints, ["ghcr.io", "quay.io"]);
    let other = json!({"auths": {"quay.io": entry, "ghcr.io": {"username": "bot", "password": "q"}}});
    assert!(docker(&other.to_string()).unwrap_err().to_string().contains("different credentials"));
}

#[rstest]
#[case::pasted_quote(pasted(r#"hunter2"x"#), "expected `,` or `}`")]
#[case::pasted_backslash(pasted(r"hunter2\x"), "invalid escape")]
#[case::pasted_line_break(pasted("hunter2\n"), "control character")]
#[case::injected_auth(pasted(r#"x","auth":"aHVudGVyMjpodW50ZXIy"#), "\"auth\" differs")]
#[case::injected_twin(pasted(r#"x","password":"hunter2"#), "repeats a key")]
#[case::injected_field(pasted(r#"x","hunter2":"y"#), "1 unknown fields")]
#[case::injected_field_in_other_case(pasted(r#"x","PASSWORD":"hunter2"#), "1 unknown fields")]
#[case::injected_host(pasted(r#"x"},"hunter2":{"username":"bot","password":"y"#), "different credentials")]
#[case::injected_end(pasted(r#"x"}},"hunter2":{"a":{"b":"c"#), "1 fields beside \"auths\"")]
#[case::injected_document(r#"{"auths":{"a":{"password":"hunter2"}}} {}"#, "trailing characters")]
#[case::no_json("hunter2", "expected value")]
#[case::no_object("[]", "no object")]
#[case::no_auths("{}", "no object \"auths\"")]
#[case::legacy_layout(r#"{"ghcr.io":{"password":"hunter2"}}"#, "no object \"auths\"")]
#[case::auths_is_null(r#"{"auths":null}"#, "no object \"auths\"")]
#[case::entry_is_no_object(r#"{"auths":{"a":"hunter2"}}"#, "an entry is no object")]
#[case::password_is_no_text(r#"{"auths":{"a":{"password":2}}}"#, "\"password\" is no text")]
#[case::wrong_auth(r#"{"auths":{"a":{"username":"bot","password":"hunter2","auth":"Ym90OmE="}}}"#, "\"auth\" differs")]
#[case::auth_of_another_user(r#"{"auths":{"a":{"username":"hunter2","auth":"Ym90OmE="}}}"#, "\"auth\" differs")]
#[case::auth_is_no_base64(r#"{"auths":{"a":{"auth":"hunter2!"}}}"#, "no base64")]
#[case::auth_is_url_base64(r#"{"auths":{"a":{"auth":"Ym90Oj8_Pw"}}}"#, "no base64")]
#[case::auth_is_half_padded(r#"{"auths":{"a":{"auth":"Ym90OmE9YQ="}}}"#, "no base64")]
#[case::auth_has_no_colon(r#"{"auths":{"a":{"auth":"aHVudGVyMg=="}}}"#, "no colon")]
#[case::no_entry(r#"{"auths":{}}"#, "no credential")]
#[case::empty_entry(r#"{"auths":{"a":{}}}"#, "no credential")]
#[case::empty_value("", "key \".dockerconfigjson\" is missing or empty")]
fn faulty_docker_config_is_refused_without_showing_it(#[case] json: impl AsRef<str>, #[case] reason: &str) {
    let shown = docker(json.as_ref()).unwrap_err().to_string();
    assert!(shown.contains(reason), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains("aHVu"), "{shown}");
}

const ARGO: &[(&str, &str)] = &[("url", "https://github.com/org/"), ("username", "bot"), ("password", "p\"\n")];

#[rstest]
#[case::credentials("repo-creds", FormatKind::ArgoCdRepoCreds)]
#[case::write_credentials("repo-write-creds", FormatKind::ArgoCdRepoCreds)]
#[case::repository("repository", FormatKind::ArgoCdRepository)]
#[case::write_repository("repository-write", FormatKind::ArgoCdRepository)]
fn argo_cd_reads_its_keys_whatever_the_type(#[case] label: &str, #[case] kind: FormatKind) {
    let values = [ARGO, &[("type", "git"), ("insecure", "T"), ("enableLfs", "false")]].concat();
    let decoded = decode(DOCKER, &labelled(ARGO_CD_LABEL, label), &data(&values)).unwrap();
    assert_eq!((decoded.kind, &*decoded.endpoints), (kind, &["https://github.com/org/".to_owned()][..]));
    assert_eq!(part(&decoded, &Role::Username), "bot");
    assert_eq!(part(&decoded, &Role::Secret), "p\"\n");
}

#[rstest]
#[case::no_url("repo-creds", &[("username", "a"), ("password", "hunter2")], "key \"url\" is missing or empty")]
#[case::open_prefix(
    "repo-creds",
    &[("url", "https://github.com/org"), ("username", "a"), ("password", "hunter2")],
    "key \"url\" is not ended by \"/\""
)]
#[case::unknown_type(
    "repo-creds",
    &[ARGO[0], ARGO[1], ARGO[2], ("type", "hunter2")],
    "key \"type\" is not git, helm or oci"
)]
#[case::no_boolean("repository", &[ARGO[0], ("insecure", "yes")], "key \"insecure\" is not a boolean")]
#[case::boolean_with_line_break(
    "repository",
    &[ARGO[0], ("enableOCI", "true\n")],
    "key \"enableOCI\" is not a boolean"
)]
#[case::no_password("repo-creds", &[ARGO[0], ARGO[1]], "is missing")]
#[case::empty_username("repository", &[ARGO[0], ARGO[2], ("username", "")], "is missing")]
#[case::no_credential("repo-creds", &[ARGO[0]], "no credential")]
#[case::unknown_label("Repo-Creds", ARGO, "label argocd.argoproj.io/secret-type has the value \"Repo-Creds\"")]
fn faulty_argo_cd_copy_is_refused(#[case] label: &str, #[case] values: &[(&str, &str)], #[case] reason: &str) {
    let decoded = decode("Opaque", &labelled(ARGO_CD_LABEL, label), &data(values));
    let shown = decoded.unwrap_err().to_string();
    assert!(shown.contains(reason) && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn argo_cd_repository_may_take_the_credential_of_its_prefix() {
    let labels = labelled(ARGO_CD_LABEL, "repository");
    let decoded = decode("Opaque", &labels, &data(&[("url", "https://github.com/org/a")])).unwrap();
    assert!(decoded.parts.is_empty());
}

const KARGO: &[(&str, &str)] = &[("repoURL", "^https://github\\.com/org/"), ("username", "bot"), ("password", "p")];

#[rstest]
#[case::git("git", FormatKind::KargoGit)]
#[case::image("image", FormatKind::KargoImage)]
#[case::helm("helm", FormatKind::KargoHelm)]
fn kargo_reads_its_keys_whatever_the_type(#[case] label: &str, #[case] kind: FormatKind) {
    let values = [KARGO, &[("repoURLIsRegex", "true")]].concat();
    let decoded = decode(DOCKER, &labelled(KARGO_LABEL, label), &data(&values)).unwrap();
    assert_eq!((decoded.kind, &*decoded.endpoints), (kind, &[KARGO[0].1.to_owned()][..]));
    assert_eq!(part(&decoded, &Role::Secret), "p");
}

#[rstest]
#[case::docker_config_alone("image", &[(".dockerconfigjson", "{}")], "key \"repoURL\" is missing or empty")]
#[case::no_username("git", &[KARGO[0], KARGO[2]], "key \"username\" is missing or empty")]
#[case::empty_password("git", &[KARGO[0], KARGO[1], ("password", "")], "key \"password\" is missing or empty")]
#[case::regex_in_other_case(
    "git",
    &[KARGO[0], KARGO[1], KARGO[2], ("repoURLIsRegex", "True")],
    "key \"repoURLIsRegex\" is not"
)]
#[case::regex_with_line_break(
    "git",
    &[KARGO[0], KARGO[1], KARGO[2], ("repoURLIsRegex", "true\n")],
    "key \"repoURLIsRegex\" is not"
)]
#[case::unknown_label("docker", KARGO, "label kargo.akuity.io/cred-type has the value \"docker\"")]
fn faulty_kargo_copy_is_refused(#[case] label: &str, #[case] values: &[(&str, &str)], #[case] reason: &str) {
    let shown = decode("Opaque", &labelled(KARGO_LABEL, label), &data(values)).unwrap_err().to_string();
    assert!(shown.contains(reason), "{shown}");
}

#[test]
fn a_url_that_is_no_text_is_refused() {
    let mut values = data(KARGO);
    values.insert("repoURL".into(), Credential::new([0xff]));
    let decoded = decode("Opaque", &labelled(KARGO_LABEL, "git"), &values);
    assert_eq!(decoded.unwrap_err(), FormatError::NotText { key: "repoURL".into() });
}

#[rstest]
#[case::basic_auth(
    "kubernetes.io/basic-auth",
    &[("username", "u"), ("password", "p")],
    FormatKind::BasicAuth,
    &[Role::Username, Role::Secret]
)]
#[case::basic_auth_of_a_password(
    "kubernetes.io/basic-auth",
    &[("password", "p")],
    FormatKind::BasicAuth,
    &[Role::Secret]
)]
#[case::tls(
    "kubernetes.io/tls",
    &[("tls.crt", "c"), ("tls.key", "k"), ("ca.crt", "a")],
    FormatKind::Tls,
    &[Role::Certificate, Role::PrivateKey]
)]
#[case::oauth(
    "Opaque",
    &[("client-id", "i"), ("client-secret", "s")],
    FormatKind::OAuth,
    &[Role::ClientId, Role::ClientSecret]
)]
#[case::oauth_of_backstage(
    "Opaque",
    &[("AUTH_GITHUB_CLIENT_ID", "i"), ("AUTH_GITHUB_CLIENT_SECRET", "s")],
    FormatKind::OAuth,
    &[Role::ClientId, Role::ClientSecret]
)]
#[case::oauth_with_more(
    "Opaque",
    &[("clientId", "i"), ("clientSecret", "s"), ("url", "u")],
    FormatKind::OAuth,
    &[Role::ClientId, Role::ClientSecret]
)]
#[case::half_an_oauth_client("Opaque", &[("client_id", "i")], FormatKind::Opaque, &[Role::ClientId])]
#[case::opaque("Opaque", &[("username", "u"), ("token", "t")], FormatKind::Opaque, &[Role::Username, Role::Secret])]
#[case::type_of_its_own("example.com/x", &[("GITHUB_TOKEN", "t")], FormatKind::Opaque, &[Role::Secret])]
fn typed_and_plain_copies_are_read_by_their_keys(
    #[case] secret_type: &str,
    #[case] values: &[(&str, &str)],
    #[case] kind: FormatKind,
    #[case] roles: &[Role],
) {
    let decoded = decode(secret_type, &Labels::new(), &data(values)).unwrap();
    assert_eq!(decoded.kind, kind);
    for role in roles {
        assert!(decoded.parts.contains_key(role), "{role} in {decoded:?}");
    }
}

#[rstest]
#[case::no_key("kubernetes.io/tls", &[("tls.crt", "c")], "key \"tls.key\" is missing or empty")]
#[case::empty_certificate(
    "kubernetes.io/tls",
    &[("tls.crt", ""), ("tls.key", "k")],
    "key \"tls.crt\" is missing or empty"
)]
#[case::empty_basic_auth("kubernetes.io/basic-auth", &[("token", "t")], "no credential")]
fn faulty_typed_copy_is_refused(#[case] secret_type: &str, #[case] values: &[(&str, &str)], #[case] reason: &str) {
    let shown = decode(secret_type, &Labels::new(), &data(values)).unwrap_err().to_string();
    assert!(shown.contains(reason), "{shown}");
}

#[rstest]
#[case::argo_cd_cluster(ARGO_CD_LABEL, "cluster")]
#[case::kargo_generic(KARGO_LABEL, "generic")]
fn copies_that_a_consumer_takes_as_they_are_are_read_by_their_keys(#[case] label: &str, #[case] value: &str) {
    let decoded = decode("Opaque", &labelled(label, value), &data(&[("token", "t")])).unwrap();
    assert_eq!(decoded.kind, FormatKind::Opaque);
}

#[rstest]
#[case::username("username", Role::Username)]
#[case::user("user", Role::Username)]
#[case::login("LOGIN", Role::Username)]
#[case::token("token", Role::Secret)]
#[case::token_of_github("github-token", Role::Secret)]
#[case::token_in_camel_case("githubToken", Role::Secret)]
#[case::token_of_an_environment("GITHUB_TOKEN", Role::Secret)]
#[case::password("registry.password", Role::Secret)]
#[case::personal_access_token("pat", Role::Secret)]
#[case::client_id("clientId", Role::ClientId)]
#[case::client_secret_is_no_secret("client_secret", Role::ClientSecret)]
#[case::certificate("tls.crt", Role::Certificate)]
#[case::private_key("tls.key", Role::PrivateKey)]
#[case::part_of_a_word("compat", Role::Other("compat".into()))]
#[case::superuser("superuser", Role::Other("superuser".into()))]
#[case::anything("config.json", Role::Other("config.json".into()))]
fn role_is_told_by_the_key(#[case] key: &str, #[case] role: Role) {
    assert_eq!(source_roles([key]), BTreeMap::from([(role, key)]));
}

#[test]
fn the_most_telling_key_has_the_role() {
    let roles = source_roles(["secret", "a-token", "username", "token"]);
    let expected = [
        (Role::Username, "username"),
        (Role::Secret, "a-token"),
        (Role::Other("secret".into()), "secret"),
        (Role::Other("token".into()), "token"),
    ];
    assert_eq!(roles, BTreeMap::from(expected));
}

#[rstest]
#[case::same("p", "p", true)]
#[case::trailing_line_break("p\n", "p", false)]
#[case::trimmed("p", "p\n", false)]
#[case::stale("old", "new", false)]
#[case::escaped("a&amp;b", "a&b", false)]
fn copy_and_source_agree_byte_for_byte(#[case] copied: &str, #[case] source: &str, #[case] agree: bool) {
    let decoded = docker(&encoded("bot", copied)).unwrap();
    let source = [(Role::Username, Credential::new("bot")), (Role::Secret, Credential::new(source))].into();
    assert_eq!(disagreement(&decoded, &source).is_none(), agree);
}

#[test]
fn disagreement_shows_fingerprints_and_no_values() {
    let decoded = docker(&encoded("bot", "hunter2")).unwrap();
    let (stale, fresh) = (Credential::new("hunter2"), Credential::new("hunter3"));
    let shown = disagreement(&decoded, &[(Role::Secret, fresh.clone())].into()).unwrap();
    assert_eq!(shown, format!("secret is {stale} and its source {fresh}"));
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn parts_that_only_one_side_tells_are_not_compared() {
    let decoded = docker(&encoded("bot", "p")).unwrap();
    assert_eq!(disagreement(&decoded, &[(Role::Certificate, Credential::new("p"))].into()), None);
}

#[test]
fn of_two_keys_that_tell_one_role_none_has_it() {
    let roles = unambiguous_roles(["api-token", "db-password", "user"]);
    assert_eq!(roles.get(&Role::Username), Some(&"user"));
    assert_eq!(roles.get(&Role::Secret), None);
    assert_eq!(unambiguous_roles(["token"]).get(&Role::Secret), Some(&"token"));
}

#[test]
fn a_username_of_the_templates_own_is_no_disagreement() {
    let decoded = docker(&encoded("x-access-token", "p")).unwrap();
    assert_eq!(disagreement(&decoded, &[(Role::Secret, Credential::new("p"))].into()), None);
}
