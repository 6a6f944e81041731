//! The client's identity, as Gitea's container registry takes it.
//!
//! Its access log names no user for paths below `/v2`, because the registry keeps the user where the log does not
//! look. But its bearer tokens do: each is a signed statement of Gitea, made at `/v2/token`, of whom it belongs to.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Path at which tokens are made.
pub(super) const TOKEN_PATH: &str = "/v2/token";
/// Gitea's id of the user that stands for nobody (`models/user/user_system.go`).
pub(super) const GHOST: i64 = -1;

/// True if a path belongs to the registry.
pub(super) fn is_registry(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// True if the registry refused the credential itself. It then asks for a bearer token first; where a known user merely
/// lacks a right it asks for Basic (`routers/api/packages/container/container.go` and `api.go` beside it).
pub(super) fn refused(status: StatusCode, headers: &HeaderMap) -> bool {
    let bearer = |challenge: &http::HeaderValue| challenge.as_bytes().starts_with(b"Bearer ");
    status == StatusCode::UNAUTHORIZED && headers.get_all(WWW_AUTHENTICATE).iter().any(bearer)
}

/// The user id in the answer of `/v2/token`.
pub(super) fn user_in_answer(answer: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Answer {
        token: String,
    }
    user_in_token(serde_json::from_slice::<Answer>(answer).ok()?.token.as_bytes())
}

/// The user id in a bearer token. It says something only if Gitea has accepted the token.
pub(super) fn user_in_token(token: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(rename = "UserID")]
        user: i64,
    }
    let claims: Claims = part(token.split(|byte| *byte == b'.').nth(1)?)?;
    Some(claims.user)
}

/// Reads a part of a JSON Web Token (RFC 7515, section 7.1).
fn part<T: DeserializeOwned>(encoded: &[u8]) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn token(claims: &str) -> String {
        format!("{}.{}.signature", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_user_is_read_from_a_token_and_from_its_issue() {
        let token = token(r#"{"exp":1,"nbf":0,"UserID":7,"Scope":"read:package","ActionsUserTaskID":0}"#);
        assert_eq!(user_in_token(token.as_bytes()), Some(7));
        assert_eq!(user_in_answer(format!(r#"{{"token":"{token}"}}"#).as_bytes()), Some(7));
    }

    #[rstest]
    #[case("")]
    #[case("0123456789")]
    #[case("a.b.c")]
    fn other_tokens_name_nobody(#[case] token: &str) {
        assert_eq!(user_in_token(token.as_bytes()), None);
    }

    #[rstest]
    #[case::unknown_credential(401, &["Bearer realm=\"x\"", "Basic realm=\"x\""], true)]
    #[case::known_user_without_the_right(401, &["Basic realm=\"Gitea Package API\""], false)]
    #[case::granted(200, &[], false)]
    fn refusal_of_a_credential_is_told_from_a_missing_right(
        #[case] status: u16,
        #[case] challenges: &[&'static str],
        #[case] expected: bool,
    ) {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, http::HeaderValue::from_static(challenge));
        }
        assert_eq!(refused(StatusCode::from_u16(status).unwrap(), &headers), expected);
    }

    #[rstest]
    #[case("/v2", true)]
    #[case("/v2/", true)]
    #[case("/v2/token", true)]
    #[case("/v20/x", false)]
    #[case("/o/r", false)]
    fn registry_paths_are_known(#[case] path: &str, #[case] expected: bool) {
        assert_eq!(is_registry(path), expected);
    }
}
