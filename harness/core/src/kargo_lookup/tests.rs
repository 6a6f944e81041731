use rstest::rstest;

use super::*;

/// A Secret that owns what a candidate borrows.
struct Secret {
    name: &'static str,
    labels: Labels,
    data: BTreeMap<String, Credential>,
}

impl Secret {
    fn new(name: &'static str, kind: &str, data: &[(&str, &str)]) -> Self {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), Credential::new(*value))).collect();
        Self { name, labels: Labels::from([(KARGO_LABEL.to_owned(), kind.to_owned())]), data }
    }

    /// A Git login whose username is the Secret's name.
    fn git(name: &'static str, url: &str) -> Self {
        Self::new(name, "git", &[("repoURL", url), ("username", name), ("password", "p")])
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        self.data.insert(key.to_owned(), Credential::new(value));
        self
    }

    fn without(mut self, key: &str) -> Self {
        self.data.remove(key);
        self
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate { name: self.name, labels: &self.labels, data: &self.data }
    }
}

/// The username that Kargo takes for a Git repository.
fn user(project: &[Secret], shared: &[Secret], url: &str) -> Result<String, NoLogin> {
    let project: Vec<_> = project.iter().map(Secret::candidate).collect();
    let shared: Vec<_> = shared.iter().map(Secret::candidate).collect();
    let login = login(&project, &shared, CredentialKind::Git, url, false)?;
    Ok(login.username.expose_str().unwrap().to_owned())
}

fn rule<'a>(kind: CredentialKind, data: &'a BTreeMap<String, Credential>) -> Rule<'a> {
    Rule::of(kind, data).unwrap()
}

fn pattern(text: &str) -> BTreeMap<String, Credential> {
    Secret::git("a", text).with("repoURLIsRegex", "true").data
}

const REPO: &str = "https://github.com/org/app";

#[rstest]
#[case::as_it_is(REPO, REPO)]
#[case::upper_case("HTTPS://GitHub.com/Org/App", REPO)]
#[case::slash("https://github.com/org/app/", REPO)]
#[case::git("https://github.com/org/app.git", REPO)]
#[case::git_and_slash("https://github.com/org/app.git/", REPO)]
#[case::only_one_slash_goes("https://github.com/org/app//", "https://github.com/org/app/")]
#[case::only_one_git_goes("https://github.com/org/app.git.git", "https://github.com/org/app.git")]
#[case::git_before_two_slashes("https://github.com/org/app.git//", "https://github.com/org/app.git/")]
#[case::spaces_around(" https://github.com/org/app\n", REPO)]
#[case::not_printable("\u{feff}https://github.com/org\u{200b}/app", REPO)]
#[case::userinfo("https://bot:p%40ss@github.com/org/app.git", REPO)]
#[case::port("https://github.com:8443/org/app.git", "https://github.com:8443/org/app")]
#[case::default_port_stays("https://github.com:443/org/app", "https://github.com:443/org/app")]
#[case::ipv6("https://[::1]:8443/org/app/", "https://[::1]:8443/org/app")]
#[case::plain_http("http://github.com/org/app.git", "http://github.com/org/app")]
#[case::host_alone("https://github.com/", "https://github.com")]
#[case::nothing_at_all("https://", "https:")]
#[case::query_spoils("https://GitHub.com/org/app?ref=main", "https://GitHub.com/org/app?ref=main")]
#[case::empty_query_stays("https://GitHub.com/org/app.git?", "https://github.com/org/app?")]
#[case::fragment_stays("https://GitHub.com/org/app.git#main", "https://github.com/org/app#main")]
#[case::bad_port("https://GitHub.com:x/org/app/", "https://GitHub.com:x/org/app/")]
#[case::two_ports("https://GitHub.com:1:2/org/app/", "https://GitHub.com:1:2/org/app/")]
#[case::space_in_host("https://not A url", "https://not A url")]
#[case::broken_escape("https://GitHub.com/org/%zz/", "https://GitHub.com/org/%zz/")]
#[case::ssh_keeps_its_user("ssh://git@GitHub.com:22/org/app.git/", "ssh://git@github.com:22/org/app")]
#[case::ssh_with_query("ssh://GitHub.com/org/app?a=b", "ssh://GitHub.com/org/app?a=b")]
#[case::scp("git@GitHub.com:org/app.git", "ssh://git@github.com/org/app")]
#[case::scp_without_user("github.com:org/app/", "ssh://github.com/org/app")]
#[case::scp_from_the_root("git@github.com:/org/app", "ssh://git@github.com//org/app")]
#[case::scp_host_alone("git@github.com", "ssh://git@github.com")]
#[case::scp_path_like_a_port("github.com:8443/org/app", "ssh://github.com/8443/org/app")]
#[case::scp_path_with_a_scheme("github.com:org:app", "ssh://github.com")]
#[case::neither("github.com/Org/app", "github.com/Org/app")]
#[case::words("not even remotely A url", "not even remotely A url")]
fn git_urls_have_a_normal_form(#[case] url: &str, #[case] normal: &str) {
    assert_eq!(normalise(CredentialKind::Git, url), normal);
}

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[rstest]
#[case::other_registry("ghcr.io/org/app", "ghcr.io/org/app")]
#[case::upper_case(" GHCR.io/Org/App ", "ghcr.io/org/app")]
#[case::tag("ghcr.io/org/app:v1.2", "ghcr.io/org/app")]
#[case::digest(&format!("ghcr.io/org/app@{DIGEST}"), "ghcr.io/org/app")]
#[case::tag_and_digest(&format!("ghcr.io/org/app:v1@{DIGEST}"), "ghcr.io/org/app")]
#[case::port("registry.test:5000/app", "registry.test:5000/app")]
#[case::port_and_tag("registry.test:5000/org/app:v1", "registry.test:5000/org/app")]
#[case::localhost_with_port("localhost:5000/org/app", "localhost:5000/org/app")]
#[case::localhost("localhost/app", "localhost/app")]
#[case::docker_hub("docker.io/org/app", "org/app")]
#[case::docker_hub_index("index.docker.io/org/app:v1", "org/app")]
#[case::docker_hub_registry("registry-1.docker.io/org/app", "org/app")]
#[case::docker_hub_library("docker.io/library/busybox", "busybox")]
#[case::docker_hub_short("busybox:1.36", "busybox")]
#[case::docker_hub_with_port_is_another("docker.io:443/org/app", "docker.io:443/org/app")]
#[case::slash_at_the_end_stays("ghcr.io/org/app/", "ghcr.io/org/app/")]
#[case::scheme_is_taken_for_a_host("https://ghcr.io/Org/app", "https://ghcr.io/org/app")]
#[case::scheme_and_port("https://ghcr.io:443/Org/app", "https://ghcr.io:443/Org/app")]
#[case::empty_tag("ghcr.io/Org/app:", "ghcr.io/Org/app:")]
#[case::other_digest("ghcr.io/Org/app@sha512:00", "ghcr.io/Org/app@sha512:00")]
#[case::words("invalid URL", "invalid URL")]
#[case::one_letter("A", "A")]
fn image_urls_have_a_normal_form(#[case] url: &str, #[case] normal: &str) {
    assert_eq!(normalise(CredentialKind::Image, url), normal);
}

#[rstest]
#[case::oci("OCI://ghcr.io/Org/charts", "ghcr.io/org/charts")]
#[case::oci_with_spaces("  oci://docker.io/org/charts  ", "org/charts")]
#[case::oci_with_port("oci://registry.test:5000/charts", "registry.test:5000/charts")]
#[case::https("https://Charts.test/stable/", "https://charts.test/stable/")]
#[case::https_with_port("https://Charts.test:8443/stable", "https://charts.test:8443/stable")]
#[case::port_at_the_end_is_taken_for_a_tag("https://charts.test:8443", "https://charts.test")]
#[case::address_without_scheme_is_no_url("127.0.0.1:5000/Charts", "127.0.0.1:5000/Charts")]
#[case::empty("", "")]
fn chart_urls_have_a_normal_form(#[case] url: &str, #[case] normal: &str) {
    assert_eq!(normalise(CredentialKind::Helm, url), normal);
}

#[test]
fn an_image_with_a_port_is_not_taken_for_scp() {
    assert_eq!(normalise(CredentialKind::Image, "registry.test:5000/app"), "registry.test:5000/app");
    assert_eq!(normalise(CredentialKind::Git, "registry.test:5000/app"), "ssh://registry.test/5000/app");
}

#[rstest]
#[case::anchored(r"^https://github\.com/org/", REPO, true)]
#[case::anchored_upper_case(r"^https://github\.com/org/", "https://GitHub.com/Org/App.git", true)]
#[case::raw_form(r"\.git$", "https://github.com/org/app.git", true)]
#[case::normal_form("app$", "https://github.com/org/app.git", true)]
#[case::upper_case_in_the_pattern("^https://github.com/Org/", "https://github.com/Org/app", true)]
#[case::upper_case_in_the_pattern_only("^https://github.com/Org/", REPO, false)]
#[case::scp_by_its_normal_form("^ssh://git@github", "git@github.com:org/app", true)]
#[case::no_anchor_at_the_end(r"^https://github\.com/org", "https://github.com/org-evil/app", true)]
#[case::no_anchor_at_the_beginning(r"github\.com/org/", "https://evil.test/github.com/org/app", true)]
#[case::bare_dot("^https://github.com/", "https://githubxcom/org/app", true)]
#[case::bad_pattern("^https://github.com/(", "https://github.com/(", false)]
#[case::empty_pattern("", "anything", true)]
fn a_pattern_is_searched_for_in_the_raw_and_the_normal_form(
    #[case] regex: &str,
    #[case] url: &str,
    #[case] accepts: bool,
) {
    assert_eq!(rule(CredentialKind::Git, &pattern(regex)).accepts(url), accepts);
}

#[rstest]
#[case::quoting(r"\Qa\E", false)]
#[case::octal(r"\141", false)]
#[case::lone_brace("a{", false)]
#[case::bracket_in_a_class("[[]", false)]
#[case::repeated_repetition("a**", true)]
#[case::long_repetition("a{1001}", true)]
#[case::verbose("(?x)a", true)]
#[case::word_boundary(r"\<a", true)]
fn the_syntax_differs_from_go_as_documented(#[case] pattern: &str, #[case] compiles_here: bool) {
    assert_eq!(regex::Regex::new(pattern).is_ok(), compiles_here);
}

#[rstest]
#[case::yes("true", true)]
#[case::capital("True", false)]
#[case::one("1", false)]
#[case::line_break("true\n", false)]
#[case::no("false", false)]
fn only_true_makes_a_pattern(#[case] setting: &str, #[case] matches: bool) {
    let secret = Secret::git("a", r"^https://github\.com/").with("repoURLIsRegex", setting);
    assert_eq!(rule(CredentialKind::Git, &secret.data).accepts(REPO), matches);
}

#[test]
fn the_first_name_in_byte_order_wins() {
    let secrets = [Secret::git("b", REPO), Secret::git("B", REPO), Secret::git("a-2", REPO), Secret::git("a", REPO)];
    assert_eq!(user(&secrets, &[], REPO), Ok("B".to_owned()));
    assert_eq!(user(&secrets[2..], &[], REPO), Ok("a".to_owned()));
}

#[test]
fn the_project_comes_before_the_shared_namespace() {
    let (own, shared) = (Secret::git("z", REPO), Secret::git("a", REPO));
    assert_eq!(user(&[own], &[shared], REPO), Ok("z".to_owned()));
    let (other, shared) = (Secret::git("a", "https://github.com/org/other"), Secret::git("s", REPO));
    assert_eq!(user(&[other], &[shared], REPO), Ok("s".to_owned()));
}

#[test]
fn a_hit_ends_the_search_even_if_it_holds_no_login() {
    let chosen = Chosen { place: LookupNamespace::Project, name: "a".to_owned() };
    let empty = Secret::git("a", REPO).with("password", "");
    let found = user(&[empty, Secret::git("b", REPO)], &[Secret::git("s", REPO)], REPO);
    assert_eq!(found, Err(NoLogin::Empty { chosen: chosen.clone() }));
    let missing = Secret::git("a", REPO).without("username");
    assert_eq!(user(&[missing, Secret::git("b", REPO)], &[], REPO), Err(NoLogin::Missing { chosen }));
}

#[test]
fn only_the_label_says_what_a_secret_is_for() {
    let of_images = Secret::new("a", "image", &[("repoURL", REPO), ("username", "a"), ("password", "p")]);
    assert_eq!(user(&[of_images], &[], REPO), Err(NoLogin::NoMatch));
    let mut unlabelled = Secret::git("a", REPO);
    unlabelled.labels.clear();
    assert_eq!(user(&[unlabelled, Secret::git("b", REPO)], &[], REPO), Ok("b".to_owned()));
}

#[test]
fn a_secret_without_url_or_with_a_bad_pattern_is_passed_over() {
    let without = Secret::git("a", REPO).without("repoURL");
    let bad = Secret::git("b", "(").with("repoURLIsRegex", "true");
    assert_eq!(user(&[without, bad, Secret::git("c", REPO)], &[], REPO), Ok("c".to_owned()));
}

#[test]
fn plain_http_gets_nothing_unless_allowed() {
    let secret = Secret::git("a", "http://github.com/org/app");
    let candidates = [secret.candidate()];
    let ask = |over_http| login(&candidates, &[], CredentialKind::Git, "http://github.com/org/app", over_http);
    assert_eq!(ask(false), Err(NoLogin::PlainHttp));
    assert!(ask(true).is_ok());
    // Kargo looks for this very prefix, in lower case, before it normalises.
    assert!(login(&candidates, &[], CredentialKind::Git, "HTTP://github.com/org/app", false).is_ok());
}

#[test]
fn username_and_password_come_before_a_git_hub_app() {
    let app = || {
        Secret::git("a", REPO)
            .with("githubAppClientID", "id")
            .with("githubAppInstallationID", "1")
            .with("githubAppPrivateKey", "key")
    };
    assert_eq!(user(&[app()], &[], REPO), Ok("a".to_owned()));
    let chosen = || Chosen { place: LookupNamespace::Project, name: "a".to_owned() };
    assert_eq!(user(&[app().with("username", "")], &[], REPO), Err(NoLogin::Empty { chosen: chosen() }));
    assert_eq!(user(&[app().without("username")], &[], REPO), Err(NoLogin::GitHubApp { chosen: chosen() }));
    let ssh = Secret::git("a", REPO).without("password").with("sshPrivateKey", "key");
    assert_eq!(user(&[ssh], &[], REPO), Err(NoLogin::SshKey { chosen: chosen() }));
}

#[test]
fn no_reason_shows_a_value() {
    let secret = Secret::git("a", REPO).with("username", "").with("password", "hunter2");
    let shown = user(&[secret], &[], REPO).unwrap_err().to_string();
    assert_eq!(shown, "Secret \"a\" of the project's namespace is chosen, and its username or its password is empty");
}

#[rstest]
#[case::git(CredentialKind::Git, r"^https://github\.com/example-org/", Some("https://github.com/example-org/app"))]
#[case::image(CredentialKind::Image, r"^ghcr\.io/example-org/", Some("ghcr.io/example-org/app"))]
#[case::dots_that_take_anything(
    CredentialKind::Image,
    "^127.0.0.1:5000/example-org/",
    Some("127.0.0.1:5000/example-org/app")
)]
#[case::repeated_dot(CredentialKind::Git, "^https://.+/example-org/", None)]
#[case::image_with_port_escaped(
    CredentialKind::Image,
    r"^127\.0\.0\.1:5000/example-org/",
    Some("127.0.0.1:5000/example-org/app")
)]
#[case::no_slash_at_the_end(
    CredentialKind::Git,
    r"^https://github\.com/example-org",
    Some("https://github.com/example-org/app")
)]
#[case::rest_is_free(
    CredentialKind::Git,
    r"^https://github\.com/example-org/.*$",
    Some("https://github.com/example-org/app")
)]
#[case::rest_ends_in_git(
    CredentialKind::Git,
    r"^https://github\.com/example-org/[a-z]+\.git$",
    Some("https://github.com/example-org/app.git")
)]
#[case::no_anchor(CredentialKind::Git, r"github\.com/example-org/", Some("https://github.com/example-org/app"))]
#[case::from_the_beginning(CredentialKind::Git, r"\Ahttps?://github\.com/org/", Some("https://github.com/org/app"))]
#[case::two_owners(CredentialKind::Git, r"^https://gitlab\.test/group/sub/", Some("https://gitlab.test/group/sub/app"))]
#[case::choice_of_owners(CredentialKind::Git, r"^https://github\.com/(a|b)/", None)]
#[case::host_alone(CredentialKind::Git, r"^https://github\.com/", None)]
#[case::everything(CredentialKind::Git, ".*", None)]
#[case::other_name(CredentialKind::Git, r"^https://github\.com/org/infra$", None)]
#[case::bad_pattern(CredentialKind::Git, r"^https://github\.com/org/(", None)]
fn an_example_is_given_where_a_pattern_spells_out_the_owner(
    #[case] kind: CredentialKind,
    #[case] regex: &str,
    #[case] example: Option<&str>,
) {
    assert_eq!(rule(kind, &pattern(regex)).example("app").as_deref(), example);
}

#[test]
fn one_repository_is_its_own_example() {
    let secret = Secret::git("a", REPO);
    assert_eq!(rule(CredentialKind::Git, &secret.data).example("other").as_deref(), Some(REPO));
}

#[rstest]
#[case::key_alone(Secret::git("a", REPO).without("password").with("sshPrivateKey", "k"), Ok("k"))]
#[case::beside_a_password(Secret::git("a", REPO).with("sshPrivateKey", "k"), Err("username and password instead"))]
#[case::empty(Secret::git("a", REPO).without("password").with("sshPrivateKey", ""), Err("lacks"))]
#[case::other_repository(Secret::git("a", "https://github.com/org/other").with("sshPrivateKey", "k"), Err("no Secret"))]
fn an_ssh_key_is_taken_where_there_is_no_password(#[case] secret: Secret, #[case] expected: Result<&str, &str>) {
    match (ssh_key(&[secret.candidate()], &[], REPO), expected) {
        (Ok(key), Ok(expected)) => assert_eq!(key.expose_str(), Some(expected)),
        (Err(none), Err(expected)) => assert!(none.to_string().contains(expected), "{none}"),
        (found, _) => panic!("{found:?} and not {expected:?}"),
    }
}

#[rstest]
#[case::by_id(&["githubAppID", "githubAppInstallationID", "githubAppPrivateKey"], CredentialKind::Git, REPO, true)]
#[case::by_client_id(&["githubAppClientID", "githubAppInstallationID", "githubAppPrivateKey"], CredentialKind::Git, REPO, true)]
#[case::without_an_id(&["githubAppInstallationID", "githubAppPrivateKey"], CredentialKind::Git, REPO, false)]
#[case::without_an_installation(&["githubAppID", "githubAppPrivateKey"], CredentialKind::Git, REPO, false)]
#[case::without_a_key(&["githubAppID", "githubAppInstallationID"], CredentialKind::Git, REPO, false)]
#[case::over_ssh(&["githubAppID", "githubAppInstallationID", "githubAppPrivateKey"], CredentialKind::Git, "git@github.com:o/a", false)]
#[case::of_images(&["githubAppID", "githubAppInstallationID", "githubAppPrivateKey"], CredentialKind::Image, REPO, false)]
fn an_app_of_git_hub_has_an_id_an_installation_and_a_key(
    #[case] keys: &[&str],
    #[case] kind: CredentialKind,
    #[case] url: &str,
    #[case] expected: bool,
) {
    let data = keys.iter().map(|key| ((*key).to_owned(), Credential::new("x"))).collect();
    assert_eq!(is_git_hub_app(&data, kind, url), expected);
    let empty = keys.iter().map(|key| ((*key).to_owned(), Credential::new(""))).collect();
    assert!(!is_git_hub_app(&empty, kind, url));
}
