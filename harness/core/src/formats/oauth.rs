//! Clients as an application reads them that signs people in by OAuth.

use super::{BASIC_AUTH, CopyView, Decoded, Format, FormatError, Role, plain, source_roles};
use crate::consumer::{Claim, Consumer, ConsumerMeta, CopyShape, DeniedLogin};
use crate::id::Requirement;

/// An application that signs people in by OAuth.
pub const OAUTH_CLIENT: Consumer = Consumer::new(&OAuthClient {
    meta: ConsumerMeta {
        id: "OAuthClient",
        title: "OAuth client",
        operation: "OAuth code exchange",
        requirement: Requirement::new(4, 3),
        fallback: None,
        endpoint: None,
        namespace: None,
        denied_logins: &[DeniedLogin::AsOtherClient],
        offers_to_whole_host: false,
    },
});

struct OAuthClient {
    meta: ConsumerMeta,
}

impl Format for OAuthClient {
    fn meta(&self) -> &ConsumerMeta {
        &self.meta
    }

    fn claim(&self, shape: &CopyShape<'_>) -> Option<Claim> {
        let roles = source_roles(shape.keys?.iter().map(String::as_str));
        let is_client = roles.contains_key(&Role::ClientId) && roles.contains_key(&Role::ClientSecret);
        is_client.then_some(Claim::Keys)
    }

    fn decode(&self, copy: &CopyView<'_>) -> Option<Result<Decoded, FormatError>> {
        // That type says what its keys are.
        (copy.secret_type != BASIC_AUTH).then(|| Ok(plain::by_key_names(copy.data)))
    }
}
