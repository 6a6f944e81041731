//! Answers of Backstage: the page that ends a sign-in, and errors of its API. Texts of Backstage are classified here
//! and go no further, as they can quote a credential.

use credence_core::credential::Credential;
use serde::Deserialize;

use super::answer::{AuthError, SignedIn};

/// Begins, in the page of `handler/frame`, the percent-encoded JSON of the result (sendWebMessageResponse in
/// `@backstage/plugin-auth-node`).
const RESULT: &str = "authResponse = decodeURIComponent('";

/// Outcome of a request that was answered as it should be.
pub(super) type Outcome<T> = Result<T, Answered>;

/// Why an answer is no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// It says that a credential was refused.
    Refused(AuthError),
    /// It says something that is no evidence about a credential.
    Unclear(&'static str),
}

#[derive(Deserialize)]
struct Frame {
    response: Option<Session>,
    error: Option<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    backstage_identity: Option<Identity>,
}

#[derive(Deserialize)]
struct Identity {
    token: String,
    identity: Owner,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    user_entity_ref: String,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

#[derive(Deserialize)]
struct ApiError {
    error: Message,
}

#[derive(Deserialize)]
struct Location {
    entities: Vec<Entity>,
}

#[derive(Deserialize)]
struct Entity {
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// Reads the page that ends a sign-in. It has status 200 whatever happened.
pub(super) fn signed_in(page: &str) -> Outcome<SignedIn> {
    let encoded = page.split(RESULT).nth(1).and_then(|rest| rest.split('\'').next());
    let encoded = encoded.ok_or(Answered::Unclear("a page without a result"))?;
    let json = decode(encoded).ok_or(Answered::Unclear("a result that is not percent-encoded"))?;
    let frame: Frame = serde_json::from_slice(&json).map_err(|_| Answered::Unclear("a result of an unknown shape"))?;
    if let Some(error) = frame.error {
        return Err(sign_in_error(&error.message));
    }
    let identity = frame.response.and_then(|session| session.backstage_identity);
    match identity {
        Some(Identity { token, identity }) if !token.is_empty() => {
            Ok(SignedIn { user: identity.user_entity_ref, token: Credential::new(token) })
        }
        _ => Err(Answered::Unclear("a session without a Backstage identity")),
    }
}

/// The texts are those of passport-oauth2 and passport-github2, which begin with `Authentication failed, ` or, when the
/// forge sends back no code, `Authentication rejected, `; what follows is the forge's description of its OAuth error.
fn sign_in_error(message: &str) -> Answered {
    if message.starts_with("Authentication rejected, ") {
        return Answered::Refused(AuthError::Denied);
    }
    let Some(reason) = message.strip_prefix("Authentication failed, ") else {
        return Answered::Unclear("an error of the sign-in itself");
    };
    let reason = reason.to_lowercase();
    if reason.starts_with("failed to obtain access token") {
        // Also the text for a forge that cannot be reached.
        Answered::Unclear("no access token, and no reason from the forge")
    } else if reason.starts_with("failed to fetch user") {
        Answered::Unclear("no profile of the user from the forge")
    } else if ["client secret", "client_secret", "client id", "client_id"].iter().any(|word| reason.contains(word)) {
        Answered::Refused(AuthError::Client)
    } else {
        Answered::Unclear("an OAuth error that is not about the client")
    }
}

/// Reads a location that was registered or tried: the names of the entities that the file holds.
pub(super) fn entities(body: &[u8]) -> Outcome<Vec<String>> {
    let location: Location =
        serde_json::from_slice(body).map_err(|_| Answered::Unclear("a location of an unknown shape"))?;
    // The location is itself an entity, made without reading the file.
    let names = location.entities.into_iter().filter(|entity| entity.kind != "Location");
    Ok(names.map(|entity| entity.metadata.name).collect())
}

/// Why a file could not be read. The text ends with the forge's status (GithubUrlReader in
/// `@backstage/backend-defaults`), which is told as a missing file for status 404.
pub(super) fn read_error(body: &[u8]) -> Answered {
    let Ok(ApiError { error: Message { message } }) = serde_json::from_slice(body) else {
        return Answered::Unclear("an error of an unknown shape");
    };
    let last = message.rsplit(", ").next().unwrap_or_default();
    if message.contains("no matching files found") || last.starts_with("404 ") {
        Answered::Refused(AuthError::NotFound)
    } else if last.starts_with("401 ") {
        Answered::Refused(AuthError::Unauthorized)
    } else if last.starts_with("403 ") {
        Answered::Refused(AuthError::Forbidden)
    } else if last.ends_with("is not a legal HTTP header value") {
        Answered::Refused(AuthError::NotSent)
    } else if message.contains("failed, reason: ") {
        Answered::Unclear("no connection to the forge")
    } else {
        Answered::Unclear("an error that is not about reading the file")
    }
}

/// Undoes encodeURIComponent.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn page(json: &str) -> String {
        let encoded: String = json.bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("<html><body><script>\n    var authResponse = decodeURIComponent('{encoded}');\n var origin = '';")
    }

    fn error_page(message: &str) -> String {
        page(&serde_json::json!({ "type": "authorization_response", "error": { "message": message } }).to_string())
    }

    #[test]
    fn a_session_with_an_identity_is_a_sign_in() {
        let json = r#"{"type":"authorization_response","response":{"profile":{"displayName":"Zoë"},
            "providerInfo":{"accessToken":"gho_x"},
            "backstageIdentity":{"token":"eyJ","identity":{"userEntityRef":"user:default/alice"}}}}"#;
        let signed_in = signed_in(&page(json)).unwrap();
        assert_eq!((signed_in.user.as_str(), signed_in.token.expose()), ("user:default/alice", &b"eyJ"[..]));
    }

    #[rstest]
    #[case::no_identity(r#"{"response":{"providerInfo":{"accessToken":"gho_x"}}}"#)]
    #[case::empty_token(r#"{"response":{"backstageIdentity":{"token":"","identity":{"userEntityRef":"u"}}}}"#)]
    #[case::nothing("{}")]
    #[case::no_json("<html>")]
    fn a_result_without_an_identity_is_no_evidence(#[case] json: &str) {
        assert!(matches!(signed_in(&page(json)), Err(Answered::Unclear(_))));
    }

    #[test]
    fn a_page_without_a_result_is_no_evidence() {
        assert!(matches!(signed_in("<html>502 Bad Gateway</html>"), Err(Answered::Unclear(_))));
    }

    #[rstest]
    #[case::wrong_secret("Authentication failed, invalid client secret", Some(AuthError::Client))]
    #[case::empty_secret("Authentication failed, invalid empty client secret", Some(AuthError::Client))]
    #[case::wrong_id("Authentication failed, cannot load client with client id: 'x'", Some(AuthError::Client))]
    #[case::denied("Authentication rejected, the request is denied", Some(AuthError::Denied))]
    #[case::other_oauth_error("Authentication failed, authorization code expired", None)]
    #[case::unreachable("Authentication failed, Failed to obtain access token", None)]
    #[case::no_profile("Authentication failed, Failed to fetch user profile", None)]
    #[case::no_cookie("Auth response is missing cookie nonce", None)]
    fn a_failed_sign_in_is_a_refusal_only_when_it_is_about_the_client(
        #[case] message: &str,
        #[case] auth_error: Option<AuthError>,
    ) {
        match signed_in(&error_page(message)).unwrap_err() {
            Answered::Refused(found) => assert_eq!(Some(found), auth_error),
            Answered::Unclear(_) => assert_eq!(None, auth_error),
        }
    }

    #[rstest]
    #[case::wrong_token(
        "Error: Unable to read url, Request failed for https://f/c.yaml, 401 Unauthorized",
        Some(AuthError::Unauthorized)
    )]
    #[case::not_allowed(
        "Error: Unable to read url, Request failed for https://f/c.yaml, 403 Forbidden",
        Some(AuthError::Forbidden)
    )]
    #[case::invisible(
        "NotFoundError: Unable to read url, no matching files found for https://f/c.yaml",
        Some(AuthError::NotFound)
    )]
    #[case::no_header(
        "Error: Unable to read url, Bearer a\nb is not a legal HTTP header value",
        Some(AuthError::NotSent)
    )]
    #[case::status_in_the_url("Error: Unable to read url, Request failed for https://f/a, 401 b, 500 Oops", None)]
    #[case::unreachable("FetchError: request to https://f/c.yaml failed, reason: connect ECONNREFUSED", None)]
    #[case::no_entity("InputError: Policy check failed", None)]
    fn an_unread_file_is_a_refusal_only_for_its_reason(#[case] message: &str, #[case] auth_error: Option<AuthError>) {
        let body = serde_json::json!({ "error": { "name": "InputError", "message": message } }).to_string();
        match read_error(body.as_bytes()) {
            Answered::Refused(found) => assert_eq!(Some(found), auth_error),
            Answered::Unclear(_) => assert_eq!(None, auth_error),
        }
    }

    #[test]
    fn entities_are_those_of_the_file() {
        let body = br#"{"location":{},"entities":[{"kind":"Location","metadata":{"name":"generated-1"}},
            {"kind":"Component","metadata":{"name":"private-thing"},"spec":{}}]}"#;
        assert_eq!(entities(body).unwrap(), ["private-thing"]);
    }

    #[rstest]
    #[case::plain("abc", Some("abc"))]
    #[case::encoded("a%20%C3%ab", Some("a ë"))]
    #[case::cut("a%2", None)]
    #[case::no_digit("%zz", None)]
    fn percent_encoding_is_undone(#[case] text: &str, #[case] decoded: Option<&str>) {
        assert_eq!(decode(text), decoded.map(|text| text.as_bytes().to_owned()));
    }
}
