//! Flux's source-controller, whose GitRepositories and OCIRepositories name the Secret that they log in with; its rules for
//! what it then takes from it are pure functions, for where the controller does not run.
//!
//! Source: source-controller v1.9, docs/spec/v1/gitrepositories.md and ocirepositories.md ("Secret reference"), with
//! fluxcd/pkg git/options.go for Git, and go-containerregistry pkg/authn/kubernetes/keychain.go for registries. Left out is
//! what needs no copy, or another server than this forge: identities of clouds, and GitHub Apps. SSH keys are in `git_ssh`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{DOCKER_CONFIG, Format, FormatError, Role, docker_config, optional};
use crate::consumer::{Consumer, ConsumerMeta, DeniedLogin};
use crate::credential::Credential;
use crate::endpoints::Endpoint;
use crate::id::Requirement;
use crate::manifest::Manifest;
use crate::scope::Scope;

/// Flux's source-controller, which fetches a GitRepository with it.
pub const FLUX_GIT: Consumer = Consumer::new(&Flux {
    kind: GIT_REPOSITORY,
    meta: ConsumerMeta {
        id: "FluxGit",
        title: "Flux's source-controller for Git",
        operation: "Git fetch by Flux's source-controller",
        fallback: Some(FLUX_GIT_RULES),
        ..GIT
    },
});

/// Flux's source-controller, which fetches an OCIRepository with it.
pub const FLUX_OCI: Consumer = Consumer::new(&Flux {
    kind: OCI_REPOSITORY,
    meta: ConsumerMeta {
        id: "FluxOci",
        title: "Flux's source-controller for registries",
        operation: "registry fetch by Flux's source-controller",
        fallback: Some(FLUX_OCI_RULES),
        ..OCI
    },
});

/// Flux's rules for a GitRepository, where source-controller does not run.
pub const FLUX_GIT_RULES: Consumer = Consumer::new(&Flux {
    kind: GIT_REPOSITORY,
    meta: ConsumerMeta {
        id: "FluxGitRules",
        title: "Flux's rules for Git",
        operation: "Git login by Flux's rules, controller not run",
        ..GIT
    },
});

/// Flux's rules for an OCIRepository, where source-controller does not run.
pub const FLUX_OCI_RULES: Consumer = Consumer::new(&Flux {
    kind: OCI_REPOSITORY,
    meta: ConsumerMeta {
        id: "FluxOciRules",
        title: "Flux's rules for registries",
        operation: "registry login by Flux's rules, controller not run",
        ..OCI
    },
});

/// Everything that the consumers of a GitRepository share.
const GIT: ConsumerMeta = ConsumerMeta {
    id: "",
    title: "",
    operation: "",
    requirement: Requirement::new(4, 2),
    fallback: None,
    endpoint: Some("a GitRepository of Flux with a Secret"),
    namespace: None,
    // Whoever writes a GitRepository says where its Secret goes, so that no host is wrong to Flux.
    denied_logins: &[DeniedLogin::WithoutSecret, DeniedLogin::FromOtherNamespace, DeniedLogin::AtLookAlikeOwner],
    offers_to_whole_host: true,
};
/// Everything that the consumers of an OCIRepository share.
const OCI: ConsumerMeta = ConsumerMeta {
    endpoint: Some("an OCIRepository of Flux with a Secret"),
    denied_logins: &[
        DeniedLogin::WithoutSecret,
        DeniedLogin::FromOtherNamespace,
        DeniedLogin::AtLookAlikeOwner,
        DeniedLogin::AtLookAlikeHost,
    ],
    ..GIT
};
/// The kind of a source that is a Git repository.
pub const GIT_REPOSITORY: &str = "GitRepository";
/// The kind of a source that is an artifact in a registry.
pub const OCI_REPOSITORY: &str = "OCIRepository";
/// The API group of its sources.
pub const GROUP: &str = "source.toolkit.fluxcd.io";

struct Flux {
    kind: &'static str,
    meta: ConsumerMeta,
}

impl Format for Flux {
    fn meta(&self) -> &ConsumerMeta {
        &self.meta
    }

    /// The repository of a source, with the Secret that it names. Nothing in such a Secret says that it is Flux's.
    fn endpoints(&self, manifests: &[Manifest]) -> Vec<Endpoint> {
        sources(manifests, self.kind, |url| Endpoint::of(url.strip_prefix("oci://").unwrap_or(url)))
    }
}

/// The repositories of sources of this kind, with the Secrets that they name.
pub(super) fn sources(
    manifests: &[Manifest],
    kind: &str,
    endpoint: impl Fn(&str) -> Option<Endpoint>,
) -> Vec<Endpoint> {
    let sources = manifests.iter().filter(|manifest| manifest.group() == GROUP && manifest.kind() == kind);
    let of_source = |spec: &Value| {
        let is_generic = spec["provider"].as_str().is_none_or(|provider| provider == "generic");
        let url = spec["url"].as_str().filter(|_| is_generic)?;
        let secret = spec["secretRef"]["name"].as_str()?;
        Some(endpoint(url)?.with_secrets([secret.to_owned()]))
    };
    sources.filter_map(|source| of_source(&source.object["spec"])).collect()
}

/// Credentials that Flux logs in to a Git server with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitLogin<'a> {
    /// Nothing: the Secret has none of the keys.
    Nobody,
    /// A username and a password, which may be empty.
    Basic(&'a Credential, Option<&'a Credential>),
    /// A bearer token. Username and password do not count beside one.
    Bearer(&'a Credential),
}

/// Why Flux does not ask a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLogin {
    /// The Secret that is named is not there.
    #[error("the Secret that it names is not in its namespace")]
    NoSecret,
    /// A password alone is no login.
    #[error("its Secret has a password without a username")]
    NoUsername,
    /// Contents of the registry's Secret cannot be read.
    #[error("its Secret is malformed")]
    Malformed,
}

/// The login that Flux takes from the Secret that a GitRepository with an HTTPS URL names.
///
/// # Errors
/// When Flux refuses the Secret, and so does not ask the server.
pub fn git_login(data: &BTreeMap<String, Credential>) -> Result<GitLogin<'_>, NoLogin> {
    if let Some(token) = data.get("bearerToken") {
        return Ok(GitLogin::Bearer(token));
    }
    match (optional(data, "username"), optional(data, "password")) {
        (Some(username), password) => Ok(GitLogin::Basic(username, password)),
        (None, Some(_)) => Err(NoLogin::NoUsername),
        (None, None) => Ok(GitLogin::Nobody),
    }
}

/// The username and the password that Flux takes from the Secret that an OCIRepository names; none where no key of the Secret
/// is for this image, and Flux goes there as nobody. Its library compares keys as the kubelet does, from which it has the code.
///
/// # Errors
/// When Flux refuses the Secret, and so does not ask the registry.
pub fn registry_login(
    image: &str,
    secret_type: &str,
    data: &BTreeMap<String, Credential>,
) -> Result<Option<(Credential, Credential)>, NoLogin> {
    // Flux overlooks Secrets of other types, as it does an empty value.
    if secret_type != DOCKER_CONFIG || optional(data, ".dockerconfigjson").is_none() {
        return Ok(None);
    }
    let mut decoded = match docker_config::decode(data) {
        Ok(decoded) => decoded,
        Err(FormatError::NoCredential) => return Ok(None),
        Err(_) => return Err(NoLogin::Malformed),
    };
    let matches = decoded.endpoints.iter().any(|key| Scope::Registry(key.clone()).covers(image));
    let mut take = |role| decoded.parts.remove(&role);
    Ok(take(Role::Username).zip(take(Role::Secret)).filter(|_| matches))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;
    use crate::consumer::CopyShape;
    use crate::endpoints::Endpoints;
    use crate::formats::KUBELET;
    use crate::labels::Labels;
    use crate::manifest::parse_documents;

    fn data(values: &[(&str, &str)]) -> BTreeMap<String, Credential> {
        values.iter().map(|(key, value)| ((*key).to_owned(), Credential::new(*value))).collect()
    }

    fn endpoints(group: &str, kind: &str, spec: &str) -> Endpoints {
        let text = format!("apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n");
        Endpoints::from_manifests(&parse_documents(Path::new("a.yaml"), &text).unwrap())
    }

    fn users_of(name: &str, secret_type: &str, endpoints: &Endpoints) -> Vec<Consumer> {
        let labels = Labels::new();
        Consumer::users_of(&CopyShape { name, labels: &labels, secret_type, keys: None }, endpoints)
    }

    #[test]
    fn a_secret_is_fluxs_too_where_a_source_names_it_and_only_there() {
        let git = endpoints(GROUP, "GitRepository", "{url: 'https://g.io/a/b', secretRef: {name: pat}}");
        assert_eq!(users_of("pat", "Opaque", &git), [FLUX_GIT]);
        assert_eq!(users_of("other", "Opaque", &git), []);
        let oci = endpoints(GROUP, "OCIRepository", "{url: 'oci://r.io/a/b', secretRef: {name: pull}}");
        assert_eq!(users_of("pull", DOCKER_CONFIG, &oci), [KUBELET, FLUX_OCI]);
        assert_eq!(users_of("other", DOCKER_CONFIG, &oci), [KUBELET]);
    }

    #[rstest]
    #[case::public(GROUP, "{url: 'https://g.io/a/b'}")]
    #[case::of_a_cloud(GROUP, "{url: 'https://g.io/a/b', provider: azure, secretRef: {name: pat}}")]
    #[case::of_another_group("example.com", "{url: 'https://g.io/a/b', secretRef: {name: pat}}")]
    fn other_sources_say_nothing(#[case] group: &str, #[case] spec: &str) {
        assert!(endpoints(group, "GitRepository", spec).is_empty());
    }

    #[rstest]
    #[case::basic(&[("username", "u"), ("password", "p")], Ok("basic u p"))]
    #[case::username_alone(&[("username", "u")], Ok("basic u "))]
    #[case::bearer_before_basic(&[("bearerToken", "t"), ("username", "u"), ("password", "p")], Ok("bearer t"))]
    #[case::other_keys(&[("token", "t")], Ok("nobody"))]
    #[case::no_username(&[("password", "p")], Err(NoLogin::NoUsername))]
    #[case::empty_username(&[("username", ""), ("password", "p")], Err(NoLogin::NoUsername))]
    fn git_logs_in_with_these_keys(#[case] values: &[(&str, &str)], #[case] expected: Result<&str, NoLogin>) {
        let values = data(values);
        let text = |value: &Credential| value.expose_str().unwrap().to_owned();
        let found = git_login(&values).map(|login| match login {
            GitLogin::Nobody => "nobody".to_owned(),
            GitLogin::Basic(user, password) => {
                format!("basic {} {}", text(user), password.map(text).unwrap_or_default())
            }
            GitLogin::Bearer(token) => format!("bearer {}", text(token)),
        });
        assert_eq!(found, expected.map(str::to_owned));
    }

    #[rstest]
    #[case::host("r.io", DOCKER_CONFIG, Ok(true))]
    #[case::repository("r.io/a/b", DOCKER_CONFIG, Ok(true))]
    #[case::owner("r.io/a", DOCKER_CONFIG, Ok(true))]
    #[case::host_with_scheme("https://r.io", DOCKER_CONFIG, Ok(true))]
    #[case::other_owner("r.io/c", DOCKER_CONFIG, Ok(false))]
    #[case::beginning_of_the_host("r.i", DOCKER_CONFIG, Ok(false))]
    #[case::other_type("r.io", "Opaque", Ok(false))]
    #[case::broken_quotes("r.io\"", DOCKER_CONFIG, Err(NoLogin::Malformed))]
    fn registry_logs_in_where_a_key_is_for_the_image(
        #[case] key: &str,
        #[case] secret_type: &str,
        #[case] expected: Result<bool, NoLogin>,
    ) {
        let json = format!(r#"{{"auths":{{"{key}":{{"username":"u","password":"p"}}}}}}"#);
        let found = registry_login("r.io/a/b", secret_type, &data(&[(".dockerconfigjson", &json)]));
        assert_eq!(found.map(|login| login.is_some()), expected);
    }
}
