//! The normal form in which Kargo compares the URLs of repositories.
//!
//! Source: Kargo v1.11.2, pkg/urls, and go-containerregistry v0.20.7, pkg/name. A URL that does not parse stays as it
//! is. Escapes in URLs are compared as they are written, where Kargo brings their different spellings together.

use std::sync::LazyLock;

use regex::Regex;

use super::CredentialKind;
use super::go_url::GoUrl;

/// Characters that Go's `unicode.IsPrint` says no to: everything but letters, marks, numbers, punctuation, symbols and the space.
static NOT_PRINTABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[^\p{L}\p{M}\p{N}\p{P}\p{S} ]").expect("the pattern is fixed and tested"));

/// `[USER@]HOST[:PATH]`, as scp writes it.
static SCP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^((?:[0-9a-z_-]+@)?[0-9a-z_-]+(?:\.[0-9a-z_-]+)*)(?::(.*))?$")
        .expect("the pattern is fixed and tested")
});

/// Docker Hub's names, `docker.io` among them because it is short for the first.
const DOCKER_HUB: [&str; 3] = ["index.docker.io", "docker.io", "registry-1.docker.io"];

/// A URL in the normal form of its kind.
pub(crate) fn normalise(kind: CredentialKind, url: &str) -> String {
    let normal = match kind {
        CredentialKind::Git => git(url),
        CredentialKind::Image => image(url),
        // What is no image stays without its scheme and in lower case.
        CredentialKind::Helm => without_oci(url).map(|url| image(&url).unwrap_or(url)),
    };
    normal.unwrap_or_else(|| url.to_owned())
}

/// Without what cannot be seen, and without spaces around it: such things come along when a URL is copied.
fn printable(url: &str) -> String {
    NOT_PRINTABLE.replace_all(url, "").trim_matches(' ').to_owned()
}

fn git(url: &str) -> Option<String> {
    let url = printable(&url.to_lowercase());
    let over_http = url.starts_with("http://") || url.starts_with("https://");
    if over_http || url.starts_with("ssh://") {
        let parsed = GoUrl::parse(&url)?;
        if parsed.has_parameters() {
            return None;
        }
        let parsed = if over_http { parsed.without_user() } else { parsed };
        return Some(parsed.without_git_suffix().to_string());
    }
    let scp = SCP.captures(&url)?;
    let path = scp.get(2).map_or("", |path| path.as_str());
    let path = GoUrl::parse(path)?.without_git_suffix();
    Some(if path.has_path() { format!("ssh://{}/{path}", &scp[1]) } else { format!("ssh://{}", &scp[1]) })
}

fn image(url: &str) -> Option<String> {
    let url = printable(&url.to_lowercase());
    let (registry, repository) = tagged(&url).or_else(|| with_digest(&url))?;
    if registry.is_empty() || DOCKER_HUB.contains(&registry) {
        return Some(repository.strip_prefix("library/").unwrap_or(repository).to_owned());
    }
    Some(format!("{registry}/{repository}"))
}

/// In lower case and without the scheme `oci`; `None` if it is no URL.
fn without_oci(url: &str) -> Option<String> {
    let url = printable(url);
    GoUrl::parse(&url)?;
    let url = url.to_lowercase();
    Some(url.strip_prefix("oci://").unwrap_or(&url).to_owned())
}

/// Registry and repository of a name with or without a tag.
fn tagged(name: &str) -> Option<(&str, &str)> {
    match name.rsplit_once(':') {
        // A slash behind the colon makes it the colon of a port.
        Some((base, tag)) if !tag.contains('/') => {
            let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            ((1..=128).contains(&tag.len()) && tag.bytes().all(is_tag)).then_some(base).and_then(untagged)
        }
        _ => untagged(name),
    }
}

/// Registry and repository of a name with a digest, with or without a tag.
fn with_digest(name: &str) -> Option<(&str, &str)> {
    let (base, digest) = name.split_once('@')?;
    let hex = digest.strip_prefix("sha256:")?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hex.len() != 64 || !hex.bytes().all(is_hex) {
        return None;
    }
    tagged(base).or_else(|| untagged(base))
}

/// Registry and repository of a name. The registry is empty where the first part does not look like a host.
fn untagged(name: &str) -> Option<(&str, &str)> {
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) => (first, rest),
        _ => ("", name),
    };
    let is_repository = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-./".contains(&byte);
    let valid = (2..=255).contains(&repository.len())
        && repository.bytes().all(is_repository)
        && GoUrl::is_authority_without_user(registry);
    valid.then_some((registry, repository))
}
