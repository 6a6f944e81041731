//! Places that a copy is good for, as its consumer decides it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::glob;
use crate::kargo_lookup::{CredentialKind, Rule};
use crate::labels::Labels;
use crate::look_alike::{LookAlike, look_alikes, stranger};

/// The value of a key as far as it is known before there is a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written<'a> {
    /// The text that every copy has.
    Literal(&'a str),
    /// A template, with actions in it.
    Template(&'a str),
    /// It comes from a source.
    Read,
}

/// A copy as its configuration writes it. A copy that is there is all literal, as far as it is text.
#[derive(Debug, Clone)]
pub struct WrittenCopy<'a> {
    /// Labels of the Secret, by which some consumers find it.
    pub labels: &'a Labels,
    /// Its keys; none if only the controller knows them.
    pub keys: Option<BTreeMap<&'a str, Written<'a>>>,
}

impl<'a> WrittenCopy<'a> {
    /// True if it has the key, as far as its keys are known.
    pub fn has(&self, key: &str) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.contains_key(key))
    }

    /// The text of a key that is the same in every copy.
    pub fn literal(&self, key: &str) -> Option<&'a str> {
        match self.keys.as_ref()?.get(key)? {
            Written::Literal(text) => Some(text),
            Written::Template(_) | Written::Read => None,
        }
    }

    /// The text of a key that says where the copy is used.
    ///
    /// # Errors
    /// When that is not known.
    pub(crate) fn place(&self, key: &'static str) -> Result<&'a str, NotTried> {
        self.literal(key).ok_or(NotTried::PlaceUnknown { key })
    }
}

/// Why no login is tried with a copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum NotTried {
    /// Nothing tells whose it is.
    #[error(
        "no consumer is known for it: neither its labels, its type nor its keys, nor a manifest of a consumer, tell one"
    )]
    Nobody,
    /// Its label makes it something else than a login that can be tried.
    #[error("its label {label} is {value:?}: {what}")]
    Label { label: &'static str, value: String, what: &'static str },
    /// It holds another kind of credential than the forge of the run checks.
    #[error("it holds {what}")]
    Credential {
        /// The kind, and why it cannot be checked.
        what: &'static str,
    },
    /// It is for what its consumer fetches in another way than by Git.
    #[error("its type is {kind:?}: a login for charts or artifacts, and only Git is synced here")]
    OtherType { kind: String },
    /// It holds an SSH key, with which its consumer goes another way than with a password.
    #[error("it holds an SSH key, and {consumer} uses none")]
    SshKey { consumer: &'static str },
    /// The place where it is used is not written down.
    #[error("its key {key:?}, which says where it is used, is absent, read from a source or made by a template")]
    PlaceUnknown { key: &'static str },
    /// No manifest uses a place that it is for.
    #[error("no manifest of {consumer} names a place that it is for")]
    NoPlace {
        /// The consumer whose manifests are asked for.
        consumer: &'static str,
    },
    /// No manifest names the Secret.
    #[error("no manifest of {consumer} names this Secret")]
    NotNamed {
        /// The consumer whose manifests are asked for.
        consumer: &'static str,
    },
}

/// Places that a copy is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Wherever a manifest uses it.
    Everywhere,
    /// All repositories whose URL begins with this, by Argo CD.
    ArgoCdPrefix(String),
    /// One repository, by Argo CD.
    ArgoCdRepository {
        /// URL of the only repository that it is for.
        url: String,
        /// The only project that may use it; none for all of them.
        project: Option<String>,
    },
    /// The repositories that a rule of Kargo accepts.
    Kargo {
        /// Kind of credential that they are repositories of.
        kind: CredentialKind,
        /// The rule's URL or pattern.
        repo_url: String,
        /// True if it is a pattern.
        is_regex: bool,
    },
    /// The images that a key of a Docker configuration stands for, by the kubelet.
    Registry(String),
}

impl Scope {
    /// True if the copy is for the repository or the image `url`.
    pub fn covers(&self, url: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::ArgoCdPrefix(prefix) => argo_cd_normal(url).starts_with(&argo_cd_normal(prefix)),
            Self::ArgoCdRepository { url: own, .. } => argo_cd_normal(url) == argo_cd_normal(own),
            Self::Kargo { kind, repo_url, is_regex } => Rule::new(*kind, repo_url, *is_regex).accepts(url),
            Self::Registry(key) => registry_key_covers(key, url),
        }
    }

    /// The project that alone may use it.
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::ArgoCdRepository { project, .. } => project.as_deref(),
            _ => None,
        }
    }

    /// True if the copy is for `url` whoever owns it.
    pub fn is_for_whole_host(&self, url: &str) -> bool {
        stranger(url).is_some_and(|stranger| self.covers(&stranger))
    }

    /// The repositories of others that look like `url` and that the copy is for as well, although it is not for everybody
    /// at their level.
    pub fn let_in(&self, url: &str) -> Vec<LookAlike> {
        if *self == Self::Everywhere {
            return Vec::new();
        }
        let by_mistake = |other: &LookAlike| {
            self.covers(&other.url) && !other.stranger.as_deref().is_some_and(|stranger| self.covers(stranger))
        };
        look_alikes(url).into_iter().filter(by_mistake).collect()
    }
}

/// A URL as Argo CD compares it.
///
/// Source: argo-cd util/git/git.go, `NormalizeGitURL`; util/db/repository_secrets.go compares prefixes.
pub(crate) fn argo_cd_normal(url: &str) -> String {
    let url = url.trim().to_lowercase();
    // As scp writes it: `USER@HOST:PATH`.
    let is_scp = !url.contains("://") && url.split_once(':').is_some_and(|(before, _)| before.contains('@'));
    let url = if is_scp { url.replacen(':', "/", 1) } else { url };
    let url = url.strip_suffix(".git").unwrap_or(&url);
    url.strip_prefix("ssh://").unwrap_or(url).to_owned()
}

/// True if the kubelet offers the login under `key` for `image`: ports are equal, each label of the host matches as a glob,
/// and the path begins with that of the key.
///
/// Source: kubernetes pkg/credentialprovider/keyring.go, `URLsMatch`, and `Add` for what a key is before.
fn registry_key_covers(key: &str, image: &str) -> bool {
    let key = ["https://", "http://"].iter().find_map(|scheme| key.strip_prefix(scheme)).unwrap_or(key);
    let (key_host, key_path) = host_and_path(key);
    let key_path = ["/v1/", "/v2/"].iter().find(|api| key_path.starts_with(**api)).map_or(key_path, |_| &key_path[3..]);
    let (host, path) = host_and_path(image);
    let (key_name, key_port) = name_and_port(key_host);
    let (name, port) = name_and_port(host);
    let (globs, labels): (Vec<&str>, Vec<&str>) = (key_name.split('.').collect(), name.split('.').collect());
    key_port == port
        && globs.len() == labels.len()
        && globs.iter().zip(&labels).all(|(glob, label)| glob::matches(glob, label))
        && (key_path == "/" || path.starts_with(key_path))
}

fn host_and_path(reference: &str) -> (&str, &str) {
    reference.split_at(reference.find('/').unwrap_or(reference.len()))
}

fn name_and_port(host: &str) -> (&str, Option<&str>) {
    host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port)))
}

/// A quoted text that is a key of a Docker configuration: a host with a dot or a port, and perhaps a path.
static QUOTED_REGISTRY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"["`]((?:https?://)?(?:[a-zA-Z0-9*-]+(?:\.[a-zA-Z0-9*-]+)+(?::[0-9]+)?|[a-zA-Z0-9-]+:[0-9]+)(?:/[^"`\s]*)?)["`]"#)
        .expect("the pattern is fixed and tested")
});

/// The registries that a Docker configuration has logins for; none where its text does not tell.
pub(crate) fn registries(config: Written<'_>) -> Vec<String> {
    match config {
        Written::Literal(json) => {
            let parsed: Value = serde_json::from_str(json).unwrap_or_default();
            let keys: BTreeSet<String> =
                parsed["auths"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
            keys.into_iter().collect()
        }
        // Neither the keys of a login nor the formats of its parts look like hosts.
        Written::Template(text) => QUOTED_REGISTRY.captures_iter(text).map(|found| found[1].to_owned()).collect(),
        Written::Read => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn kargo(kind: CredentialKind, pattern: &str) -> Scope {
        Scope::Kargo { kind, repo_url: pattern.to_owned(), is_regex: true }
    }

    #[rstest]
    #[case::host("ghcr.io", "ghcr.io/org/app", true)]
    #[case::api_of_docker("https://index.docker.io/v1/", "index.docker.io/org/app", true)]
    #[case::owner("ghcr.io/org", "ghcr.io/org/app", true)]
    #[case::owner_by_prefix("ghcr.io/org", "ghcr.io/org-evil/app", true)]
    #[case::owner_with_slash("ghcr.io/org/", "ghcr.io/org-evil/app", false)]
    #[case::other_owner("ghcr.io/org", "ghcr.io/other/app", false)]
    #[case::other_port("ghcr.io:8443", "ghcr.io/org/app", false)]
    #[case::same_port("registry.test:5000", "registry.test:5000/org/app", true)]
    #[case::glob("*.example.org", "registry.example.org/org/app", true)]
    #[case::glob_of_one_character("registry-?.example.org", "registry-a.example.org/org/app", true)]
    #[case::glob_of_a_class("registry-[ab].example.org", "registry-a.example.org/org/app", true)]
    #[case::port_behind_a_glob("registry.*", "registry.example:5000/org/app", false)]
    #[case::glob_of_one_label("*.example.org", "a.registry.example.org/org/app", false)]
    #[case::part_of_a_label("reg*y.example.org", "registry.example.org/o/a", true)]
    #[case::end_of_a_label("*-west.example.org", "us-east.example.org/o/a", false)]
    #[case::longer_host("ghcr.io", "ghcr.io.example/org/app", false)]
    fn a_registry_key_is_read_like_the_kubelet_does(#[case] key: &str, #[case] image: &str, #[case] expected: bool) {
        assert_eq!(Scope::Registry(key.to_owned()).covers(image), expected);
    }

    #[rstest]
    #[case::prefix("https://github.com/org/", "https://github.com/org/app.git", true)]
    #[case::upper_case("https://GitHub.com/Org/", "https://github.com/org/app", true)]
    #[case::other_owner("https://github.com/org/", "https://github.com/org-evil/app", false)]
    fn argo_cd_compares_prefixes(#[case] prefix: &str, #[case] url: &str, #[case] expected: bool) {
        assert_eq!(Scope::ArgoCdPrefix(prefix.to_owned()).covers(url), expected);
    }

    #[rstest]
    #[case::as_scp_writes_it("git@github.com:org/", "ssh://git@github.com/org/app.git", true)]
    #[case::of_scp("ssh://git@github.com/org/", "git@github.com:org/app", true)]
    #[case::no_end_of_the_owner("git@github.com:org", "ssh://git@github.com/org-evil/app", true)]
    #[case::other_owner("git@github.com:org/", "git@github.com:org-evil/app", false)]
    #[case::over_https("git@github.com:org/", "https://github.com/org/app", false)]
    fn argo_cd_compares_prefixes_over_ssh(#[case] prefix: &str, #[case] url: &str, #[case] expected: bool) {
        assert_eq!(Scope::ArgoCdPrefix(prefix.to_owned()).covers(url), expected);
    }

    #[test]
    fn argo_cd_repository_is_one_with_or_without_git() {
        let scope = Scope::ArgoCdRepository { url: "https://github.com/org/app".to_owned(), project: None };
        assert!(scope.covers("https://github.com/org/app.git"));
        assert!(!scope.covers("https://github.com/org/app-two.git"));
    }

    const GIT: &str = "https://github.com/org/app";
    const IMAGE: &str = "ghcr.io/org/app";

    #[rstest]
    #[case::kargo_git(kargo(CredentialKind::Git, r"^https://github\.com/org/"), GIT)]
    #[case::kargo_image(kargo(CredentialKind::Image, r"^ghcr\.io/org/"), IMAGE)]
    #[case::kargo_one(Scope::Kargo { kind: CredentialKind::Git, repo_url: GIT.to_owned(), is_regex: false }, GIT)]
    #[case::whole_host_on_purpose(kargo(CredentialKind::Git, r"^https://github\.com/"), GIT)]
    #[case::outer_group_on_purpose(
        kargo(CredentialKind::Git, r"^https://gitlab\.test/g/"),
        "https://gitlab.test/g/s/app"
    )]
    #[case::argo_cd(Scope::ArgoCdPrefix("https://github.com/org/".to_owned()), GIT)]
    #[case::argo_cd_host(Scope::ArgoCdPrefix("https://github.com/".to_owned()), GIT)]
    #[case::registry(Scope::Registry("ghcr.io".to_owned()), IMAGE)]
    #[case::registry_and_owner(Scope::Registry("ghcr.io/org/".to_owned()), IMAGE)]
    #[case::registry_and_image(Scope::Registry("ghcr.io/org/app".to_owned()), IMAGE)]
    #[case::all_hosts_of_a_domain(Scope::Registry("*.example.org".to_owned()), "registry.example.org/org/app")]
    fn a_sound_scope_lets_no_look_alike_in(#[case] scope: Scope, #[case] url: &str) {
        assert!(scope.covers(url));
        assert_eq!(scope.let_in(url), []);
    }

    #[rstest]
    #[case::kargo_no_slash(kargo(CredentialKind::Git, r"^https://github\.com/org"), GIT, "an owner whose name goes on")]
    #[case::kargo_no_end_of_host(kargo(CredentialKind::Git, r"^https://github\.com"), GIT, "a host whose name goes on")]
    #[case::kargo_no_scheme(kargo(CredentialKind::Git, r"github\.com/org/"), GIT, "a host whose name ends alike")]
    #[case::kargo_no_anchor(
        kargo(CredentialKind::Git, r"https://github\.com/org/"),
        GIT,
        "a path that holds the whole URL"
    )]
    #[case::kargo_dot(kargo(CredentialKind::Git, "^https://github.com/org/"), GIT, "a host with a letter for a dot")]
    #[case::kargo_image_no_anchor(
        kargo(CredentialKind::Image, r"ghcr\.io/org/"),
        IMAGE,
        "a host whose name ends alike"
    )]
    #[case::kargo_everything(kargo(CredentialKind::Git, ".*"), GIT, "a host whose name goes on")]
    #[case::argo_cd_no_slash(
        Scope::ArgoCdPrefix("https://github.com/org".to_owned()),
        GIT,
        "an owner whose name goes on"
    )]
    #[case::argo_cd_no_slash_behind_the_host(
        Scope::ArgoCdPrefix("https://github.com".to_owned()),
        GIT,
        "a host whose name goes on"
    )]
    #[case::registry_no_slash(Scope::Registry("ghcr.io/org".to_owned()), IMAGE, "an owner whose name goes on")]
    fn a_loose_scope_lets_a_look_alike_in(#[case] scope: Scope, #[case] url: &str, #[case] what: &str) {
        assert!(scope.covers(url));
        assert!(scope.let_in(url).iter().any(|look_alike| look_alike.what == what), "{:?}", scope.let_in(url));
    }

    #[rstest]
    #[case::dict(r#"{{ dict "auths" (dict "ghcr.io" (dict "username" .u "auth" (printf "%s:%s" .u .p | b64enc))) | toJson }}"#, &["ghcr.io"])]
    #[case::json(
        r#"{"auths":{"ghcr.io":{"password":"{{ .p }}"},"registry.test:5000/team/":{"password":"{{ .p }}"}}}"#,
        &["ghcr.io", "registry.test:5000/team/"]
    )]
    #[case::api_of_docker(r#"{"auths":{"https://index.docker.io/v1/":{"password":"{{ .p }}"}}}"#, &["https://index.docker.io/v1/"])]
    #[case::read_from_a_source(r#"{{ dict "auths" (dict .host (dict "password" .p)) | toJson }}"#, &[])]
    fn the_registries_of_a_template_are_its_quoted_hosts(#[case] template: &str, #[case] expected: &[&str]) {
        assert_eq!(registries(Written::Template(template)), expected);
    }

    #[test]
    fn the_registries_of_a_configuration_are_its_keys() {
        assert_eq!(registries(Written::Literal(r#"{"auths":{"b.io":{},"a.io/x":{}}}"#)), ["a.io/x", "b.io"]);
        assert!(registries(Written::Literal("no JSON")).is_empty());
    }

    #[rstest]
    #[case::one_owner(kargo(CredentialKind::Git, r"^https://github\.com/org/"), false)]
    #[case::every_owner(kargo(CredentialKind::Git, r"^https://github\.com/"), true)]
    #[case::everywhere(Scope::Everywhere, true)]
    fn a_scope_is_for_a_whole_host_if_it_is_for_a_stranger_there(#[case] scope: Scope, #[case] expected: bool) {
        assert_eq!(scope.is_for_whole_host(GIT), expected);
        assert!(!scope.is_for_whole_host("busybox"), "nobody owns it");
    }

    #[test]
    fn only_a_repository_of_argo_cd_may_be_for_one_project() {
        let of =
            |project: Option<&str>| Scope::ArgoCdRepository { url: GIT.to_owned(), project: project.map(Into::into) };
        assert_eq!((of(Some("shop")).project(), of(None).project()), (Some("shop"), None));
        assert_eq!(Scope::ArgoCdPrefix(GIT.to_owned()).project(), None);
        assert_eq!(Scope::Everywhere.let_in(GIT), []);
    }

    #[test]
    fn only_what_has_a_user_is_written_as_scp_does() {
        assert_eq!(argo_cd_normal("git@github.com:org/app"), "git@github.com/org/app");
        assert_eq!(argo_cd_normal("github.com:org/app"), "github.com:org/app");
    }
}
