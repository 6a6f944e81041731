//! Kargo as a consumer where its controller does not run: its lookup rules over the live Secrets choose a login, and git or
//! a registry client really uses it.

use credence_core::consumer::Consumer;
use credence_core::credential::Credential;
use credence_core::formats::{KARGO_CHART_RULES, KARGO_GIT_RULES, KARGO_IMAGE_RULES};
use credence_core::kargo_lookup::{self, Candidate, CredentialKind, NoLogin, SHARED_NAMESPACE};
use credence_watch::observer::View;

use crate::by_rules::GitLogin;
use crate::login::{Login, LoginFuture, Runner};
use crate::obtain::Facts;
use crate::running::{Consumers, LoginAnswer};

/// Lookup of credentials by Kargo's rules, with a login of git or of a registry client.
pub(crate) struct KargoRules {
    consumer: Consumer,
    kind: CredentialKind,
}

impl KargoRules {
    pub(crate) const FOR_GIT: Self = Self { consumer: KARGO_GIT_RULES, kind: CredentialKind::Git };
    pub(crate) const FOR_IMAGES: Self = Self { consumer: KARGO_IMAGE_RULES, kind: CredentialKind::Image };
    /// Rules for charts in registries, whose tags are listed like those of images.
    pub(crate) const FOR_CHARTS: Self = Self { consumer: KARGO_CHART_RULES, kind: CredentialKind::Helm };
}

impl Runner for KargoRules {
    fn consumer(&self) -> Consumer {
        self.consumer
    }

    fn missing(&self, facts: &Facts) -> Option<String> {
        let no_git = if self.kind == CredentialKind::Git { facts.no_git() } else { None };
        // The controller is given no charts to look for.
        let is_run = facts.has_kargo && self.kind != CredentialKind::Helm;
        no_git.or_else(|| is_run.then(|| "not needed, as Kargo's controller runs".to_owned()))
    }

    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a> {
        Box::pin(async move {
            let (owner, Login { namespace, repository: name, .. }) = (login.owner()?, login);
            if self.kind == CredentialKind::Git {
                consumers.fresh_commit(login).await?;
                let url = owner.repository(name);
                let found = consumers.kargo_login(namespace, self.kind, &url);
                let git_login = match &found {
                    Ok((username, password)) => GitLogin::Basic(username.clone(), password.clone()),
                    Err(_) => GitLogin::Nobody,
                };
                let listed = consumers.lists_references(&url, &git_login).await?;
                return Ok(answer(listed, found, "git was refused"));
            }
            consumers.publish(owner, name, &login.tag()).await?;
            let scheme = if self.kind == CredentialKind::Helm { "oci://" } else { "" };
            let found = consumers.kargo_login(namespace, self.kind, &format!("{scheme}{}", owner.image(name)));
            let listed = consumers.lists_tags(owner, name, found.as_ref().ok()).await?;
            Ok(answer(listed, found, "the registry refused"))
        })
    }
}

/// The Secrets of a namespace among which Kargo looks for a login.
pub(crate) fn candidates<'a>(view: &'a View<'_>, namespace: &str) -> Vec<Candidate<'a>> {
    let secrets = view.secrets(namespace);
    secrets.map(|(name, secret)| Candidate { name, labels: &secret.labels, data: &secret.data }).collect()
}

/// Username and password, or why there are none: then Kargo goes on as nobody.
type Found = Result<(Credential, Credential), NoLogin>;

impl Consumers {
    /// The login that Kargo finds for a repository in a project's namespace, or else in that of shared resources.
    fn kargo_login(&self, namespace: &str, kind: CredentialKind, url: &str) -> Found {
        self.site.observer.look(|view| {
            let (project, shared) = (candidates(view, namespace), candidates(view, SHARED_NAMESPACE));
            kargo_lookup::login(&project, &shared, kind, url, false)
                .map(|login| (login.username.clone(), login.password.clone()))
        })
    }
}

/// Outcome of a request, and of the lookup before it.
fn answer(admitted: bool, found: Found, refused: &str) -> LoginAnswer {
    match (admitted, found) {
        (true, _) => LoginAnswer::Admitted,
        (false, Ok(_)) => LoginAnswer::Refused(refused.to_owned()),
        (false, Err(none)) => LoginAnswer::Refused(format!("{none}, and {refused} without a login")),
    }
}
