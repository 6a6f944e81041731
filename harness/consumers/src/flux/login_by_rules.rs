//! Flux as a consumer where its source-controller does not run: its rules take a login from the live Secret that a source
//! names, and git or a registry client really uses it.

use credence_core::consumer::Consumer;
use credence_core::credential::Credential;
use credence_core::formats::flux::{self, NoLogin};
use credence_core::formats::{FLUX_GIT_RULES, FLUX_OCI_RULES};

use crate::by_rules::GitLogin;
use crate::login::{Login, LoginFuture, Runner};
use crate::obtain::Facts;
use crate::running::{Consumers, LoginAnswer};

/// Flux's rules for a GitRepository.
pub(crate) struct FluxGitRules;
/// Flux's rules for an OCIRepository.
pub(crate) struct FluxOciRules;

impl Runner for FluxGitRules {
    fn consumer(&self) -> Consumer {
        FLUX_GIT_RULES
    }

    fn missing(&self, facts: &Facts) -> Option<String> {
        facts.no_git()
    }

    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a> {
        Box::pin(async move {
            let url = login.owner()?.repository(&login.repository);
            consumers.fresh_commit(login).await?;
            match consumers.flux_git_login(login) {
                Ok(found) => {
                    let listed = consumers.lists_references(&url, &found).await?;
                    Ok(answer(listed, "git was refused"))
                }
                Err(none) => Ok(LoginAnswer::Withheld(none.to_string())),
            }
        })
    }
}

impl Runner for FluxOciRules {
    fn consumer(&self) -> Consumer {
        FLUX_OCI_RULES
    }

    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a> {
        Box::pin(async move {
            let owner = login.owner()?;
            consumers.publish(owner, &login.repository, &login.tag()).await?;
            match consumers.flux_registry_login(login, &owner.image(&login.repository)) {
                Ok(found) => {
                    let listed = consumers.lists_tags(owner, &login.repository, found.as_ref()).await?;
                    Ok(answer(listed, "the registry refused"))
                }
                Err(none) => Ok(LoginAnswer::Withheld(none.to_string())),
            }
        })
    }
}

impl Consumers {
    fn flux_git_login(&self, login: &Login) -> Result<GitLogin, NoLogin> {
        let Some(name) = &login.secret else { return Ok(GitLogin::Nobody) };
        self.site.observer.look(|view| {
            let secret = view.secret(&login.namespace, name).ok_or(NoLogin::NoSecret)?;
            Ok(match flux::git_login(&secret.data)? {
                flux::GitLogin::Nobody => GitLogin::Nobody,
                flux::GitLogin::Basic(username, password) => {
                    let password = password.cloned().unwrap_or_else(|| Credential::new(""));
                    GitLogin::Basic(username.clone(), password)
                }
                flux::GitLogin::Bearer(token) => GitLogin::Bearer(token.clone()),
            })
        })
    }

    fn flux_registry_login(&self, login: &Login, image: &str) -> Result<Option<(Credential, Credential)>, NoLogin> {
        let Some(name) = &login.secret else { return Ok(None) };
        self.site.observer.look(|view| {
            let secret = view.secret(&login.namespace, name).ok_or(NoLogin::NoSecret)?;
            flux::registry_login(image, &secret.type_, &secret.data)
        })
    }
}

fn answer(listed: bool, refused: &str) -> LoginAnswer {
    if listed { LoginAnswer::Admitted } else { LoginAnswer::Refused(refused.to_owned()) }
}
