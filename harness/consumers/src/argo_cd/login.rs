//! Argo CD as a consumer: it syncs a private repository with the copy in its own namespace.

use std::time::Duration;

use credence_core::consumer::Consumer;
use credence_core::formats::ARGO_CD;
use credence_core::owner::Owner;
use credence_watch::wait::{self, Progress, WaitError};
use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::argo_cd::{Application, ApplicationSeen, ArgoCd, ArgoCdError, Refresh};
use crate::forge::ForgeError;
use crate::git_error::Cause;
use crate::login::{Expected, Login, LoginError, LoginFuture, Runner};
use crate::obtain::Facts;
use crate::running::{Consumers, LoginAnswer};

/// Time that a comparison may take; measured at 1 to 3 s.
const COMPARED: Duration = Duration::from_secs(60);
/// Lag of Argo CD's own watch of Secrets behind a copy that has changed, at most: a refresh before that logs in with the
/// old one.
const INFORMED: Duration = Duration::from_secs(5);
/// Time from a refresh that may have come too early to the next one.
const AGAIN: Duration = Duration::from_millis(300);
/// Directory of the manifests in each repository.
const DIRECTORY: &str = "deploy";

/// A sync could not be tried, or did not end.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum SyncError {
    /// Argo CD does not run.
    #[error("failed to sync {application}: Argo CD does not run")]
    NoArgoCd { application: String },
    /// The repository could not be made or changed.
    #[error("failed to prepare a repository to sync")]
    Forge(#[from] ForgeError),
    #[error("failed to use an Application")]
    ArgoCd(#[from] ArgoCdError),
    /// Argo CD did not say.
    #[error("failed to learn of a sync")]
    NoAnswer(#[from] WaitError),
}

/// A repository with an Application that follows it.
struct Followed<'a> {
    login: &'a Login,
    owner: &'a Owner,
    commit: String,
    changes: u32,
}

/// Argo CD, which syncs a repository.
pub(crate) struct ArgoCdSync;

impl Runner for ArgoCdSync {
    fn consumer(&self) -> Consumer {
        ARGO_CD
    }

    fn is_program(&self) -> bool {
        true
    }

    fn missing(&self, facts: &Facts) -> Option<String> {
        if facts.has_argo_cd_images() { None } else { ArgoCd::unsupported() }
    }

    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a> {
        Box::pin(async move { Ok(consumers.sync(login.owner()?, login).await?) })
    }

    fn leave<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> BoxFuture<'a, Result<(), LoginError>> {
        Box::pin(async move { Ok(consumers.unfollow(&login.name).await?) })
    }
}

impl Consumers {
    fn running_argo_cd(&self, application: &str) -> Result<&ArgoCd, SyncError> {
        self.argo_cd.as_ref().ok_or_else(|| SyncError::NoArgoCd { application: application.to_owned() })
    }

    async fn sync(&self, owner: &Owner, login: &Login) -> Result<LoginAnswer, SyncError> {
        if login.step > 1 {
            // The first login made one change at most.
            let mut followed = Followed { login, owner, commit: String::new(), changes: login.step - 1 };
            return self.sync_again(&mut followed).await;
        }
        let mut followed = self.follow(owner, login).await?;
        let answer = self.first_sync(&followed).await?;
        if answer == LoginAnswer::Admitted || login.expected == Expected::Denied {
            return Ok(answer);
        }
        // The copy is new, and Argo CD may not have seen it when it first looked.
        self.sync_again(&mut followed).await
    }

    /// Makes a private repository of `owner` and an Application that deploys it to the destination of the login.
    ///
    /// # Errors
    /// When the forge or the API server refuses.
    async fn follow<'a>(&self, owner: &'a Owner, login: &'a Login) -> Result<Followed<'a>, SyncError> {
        let argo_cd = self.running_argo_cd(&login.name)?;
        let commit = self.publish_commit(owner, login, true, &[manifest(&login.name, 0).as_file()]).await?;
        let application = Application {
            name: &login.name,
            repo_url: &owner.repository(&login.repository),
            path: DIRECTORY,
            branch: "main",
            namespace: &login.destination,
            project: login.project.as_deref(),
        };
        argo_cd.create(&application).await?;
        Ok(Followed { login, owner, commit, changes: 0 })
    }

    /// Waits until Argo CD has compared a new Application for the first time.
    ///
    /// # Errors
    /// When it does not say how that went.
    async fn first_sync(&self, followed: &Followed<'_>) -> Result<LoginAnswer, SyncError> {
        self.synced(followed, None).await
    }

    /// Pushes a new commit and asks Argo CD for it, until the answer is the expected one or Argo CD must have learnt of
    /// the copy as it is now.
    ///
    /// # Errors
    /// When the forge or the API server refuses, or Argo CD does not say how it went.
    async fn sync_again(&self, followed: &mut Followed<'_>) -> Result<LoginAnswer, SyncError> {
        let Login { name, expected, .. } = followed.login;
        let argo_cd = self.running_argo_cd(name)?;
        followed.changes += 1;
        let file = manifest(name, followed.changes);
        followed.commit = self.publish_commit(followed.owner, followed.login, false, &[file.as_file()]).await?;
        let informed = Instant::now() + INFORMED;
        loop {
            let refresh = argo_cd.hard_refresh(name).await?;
            let answer = self.synced(followed, Some(refresh)).await?;
            let as_expected = (answer == LoginAnswer::Admitted) == (*expected == Expected::Admitted);
            if as_expected || Instant::now() >= informed {
                return Ok(answer);
            }
            wait::pass(AGAIN).await;
        }
    }

    async fn synced(&self, followed: &Followed<'_>, refresh: Option<Refresh>) -> Result<LoginAnswer, SyncError> {
        let name = &followed.login.name;
        let argo_cd = self.running_argo_cd(name)?;
        let what = format!("comparison of Application {name}");
        let look = |seen: Option<&ApplicationSeen>| {
            let Some(seen) = seen else { return Progress::NotYet("there is no Application".to_owned()) };
            if refresh.is_some_and(|refresh| !seen.has_done(refresh)) {
                return Progress::NotYet("the refresh is not done".to_owned());
            }
            if seen.is_synced_to(&followed.commit) {
                return Progress::Done(LoginAnswer::Admitted);
            }
            match seen.comparison_error() {
                Some(error) if error.message.cause != Cause::Other => {
                    Progress::Done(LoginAnswer::Refused(format!("ComparisonError, {:?}", error.message.cause)))
                }
                Some(error) => Progress::NotYet(error.message.text.clone()),
                None => Progress::NotYet(format!("{} {}", seen.sync, seen.phase)),
            }
        };
        Ok(argo_cd.until(name, &what, COMPARED, look).await?)
    }

    /// Removes the Application with what it has deployed.
    ///
    /// # Errors
    /// When the API server refuses, or it does not go.
    async fn unfollow(&self, name: &str) -> Result<(), SyncError> {
        Ok(self.running_argo_cd(name)?.delete(name).await?)
    }
}

/// The one manifest of a repository.
struct ManifestFile {
    path: String,
    text: String,
}

impl ManifestFile {
    fn as_file(&self) -> crate::forge::File<'_> {
        (&self.path, self.text.as_bytes())
    }
}

/// A ConfigMap that is another one at each change.
fn manifest(name: &str, change: u32) -> ManifestFile {
    let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  change: \"{change}\"\n");
    ManifestFile { path: format!("{DIRECTORY}/config.yaml"), text }
}
