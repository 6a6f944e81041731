//! Authentication that a request tries, in fingerprints only.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use credence_core::credential::Credential;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use reqwest::Url;

use super::key_pair;

/// Credentials that a request offered to authenticate with. Strings are fingerprints, see [`Credential::fingerprint`], but
/// of keys of SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// Neither a header of authentication nor cookies: the client asked anonymously.
    Nothing,
    /// Basic authentication. Clients that have a token alone send it as either of the two.
    Basic {
        /// Fingerprint of the user name.
        user: String,
        /// Fingerprint of the password.
        secret: String,
    },
    /// A bearer token (RFC 6750, section 2.1).
    Bearer {
        /// Fingerprint of the token.
        secret: String,
    },
    /// GitHub's own scheme, `Authorization: token VALUE`.
    Token {
        /// Fingerprint of the token.
        secret: String,
    },
    /// An OAuth client that authenticates itself in a form (RFC 6749, section 2.3.1).
    Client {
        /// Fingerprint of the client id.
        user: String,
        /// Fingerprint of the client secret.
        secret: String,
    },
    /// A key of SSH, which is no request of HTTP.
    Key {
        /// Fingerprint of its public half, `SHA256:…`, which says nothing of the private one.
        fingerprint: String,
    },
    /// No header of authentication, but a browser's cookies.
    Session,
    /// An `Authorization` header that is none of these.
    Other,
}

impl Offered {
    /// The fingerprint of the secret part, if there is one.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Basic { secret, .. }
            | Self::Bearer { secret }
            | Self::Token { secret }
            | Self::Client { secret, .. } => Some(secret),
            Self::Key { fingerprint } => Some(fingerprint),
            Self::Nothing | Self::Session | Self::Other => None,
        }
    }

    /// True if `credential` was offered, in whatever place.
    pub fn is(&self, credential: &Credential) -> bool {
        let fingerprint = credential.fingerprint();
        let user = match self {
            Self::Key { fingerprint } => return key_pair::fingerprint(credential).as_ref() == Some(fingerprint),
            Self::Basic { user, .. } | Self::Client { user, .. } => Some(user),
            _ => None,
        };
        self.secret() == Some(&fingerprint) || user == Some(&fingerprint)
    }

    /// Reads it from a request's headers.
    pub(super) fn in_headers(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(AUTHORIZATION) else {
            return if headers.contains_key(COOKIE) { Self::Session } else { Self::Nothing };
        };
        let text = value.as_bytes();
        let Some(space) = text.iter().position(|byte| *byte == b' ') else { return Self::Other };
        let (scheme, rest) = (text[..space].to_ascii_lowercase(), text[space..].trim_ascii());
        match scheme.as_slice() {
            b"basic" => Self::basic(rest).unwrap_or(Self::Other),
            b"bearer" => Self::Bearer { secret: fingerprint(rest) },
            b"token" => Self::Token { secret: fingerprint(rest) },
            _ => Self::Other,
        }
    }

    fn basic(encoded: &[u8]) -> Option<Self> {
        let pair = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded)).ok()?;
        let pair = Credential::new(pair);
        let bytes = pair.expose();
        let colon = bytes.iter().position(|byte| *byte == b':')?;
        Some(Self::Basic { user: fingerprint(&bytes[..colon]), secret: fingerprint(&bytes[colon + 1..]) })
    }

    /// Reads a client's id and secret from a form, if both are there.
    pub(super) fn in_form(body: &[u8]) -> Option<Self> {
        let mut form = Url::parse("form:").ok()?;
        form.set_query(Some(std::str::from_utf8(body).ok()?));
        let field = |name: &str| {
            let pair = form.query_pairs().find(|(key, _)| key == name)?;
            Some(fingerprint(pair.1.as_bytes()))
        };
        Some(Self::Client { user: field("client_id")?, secret: field("client_secret")? })
    }
}

fn fingerprint(bytes: &[u8]) -> String {
    Credential::new(bytes).fingerprint()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn offered(header: &str) -> Offered {
        Offered::in_headers(&HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(header).unwrap())]))
    }

    fn basic(user: &str, secret: &str) -> Offered {
        Offered::Basic { user: fingerprint(user.as_bytes()), secret: fingerprint(secret.as_bytes()) }
    }

    #[rstest]
    #[case::plain("ada", "secret")]
    #[case::colons_belong_to_the_password("ada", "a:b:c")]
    #[case::hostile("ada", "\"\\{{$ ü\n")]
    #[case::token_as_user("0123", "")]
    fn basic_is_read_as_user_and_password(#[case] user: &str, #[case] secret: &str) {
        let header = format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")));
        assert_eq!(offered(&header), basic(user, secret));
    }

    #[rstest]
    #[case("Bearer abc", Offered::Bearer { secret: fingerprint(b"abc") })]
    #[case("bearer abc", Offered::Bearer { secret: fingerprint(b"abc") })]
    #[case("token abc", Offered::Token { secret: fingerprint(b"abc") })]
    #[case("Basic !", Offered::Other)]
    #[case("Basic YWRh", Offered::Other)]
    #[case("abc", Offered::Other)]
    #[case("Negotiate abc", Offered::Other)]
    fn schemes_are_told_apart(#[case] header: &str, #[case] expected: Offered) {
        assert_eq!(offered(header), expected);
    }

    #[test]
    fn cookies_are_a_session_and_no_header_is_nothing() {
        let cookie = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("a=b"))]);
        assert_eq!(Offered::in_headers(&cookie), Offered::Session);
        assert_eq!(Offered::in_headers(&HeaderMap::new()), Offered::Nothing);
    }

    #[test]
    fn a_form_is_decoded_before_the_fingerprint_is_taken() {
        let form = b"grant_type=x&client_id=a%20b&client_secret=s%2B%26%3D+%C3%BC";
        let expected = Offered::Client { user: fingerprint(b"a b"), secret: fingerprint("s+&= ü".as_bytes()) };
        assert_eq!(Offered::in_form(form), Some(expected));
        assert_eq!(Offered::in_form(b"client_id=a"), None);
    }

    #[test]
    fn a_credential_is_found_in_either_place_and_never_shown() {
        let shown = format!("{:?}", basic("hunter2", "hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(basic("hunter2", "").is(&Credential::new("hunter2")));
        assert!(basic("x", "hunter2").is(&Credential::new("hunter2")));
        assert!(!basic("x", "y").is(&Credential::new("hunter2")));
    }
}
