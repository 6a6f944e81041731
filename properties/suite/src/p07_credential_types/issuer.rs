//! The server's side of a credential: issues it, rotates it, and knows who comes with it.

use credence_consumers::forge::{
    AccessToken, Application, ForgeError, READ_PACKAGE, READ_REPOSITORY, RegisteredKey, SshKey,
};
use credence_consumers::running::Consumers;
use credence_core::credential::Credential;
use credence_core::formats::{Role, source_roles};
use credence_core::id::CaseId;
use credence_model::config::SourceRef;
use credence_model::model::Model;
use credence_model::values::Values;
use credence_programs::certificates::{CertificateError, Identity};

use super::issue::{CredentialKind, End, Issue, Secret, ssh_key};

/// A credential could not be issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    #[error("failed to issue a credential")]
    Forge(#[from] ForgeError),
    /// A certificate could not be made.
    #[error("failed to issue a certificate")]
    Certificate(#[from] CertificateError),
}

/// A credential that is in use, at the server that checks it.
pub(crate) struct Issuer<'a> {
    consumers: &'a Consumers,
    issue: &'a Issue,
    /// The key of the source under which an SSH key is, if that is what is issued.
    ssh_key: Option<String>,
    /// Contents of the source now.
    pub(crate) values: Values,
    /// Credential that it is made of now, and was made of before the rotation.
    now: Issued,
    former: Option<Issued>,
    /// The user of an account; the server's name of a certificate.
    pub(super) name: String,
}

enum Issued {
    Token(AccessToken),
    Password(Credential),
    Client(Application),
    Certificate(Identity),
    SshKey(RegisteredKey),
}

impl<'a> Issuer<'a> {
    /// Issues a credential for the slot that begins with `case`.
    pub(crate) async fn issue(
        consumers: &'a Consumers,
        model: &Model,
        issue: &'a Issue,
        case: CaseId,
    ) -> Result<Self, IssueError> {
        let name = consumers.unused_name(case);
        let ssh_key = if issue.kind == CredentialKind::SshKey { ssh_key(model, &issue.source) } else { None };
        let (name, now) = match issue.kind {
            CredentialKind::Account => {
                let password = match &issue.first {
                    Secret::Password(password) => password.clone(),
                    Secret::Token => Credential::random(),
                };
                consumers.forge.create_user(&name, &password).await?;
                consumers.admit(&name).await?;
                let now = account(consumers, &name, &issue.first).await?;
                (name, now)
            }
            CredentialKind::SshKey => {
                consumers.forge.create_user(&name, &Credential::random()).await?;
                consumers.admit(&name).await?;
                let now = Issued::SshKey(consumers.forge.add_ssh_key(&name).await?);
                (name, now)
            }
            CredentialKind::Client => {
                (name, Issued::Client(consumers.forge.create_application(&consumers.redirect_uri()).await?))
            }
            CredentialKind::Certificate => {
                let host = format!("{name}.credence.test");
                let identity = consumers.authority.server(&host, &[&host])?;
                (host, Issued::Certificate(identity))
            }
        };
        let mut issuer = Self { consumers, issue, ssh_key, values: issue.others.clone(), now, former: None, name };
        issuer.values = issuer.written();
        Ok(issuer)
    }

    /// Issues another credential in place of the present one, which stays good until it is withdrawn. A password cannot
    /// stay good beside its successor.
    pub(crate) async fn rotate(&mut self) -> Result<(), IssueError> {
        let next = match &self.now {
            Issued::Token(_) | Issued::Password(_) => account(self.consumers, &self.name, &self.issue.next).await?,
            Issued::SshKey(_) => Issued::SshKey(self.consumers.forge.add_ssh_key(&self.name).await?),
            Issued::Client(application) => {
                let mut application = application.clone();
                self.consumers.forge.regenerate_secret(&mut application).await?;
                Issued::Client(application)
            }
            Issued::Certificate(_) => Issued::Certificate(self.consumers.authority.server(&self.name, &[&self.name])?),
        };
        self.former = Some(std::mem::replace(&mut self.now, next));
        self.values = self.written();
        Ok(())
    }

    /// Makes the credential of before the rotation worthless.
    pub(crate) async fn withdraw_former(&mut self) -> Result<(), IssueError> {
        self.withdraw(self.former.as_ref()).await
    }

    async fn withdraw(&self, issued: Option<&Issued>) -> Result<(), IssueError> {
        match (issued, &self.now) {
            (Some(Issued::Token(token)), _) => self.consumers.forge.revoke_token(token).await?,
            (Some(Issued::SshKey(key)), _) => self.consumers.forge.revoke_ssh_key(key).await?,
            // Where a token has taken a password's place, the password is changed; a new password has replaced it already.
            (Some(Issued::Password(_)), Issued::Token(_)) => {
                self.consumers.forge.set_password(&self.name, &Credential::random()).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends the present credential. Gives what the source must hold then, if the end is one of the source's.
    pub(super) async fn end(&mut self) -> Result<Option<Values>, IssueError> {
        let (forge, end) = (&self.consumers.forge, self.issue.end);
        match &mut self.now {
            Issued::Certificate(identity) => {
                let wrong = match end {
                    End::Revoked => self.consumers.authority.expired_server(&self.name, &[&self.name])?,
                    End::Wrong => Identity {
                        certificate: identity.certificate.clone(),
                        key: self.consumers.authority.server(&self.name, &[&self.name])?.key,
                    },
                    End::Truncated => Identity {
                        certificate: identity.certificate.chars().take(identity.certificate.len() / 2).collect(),
                        key: identity.key.clone(),
                    },
                };
                self.now = Issued::Certificate(wrong);
                Ok(Some(self.written()))
            }
            Issued::SshKey(_) if end != End::Revoked => Ok(Some(self.with_ssh_key(&SshKey::generate()?.private))),
            _ if end != End::Revoked => Ok(Some(self.with_secret(&Credential::random()))),
            Issued::Token(token) => {
                forge.revoke_token(token).await?;
                Ok(None)
            }
            Issued::SshKey(key) => {
                forge.revoke_ssh_key(key).await?;
                Ok(None)
            }
            Issued::Password(_) => {
                forge.set_password(&self.name, &Credential::random()).await?;
                Ok(None)
            }
            Issued::Client(application) => {
                forge.regenerate_secret(&mut application.clone()).await?;
                Ok(None)
            }
        }
    }

    /// The source that it is of.
    pub(crate) fn source(&self) -> &'a SourceRef {
        &self.issue.source
    }

    /// The application of an OAuth client.
    pub(super) fn application(&self) -> Option<&Application> {
        match &self.now {
            Issued::Client(application) => Some(application),
            _ => None,
        }
    }

    /// The secret part as it was issued, for looking whether it was offered somewhere.
    pub(super) fn secret(&self) -> Option<&Credential> {
        match &self.now {
            Issued::Token(token) => Some(&token.value),
            Issued::Password(password) => Some(password),
            Issued::Client(application) => Some(&application.client_secret),
            Issued::SshKey(registered) => Some(&registered.key.private),
            Issued::Certificate(_) => None,
        }
    }

    /// The source's values with the present credential in their places.
    fn written(&self) -> Values {
        match &self.now {
            Issued::Token(token) => self.with_secret(&token.value),
            Issued::SshKey(registered) => self.with_ssh_key(&registered.key.private),
            Issued::Password(password) => {
                // A password goes with the name of its user and no other.
                let name = Credential::new(self.name.clone());
                self.with([(Role::Username, name), (Role::Secret, password.clone())])
            }
            Issued::Client(application) => self.with([
                (Role::ClientId, application.client_id.clone()),
                (Role::ClientSecret, application.client_secret.clone()),
            ]),
            Issued::Certificate(identity) => self.with([
                (Role::Certificate, Credential::new(identity.certificate.clone())),
                (Role::PrivateKey, Credential::new(identity.key.clone())),
            ]),
        }
    }

    fn with_secret(&self, secret: &Credential) -> Values {
        match self.issue.kind {
            CredentialKind::Account => self.with([(Role::Secret, secret.clone())]),
            CredentialKind::Client => self.with([(Role::ClientSecret, secret.clone())]),
            CredentialKind::Certificate | CredentialKind::SshKey => self.values.clone(),
        }
    }

    fn with_ssh_key(&self, private: &Credential) -> Values {
        let mut values = self.values.clone();
        values.extend(self.ssh_key.clone().map(|key| (key, private.clone())));
        values
    }

    fn with<const N: usize>(&self, parts: [(Role, Credential); N]) -> Values {
        let keys: Vec<String> = self.issue.others.keys().cloned().collect();
        let roles = source_roles(keys.iter().map(String::as_str));
        let mut values = self.values.clone();
        for (role, value) in parts {
            if let Some(key) = roles.get(&role) {
                values.insert((*key).to_owned(), value);
            }
        }
        values
    }
}

/// Gives a user of the forge a secret of this kind.
async fn account(consumers: &Consumers, user: &str, secret: &Secret) -> Result<Issued, ForgeError> {
    match secret {
        Secret::Token => {
            let token = consumers.forge.create_token(user, &[READ_REPOSITORY, READ_PACKAGE]).await?;
            Ok(Issued::Token(token))
        }
        Secret::Password(password) => {
            consumers.forge.set_password(user, password).await?;
            Ok(Issued::Password(password.clone()))
        }
    }
}
