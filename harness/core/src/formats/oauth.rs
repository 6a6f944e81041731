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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::credential::Credential;
    use crate::formats::decode;
    use crate::labels::Labels;

    #[test]
    fn a_type_with_keys_of_its_own_is_not_read_as_a_client() {
        let keys = ["client-id", "client-secret"];
        let data = BTreeMap::from(keys.map(|key| (key.to_owned(), Credential::new("x"))));
        assert_eq!(decode("Opaque", &Labels::new(), &data).unwrap().parts.len(), 2);
        decode("kubernetes.io/basic-auth", &Labels::new(), &data).unwrap_err();
    }
}
