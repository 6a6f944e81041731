//! An OAuth client as a consumer: a person signs in to it at the forge, and it exchanges the code with what the copy holds.

use std::collections::BTreeMap;

use credence_core::consumer::Consumer;
use credence_core::credential::Credential;
use credence_core::formats::{OAUTH_CLIENT, Role, source_roles};

use crate::forge::{Application, ForgeError, Request};
use crate::login::{Login, LoginError, LoginFuture, Proof, Runner};
use crate::running::{Consumers, LoginAnswer};

/// Path at which the forge is asked for the token of a sign-in.
const EXCHANGE: &str = "/login/oauth/access_token";

/// An application, which signs a person in.
pub(crate) struct OAuthSignIn;

impl Runner for OAuthSignIn {
    fn consumer(&self) -> Consumer {
        OAUTH_CLIENT
    }

    fn proof(&self) -> Proof {
        Proof::ServerSawSecret
    }

    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a> {
        Box::pin(async move {
            let application = login.application.as_ref().ok_or(LoginError::NoApplication)?;
            Ok(consumers.sign_in(application, &login.data).await?)
        })
    }

    /// All that end at the forge: others may sign in with the same client at the same time.
    fn is_cause_of(&self, _login: &Login, request: &Request) -> bool {
        request.path == EXCHANGE
    }
}

impl Consumers {
    /// Signs a person in to `application`, which presents the client id and secret of a copy's `data`.
    ///
    /// # Errors
    /// When the forge cannot be asked.
    async fn sign_in(
        &self,
        application: &Application,
        data: &BTreeMap<String, Credential>,
    ) -> Result<LoginAnswer, ForgeError> {
        let roles = source_roles(data.keys().map(String::as_str));
        let value = |role: Role| roles.get(&role).and_then(|key| data.get(*key)).cloned();
        let (Some(client_id), Some(client_secret)) = (value(Role::ClientId), value(Role::ClientSecret)) else {
            return Ok(LoginAnswer::Refused("the copy has no client id and secret".to_owned()));
        };
        let mut presented = application.clone();
        presented.client_id = client_id;
        presented.client_secret = client_secret;
        let link = presented.link(&self.forge.url(), "credence");
        let browser = self.person.browser.lock().await;
        let authorised = self.forge.authorize(&self.person.name, &self.person.password, &link).await;
        drop(browser);
        let exchanged = match authorised {
            Ok(authorisation) => self.forge.exchange(&presented, &authorisation.code).await.map(drop),
            Err(error) => Err(error),
        };
        match exchanged {
            Ok(()) => Ok(LoginAnswer::Admitted),
            Err(ForgeError::Refused { status, .. }) if status.is_client_error() => {
                Ok(LoginAnswer::Refused(format!("the forge answered {status}")))
            }
            // A client that the forge does not know gets a page that says so, and no code.
            Err(ForgeError::Answer { .. }) => Ok(LoginAnswer::Refused("the forge gave no code".to_owned())),
            Err(error) => Err(error),
        }
    }
}
