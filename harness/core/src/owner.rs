//! An owner of repositories and images.

use std::fmt;

/// An owner of repositories or images on a host: `github.com` and `example-org`, or `gitlab.com` and `group/subgroup`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The host, with a port if it is not the default one.
    pub host: String,
    /// The path to what is owned, without its name.
    pub path: String,
}

impl Owner {
    /// The owner of `reference`, a repository's HTTPS URL or an image, and the name of what is owned, without `.git`, tag
    /// and digest. `None` for what has no owner or another scheme.
    pub(crate) fn split(reference: &str) -> Option<(Self, String)> {
        let rest = reference.strip_prefix("https://").unwrap_or(reference);
        if rest.contains("://") {
            return None;
        }
        let (host, path) = rest.split_once('/')?;
        let (path, name) = path.trim_end_matches('/').rsplit_once('/')?;
        let name = name.split(['@', ':']).next().unwrap_or_default();
        let name = name.strip_suffix(".git").unwrap_or(name);
        // A first element without dot or port names no host: such images are of Docker Hub.
        let is_host = host.contains(['.', ':']) || host == "localhost";
        let is_complete = !name.is_empty() && path.split('/').all(|element| !element.is_empty());
        (is_host && is_complete).then(|| (Self { host: host.to_owned(), path: path.to_owned() }, name.to_owned()))
    }

    /// The same of a repository's URL over SSH, `ssh://git@HOST/PATH/NAME` or as scp writes it, `git@HOST:PATH/NAME`. `None` for
    /// another user: forges take their users by their keys, and all as `git`.
    pub(crate) fn split_over_ssh(reference: &str) -> Option<(Self, String)> {
        let rest = match reference.strip_prefix("ssh://") {
            Some(rest) => rest.strip_prefix("git@")?.to_owned(),
            None => reference.strip_prefix("git@").filter(|rest| !rest.contains("://"))?.replacen(':', "/", 1),
        };
        Self::split(&rest)
    }

    /// The image repository `name` of this owner.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.host, self.path)
    }

    /// The Git repository `name` of this owner.
    pub fn repository(&self, name: &str) -> String {
        format!("https://{}/{}/{name}.git", self.host, self.path)
    }

    /// The Git repository `name` of this owner over SSH, as the user `git`.
    pub fn repository_over_ssh(&self, name: &str) -> String {
        format!("ssh://git@{}/{}/{name}.git", self.host, self.path)
    }

    /// The account that holds its images on a forge: registries take whatever follows for the image's name.
    pub fn account_of_images(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// The account that holds its repositories on a forge without subgroups.
    pub fn account_of_repositories(&self) -> String {
        self.path.replace('/', ".")
    }

    /// An owner on the same host whose name begins with that of this one, for subgroups that of the outermost: nothing
    /// below the same account is somebody else's.
    #[must_use]
    pub fn look_alike(&self) -> Self {
        let (outermost, rest) = self.path.split_at(self.path.find('/').unwrap_or(self.path.len()));
        Self { host: self.host.clone(), path: format!("{outermost}-evil{rest}") }
    }

    /// An owner of the same name on a host whose name begins with that of this one.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self { host: format!("{}.example", self.host), path: self.path.clone() }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::image("ghcr.io/example-org/shop:1.4.2", Some(("ghcr.io", "example-org", "shop")))]
    #[case::image_with_port("registry.test:5000/team/a/b@sha256:00", Some(("registry.test:5000", "team/a", "b")))]
    #[case::repository("https://github.com/example-org/shop.git", Some(("github.com", "example-org", "shop")))]
    #[case::slash_at_the_end("https://github.com/example-org/shop/", Some(("github.com", "example-org", "shop")))]
    #[case::subgroup("https://gitlab.com/group/sub/app", Some(("gitlab.com", "group/sub", "app")))]
    #[case::this_machine("localhost/team/a", Some(("localhost", "team", "a")))]
    #[case::docker_hub("library/nginx", None)]
    #[case::no_owner("ghcr.io/shop", None)]
    #[case::plain_http("http://github.com/a/b", None)]
    #[case::ssh("ssh://git@github.com/a/b", None)]
    #[case::nothing_between_slashes("https://github.com//b", None)]
    fn an_owner_is_host_and_path(#[case] reference: &str, #[case] expected: Option<(&str, &str, &str)>) {
        assert_eq!(told(&Owner::split(reference)), expected);
    }

    #[rstest]
    #[case::url("ssh://git@github.com/example-org/shop.git", Some(("github.com", "example-org", "shop")))]
    #[case::scp("git@github.com:example-org/shop.git", Some(("github.com", "example-org", "shop")))]
    #[case::port("ssh://git@gitlab.test:2222/group/sub/app", Some(("gitlab.test:2222", "group/sub", "app")))]
    #[case::another_user("ssh://ada@github.com/example-org/shop", None)]
    #[case::no_owner("git@github.com:shop", None)]
    #[case::https("https://github.com/example-org/shop", None)]
    #[case::https_with_user("https://git@github.com/example-org/shop", None)]
    fn an_owner_over_ssh_is_host_and_path(#[case] reference: &str, #[case] expected: Option<(&str, &str, &str)>) {
        assert_eq!(told(&Owner::split_over_ssh(reference)), expected);
    }

    fn told(found: &Option<(Owner, String)>) -> Option<(&str, &str, &str)> {
        found.as_ref().map(|(owner, name)| (owner.host.as_str(), owner.path.as_str(), name.as_str()))
    }

    #[test]
    fn a_look_alike_of_a_subgroup_is_of_another_account() {
        let (owner, _) = Owner::split("https://gitlab.com/group/sub/app").unwrap();
        assert_eq!((owner.account_of_images(), &*owner.account_of_repositories()), ("group", "group.sub"));
        let other = owner.look_alike();
        assert_eq!(other.path, "group-evil/sub");
        assert_ne!(other.account_of_images(), owner.account_of_images());
        assert_ne!(other.account_of_repositories(), owner.account_of_repositories());
    }

    #[test]
    fn what_an_owner_has_is_written_below_its_path() {
        let owner = Owner { host: "g.io".to_owned(), path: "a/b".to_owned() };
        assert_eq!(owner.image("n"), "g.io/a/b/n");
        assert_eq!(owner.repository("n"), "https://g.io/a/b/n.git");
        assert_eq!(owner.repository_over_ssh("n"), "ssh://git@g.io/a/b/n.git");
        assert_eq!((owner.to_string(), owner.elsewhere().to_string()), ("g.io/a/b".into(), "g.io.example/a/b".into()));
        let flat = Owner { path: "a".to_owned(), ..owner };
        assert_eq!((flat.look_alike().path.as_str(), flat.account_of_images()), ("a-evil", "a"));
    }
}
