//! Repositories of others whose URLs look like one of ours.

/// A repository that belongs to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookAlike {
    /// Features that make it look alike.
    pub what: &'static str,
    /// URL that looks like one of the owner's and is not.
    pub url: String,
    /// The URL of a stranger at the same level, who does not look alike: a credential that is for the stranger as well is for
    /// all at that level on purpose. None where nobody could mean that.
    pub stranger: Option<String>,
}

/// The beginning of a URL, its host with a port, and the elements of its path.
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    port: &'a str,
    path: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = match url.find("://") {
            Some(end) => url.split_at(end + "://".len()),
            None => ("", url),
        };
        let (authority, path) = rest.split_once('/')?;
        let path: Vec<&str> = path.split('/').collect();
        if authority.is_empty() || path.len() < 2 || path.iter().any(|element| element.is_empty()) {
            return None;
        }
        let (host, port) = authority.split_at(authority.rfind(':').unwrap_or(authority.len()));
        Some(Self { scheme, host, port, path })
    }

    fn at_host(&self, host: &str) -> String {
        format!("{}{host}{}/{}", self.scheme, self.port, self.path.join("/"))
    }

    fn at_owner(&self, level: usize, owner: &str) -> String {
        let mut path = self.path.clone();
        path[level] = owner;
        format!("{}{}{}/{}", self.scheme, self.host, self.port, path.join("/"))
    }
}

/// The URL of the same name of an owner on the same host who does not look alike.
pub(crate) fn stranger(url: &str) -> Option<String> {
    Some(Parts::of(url)?.at_owner(0, "somebody-else"))
}

/// A letter that no name of ours has in the place of a dot.
const FOR_A_DOT: &str = "x";

/// Repositories that must never get the credential of the owner of `url`, a URL like
/// `[SCHEME://][USER@]HOST/OWNER/NAME`, with as many owners as there are. Hosts are those that nobody can register
/// (RFC 2606), or no public ones. Empty where there is no owner.
///
/// One whose host ends alike, and one whose path holds the whole URL, fool a pattern without an anchor at its beginning;
/// one with a letter for a dot fools a pattern whose dots are not escaped; one that goes on, a pattern or a prefix that
/// ends too early.
pub(crate) fn look_alikes(url: &str) -> Vec<LookAlike> {
    let Some(parts) = Parts::of(url) else { return Vec::new() };
    let mut all = Vec::new();
    let mut add = |what, url, stranger| all.push(LookAlike { what, url, stranger });
    let host = parts.host;
    add("a host whose name goes on", parts.at_host(&format!("{host}.evil.test")), None);
    // What stands before an @ is no part of the host.
    let (user, bare) = host.split_at(host.rfind('@').map_or(0, |at| at + 1));
    let domain = bare.split_once('.').map_or("", |(_, domain)| domain);
    add(
        "a host whose name ends alike",
        parts.at_host(&format!("{user}evil-{bare}")),
        Some(parts.at_host(&format!("{user}somebody-else.{domain}"))),
    );
    for (at, _) in bare.match_indices('.') {
        let other = format!("{user}{}{FOR_A_DOT}{}", &bare[..at], &bare[at + 1..]);
        add("a host with a letter for a dot", parts.at_host(&other), None);
    }
    for (level, owner) in parts.path.iter().enumerate().take(parts.path.len() - 1) {
        let stranger = || Some(parts.at_owner(level, "somebody-else"));
        add("an owner whose name goes on", parts.at_owner(level, &format!("{owner}-evil")), stranger());
        if owner.contains('.') {
            let other = owner.replace('.', FOR_A_DOT);
            add("an owner with a letter for a dot", parts.at_owner(level, &other), stranger());
        }
    }
    add("a path that holds the whole URL", format!("{}evil.test/{url}", parts.scheme), None);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(url: &str) -> Vec<String> {
        look_alikes(url).into_iter().map(|look_alike| look_alike.url).collect()
    }

    #[test]
    fn look_alikes_keep_the_port_and_change_host_or_owner() {
        assert_eq!(
            urls("ghcr.io:8443/org/app"),
            [
                "ghcr.io.evil.test:8443/org/app",
                "evil-ghcr.io:8443/org/app",
                "ghcrxio:8443/org/app",
                "ghcr.io:8443/org-evil/app",
                "evil.test/ghcr.io:8443/org/app",
            ]
        );
        assert!(look_alikes("busybox").is_empty());
    }

    #[test]
    fn each_owner_of_a_subgroup_has_a_look_alike_and_its_name_has_none() {
        let of_owners: Vec<String> = urls("https://gitlab.test/my.group/sub/app")
            .into_iter()
            .filter(|url| url.starts_with("https://gitlab.test/"))
            .collect();
        assert_eq!(
            of_owners,
            [
                "https://gitlab.test/my.group-evil/sub/app",
                "https://gitlab.test/myxgroup/sub/app",
                "https://gitlab.test/my.group/sub-evil/app",
            ]
        );
    }

    #[test]
    fn a_stranger_is_another_owner_on_the_same_host() {
        assert_eq!(stranger("https://g.test:8443/org/app").as_deref(), Some("https://g.test:8443/somebody-else/app"));
        for url in ["busybox", "g.test/app", "/org/app", "g.test//app"] {
            assert_eq!(stranger(url), None, "{url}");
        }
    }

    #[test]
    fn look_alikes_keep_the_user_and_have_a_stranger_at_their_level() {
        let all = look_alikes("ssh://git@g.test/org/app");
        let told: Vec<(&str, Option<&str>)> =
            all.iter().map(|other| (other.url.as_str(), other.stranger.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("ssh://git@g.test.evil.test/org/app", None),
                ("ssh://git@evil-g.test/org/app", Some("ssh://git@somebody-else.test/org/app")),
                ("ssh://git@gxtest/org/app", None),
                ("ssh://git@g.test/org-evil/app", Some("ssh://git@g.test/somebody-else/app")),
                ("ssh://evil.test/ssh://git@g.test/org/app", None),
            ]
        );
    }
}
