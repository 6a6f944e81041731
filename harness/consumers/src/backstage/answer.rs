//! Answers of Backstage to a credential.

use std::fmt;

use credence_core::credential::Credential;

/// Refusals by Backstage, or the forge through it, of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    /// The forge does not know the OAuth client, or its secret is another.
    Client,
    /// The user or the forge did not allow the sign-in.
    Denied,
    /// The forge answered 401 to the token.
    Unauthorized,
    /// The forge answered 403 to the token.
    Forbidden,
    /// The forge answered 404: a private repository that the token, or nobody in its place, may not see.
    NotFound,
    /// The token holds characters that no HTTP header can carry, so nothing was sent.
    NotSent,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "the forge refused the OAuth client",
            Self::Denied => "the sign-in was not allowed",
            Self::Unauthorized => "the forge answered 401",
            Self::Forbidden => "the forge answered 403",
            Self::NotFound => "the forge answered 404",
            Self::NotSent => "the token cannot be sent",
        })
    }
}

/// A user who is signed in to Backstage through the forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Identity that Backstage takes the user for, as in `user:default/alice`.
    pub user: String,
    /// Backstage's own token for that user.
    pub token: Credential,
}
