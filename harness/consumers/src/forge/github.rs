//! Paths of other forges that Gitea names otherwise: those of GitHub's API, as far as clients of it are under test, and those
//! of repositories in subgroups.

use serde_json::Value;

/// Path of GitHub Enterprise Server's API, relative to the host.
const GITHUB_API: &str = "/api/v3";
/// Path of Gitea's own, whose paths and answers are mostly GitHub's.
const GITEA_API: &str = "/api/v1";

/// Request to Gitea in the place of the client's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) path: String,
    /// The answer describes a user and has to be completed with GitHub's field names.
    pub(super) user: bool,
}

/// Maps a request's `path` at `host`. `accept` is its `Accept` header.
///
/// GitHub's API is below `/api/v3` of an Enterprise Server's host, and at the root of `api.github.com`
/// (GitHub documentation, "Getting started with the REST API").
pub(super) fn target(host: &str, path: &str, accept: &str) -> Target {
    let own_host = host.starts_with("api.").then_some(path);
    let below = path.strip_prefix(GITHUB_API).filter(|rest| rest.starts_with('/'));
    let Some(rest) = below.or(own_host) else {
        return Target { path: in_one_account(path).unwrap_or_else(|| path.to_owned()), user: false };
    };
    let path = match raw_file(rest).filter(|_| wants_raw(accept)) {
        Some(raw) => format!("{GITEA_API}{raw}"),
        None => format!("{GITEA_API}{rest}"),
    };
    Target { path, user: rest == "/user" }
}

/// The path of a Git repository in subgroups as Gitea's, which has none: `/group/sub/app.git/HEAD` is of account
/// `group.sub` there. `None` for all others.
fn in_one_account(path: &str) -> Option<String> {
    let (repository, rest) = path.split_once(".git/")?;
    let (groups, name) = repository.strip_prefix('/')?.rsplit_once('/')?;
    let is_git = !["api/", "v2/"].iter().any(|other| groups.starts_with(other));
    (is_git && groups.contains('/')).then(|| format!("/{}/{name}.git/{rest}", groups.replace('/', ".")))
}

/// `/repos/OWNER/REPOSITORY/contents/PATH` as Gitea's path of the bare file.
fn raw_file(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/repos/")?;
    let mut parts = rest.splitn(4, '/');
    let (owner, repository) = (parts.next()?, parts.next()?);
    let file = (parts.next()? == "contents").then(|| parts.next()).flatten()?;
    Some(format!("/repos/{owner}/{repository}/raw/{file}"))
}

/// `application/vnd.github.raw+json` and its older spellings `application/vnd.github.v3.raw`, `…raw`.
fn wants_raw(accept: &str) -> bool {
    accept.split(',').any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim().trim_end_matches("+json");
        kind.starts_with("application/vnd.github.") && kind.ends_with(".raw")
    })
}

/// Adds GitHub's `name` to Gitea's description of a user; the other fields have the same names.
pub(super) fn complete_user(answer: &[u8]) -> Option<Vec<u8>> {
    let mut user: Value = serde_json::from_slice(answer).ok()?;
    let fields = user.as_object_mut()?;
    let name = fields.get("full_name").cloned().filter(|name| name != "").unwrap_or(Value::Null);
    fields.insert("name".to_owned(), name);
    serde_json::to_vec(&user).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const RAW: &str = "application/vnd.github.v3.raw";

    #[rstest]
    #[case::enterprise("127.0.0.1:8443", "/api/v3/user/emails", "", "/api/v1/user/emails")]
    #[case::own_host("api.github.com", "/repos/o/r", "", "/api/v1/repos/o/r")]
    #[case::raw_file("h", "/api/v3/repos/o/r/contents/a/b.yaml", RAW, "/api/v1/repos/o/r/raw/a/b.yaml")]
    #[case::raw_in_a_list(
        "h",
        "/api/v3/repos/o/r/contents/a",
        "text/plain, application/vnd.github.raw+json;q=1",
        "/api/v1/repos/o/r/raw/a"
    )]
    #[case::json("h", "/api/v3/repos/o/r/contents/a", "application/json", "/api/v1/repos/o/r/contents/a")]
    #[case::repository_named_contents("h", "/api/v3/repos/o/contents", RAW, "/api/v1/repos/o/contents")]
    #[case::other_paths_stay("github.com", "/o/r.git/info/refs", "", "/o/r.git/info/refs")]
    #[case::subgroup("gitlab.com", "/g/s/r.git/info/refs", "", "/g.s/r.git/info/refs")]
    #[case::image_in_a_path("ghcr.io", "/v2/o/s/r.git/manifests/1", "", "/v2/o/s/r.git/manifests/1")]
    #[case::look_alike("github.com", "/api/v3x/user", "", "/api/v3x/user")]
    fn paths_are_mapped(#[case] host: &str, #[case] path: &str, #[case] accept: &str, #[case] expected: &str) {
        assert_eq!(target(host, path, accept).path, expected);
    }

    #[rstest]
    #[case("/api/v3/user", true)]
    #[case("/api/v3/user/emails", false)]
    #[case("/user", false)]
    fn only_the_users_own_description_is_completed(#[case] path: &str, #[case] user: bool) {
        assert_eq!(target("h", path, "").user, user);
    }

    #[rstest]
    #[case(r#"{"login":"ada","full_name":"Ada L."}"#, r#""Ada L.""#)]
    #[case(r#"{"login":"ada","full_name":""}"#, "null")]
    fn a_user_gets_a_name(#[case] answer: &str, #[case] name: &str) {
        let completed: Value = serde_json::from_slice(&complete_user(answer.as_bytes()).unwrap()).unwrap();
        assert_eq!(completed["name"].to_string(), name);
        assert_eq!(completed["login"], "ada");
    }

    #[test]
    fn an_answer_that_is_no_user_is_left_alone() {
        assert_eq!(complete_user(b"[]"), None);
        assert_eq!(complete_user(b"nonsense"), None);
    }
}
