//! Repositories of others whose URLs look like one of ours.

/// A repository that belongs to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookAlike {
    /// What makes it look alike.
    pub what: &'static str,
    /// Its URL.
    pub url: String,
}

/// Repositories that must never get the credential of the owner of `url`, a URL like
/// `[SCHEME://][USER@]HOST/OWNER/NAME`. Hosts are below `.test`, which nobody can register (RFC 2606). Empty where
/// there is no owner.
///
/// The last one fools a pattern without an anchor at its beginning.
pub fn look_alikes(url: &str) -> Vec<LookAlike> {
    let (scheme, rest) = match url.find("://") {
        Some(end) => url.split_at(end + "://".len()),
        None => ("", url),
    };
    let mut segments = rest.splitn(3, '/');
    let (Some(authority), Some(owner), Some(name)) = (segments.next(), segments.next(), segments.next()) else {
        return Vec::new();
    };
    if authority.is_empty() || owner.is_empty() || name.is_empty() {
        return Vec::new();
    }
    let (host, port) = authority.split_at(authority.rfind(':').unwrap_or(authority.len()));
    [
        ("an owner whose name goes on", format!("{scheme}{authority}/{owner}-evil/{name}")),
        ("a host whose name goes on", format!("{scheme}{host}.evil.test{port}/{owner}/{name}")),
        ("another owner", format!("{scheme}{authority}/somebody-else/{name}")),
        ("a path that holds the whole URL", format!("{scheme}evil.test/{url}")),
    ]
    .into_iter()
    .map(|(what, url)| LookAlike { what, url })
    .collect()
}
