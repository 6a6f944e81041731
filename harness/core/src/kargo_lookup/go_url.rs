//! URLs as Go's `net/url` takes them apart, as far as Kargo's normal form needs it.

use std::fmt;
use std::net::Ipv6Addr;

/// A URL in its parts, each as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GoUrl<'a> {
    /// Without its colon; empty where there is none.
    scheme: &'a str,
    /// The rest after a scheme if that does not begin with a slash, as in `mailto:a`.
    opaque: &'a str,
    user: Option<&'a str>,
    /// Host and port; `None` without two slashes before it.
    host: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: &'a str,
}

impl<'a> GoUrl<'a> {
    /// Takes `text` apart; `None` where Go reports an error. There must be no control characters in it.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = split_scheme(text)?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let mut url = Self { scheme, opaque: "", user: None, host: None, path: rest, query, fragment };
        if !rest.starts_with('/') {
            if !scheme.is_empty() {
                return Some(Self { opaque: rest, path: "", ..url });
            }
            // A colon in the first segment would read as a scheme.
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return None;
            }
        }
        if let Some(authority) = rest.strip_prefix("//")
            && !(scheme.is_empty() && rest.starts_with("///"))
        {
            let (authority, path) = authority.split_at(authority.find('/').unwrap_or(authority.len()));
            (url.user, url.host) = match authority.rsplit_once('@') {
                Some((user, host)) => (Some(user), Some(host)),
                None => (None, Some(authority)),
            };
            url.path = path;
        }
        let over_http = ["http", "https"].iter().any(|http| http.eq_ignore_ascii_case(scheme));
        let valid = url.user.is_none_or(is_user)
            && url.host.is_none_or(|host| is_host(host, over_http))
            && has_whole_escapes(url.path)
            && has_whole_escapes(fragment);
        valid.then_some(url)
    }

    /// True if `text` is a host, with or without a port, and nothing else.
    pub(super) fn is_authority_without_user(text: &str) -> bool {
        GoUrl::parse(&format!("//{text}")).is_some_and(|url| url.host == Some(text))
    }

    /// True if there is at least one parameter in the query. One with a semicolon is none to Go.
    pub(super) fn has_parameters(&self) -> bool {
        let query = self.query.unwrap_or_default();
        query.split('&').any(|parameter| !parameter.is_empty() && !parameter.contains(';'))
    }

    /// True if the path is more than nothing.
    pub(super) fn has_path(&self) -> bool {
        !self.path.is_empty()
    }

    pub(super) fn without_user(self) -> Self {
        Self { user: None, ..self }
    }

    /// Without one slash at the end of the path, and then without `.git`.
    pub(super) fn without_git_suffix(self) -> Self {
        let path = self.path.strip_suffix('/').unwrap_or(self.path);
        Self { path: path.strip_suffix(".git").unwrap_or(path), ..self }
    }
}

impl fmt::Display for GoUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:{}", self.scheme, self.opaque)?;
        }
        if let Some(host) = self.host {
            match self.user {
                Some(user) => write!(f, "//{user}@{host}")?,
                None if host.is_empty() && self.path.is_empty() => {}
                None => write!(f, "//{host}")?,
            }
        }
        f.write_str(self.path)?;
        if let Some(query) = self.query {
            write!(f, "?{query}")?;
        }
        if !self.fragment.is_empty() {
            write!(f, "#{}", self.fragment)?;
        }
        Ok(())
    }
}

/// The scheme without its colon, empty where there is none, and what follows.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = match text.split_once(':') {
        Some(("", _)) => return None,
        Some(halves) => halves,
        None => return Some(("", text)),
    };
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(inner);
    Some(if is_scheme { (scheme, rest) } else { ("", text) })
}

fn is_user(user: &str) -> bool {
    user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte))
        && has_whole_escapes(user)
}

/// True if it is a host with or without a port. Several colons are an error over HTTP, else the last one counts.
fn is_host(host: &str, over_http: bool) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.rsplit_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let port = if over_http { host.split_once(':') } else { host.rsplit_once(':') };
    let inner = |byte: u8| !byte.is_ascii() || byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:]<>\"".contains(&byte);
    host.bytes().all(inner) && port.is_none_or(|(_, port)| is_port(port))
}

/// True if each percent sign is followed by two hexadecimal digits.
fn has_whole_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|escape| escape.len() >= 2 && escape.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::marks("b.o-t_:p~!$", true)]
    #[case::an_escape("p%40ss", true)]
    #[case::half_an_escape("p%4", false)]
    #[case::no_escape("p%zz", false)]
    #[case::a_space("b t", false)]
    fn a_user_has_the_characters_that_go_takes(#[case] user: &str, #[case] expected: bool) {
        assert_eq!(is_user(user), expected);
    }

    #[rstest]
    #[case::name("g.test", true)]
    #[case::port("g.test:80", true)]
    #[case::no_port("g.test:x", false)]
    #[case::space("g test", false)]
    #[case::space_and_port("g test:80", false)]
    #[case::address("[::1]:80", true)]
    #[case::no_address("[x]", false)]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port(#[case] host: &str, #[case] expected: bool) {
        assert_eq!((is_host(host, true), is_host(host, false)), (expected, expected));
    }

    #[rstest]
    #[case::host("g.test", true)]
    #[case::host_and_port("g.test:80", true)]
    #[case::user("u@g.test", false)]
    #[case::path("g.test/a", false)]
    fn an_authority_without_a_user_is_a_host_alone(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(GoUrl::is_authority_without_user(text), expected);
    }
}
