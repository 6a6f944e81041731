//! Flux as a consumer: source-controller fetches what is new in private repositories, with the copies that its sources name.

use std::time::Duration;

use credence_core::consumer::Consumer;
use credence_core::formats::{FLUX_GIT, FLUX_OCI};
use credence_watch::wait::{Progress, WaitError};
use futures::future::BoxFuture;

use crate::flux::{Failure, Flux, FluxError, Kind, Source, SourceSeen};
use crate::login::{Login, LoginError, LoginFuture, Runner};
use crate::running::{Consumers, LoginAnswer};

/// Time that a fetch may take; measured at 1 to 4 s, with what is published for it.
const FETCHED: Duration = Duration::from_secs(60);

/// A fetch could not be tried, or did not end.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum FetchError {
    /// The controller does not run.
    #[error("failed to fetch source {source_name}: Flux's source-controller does not run")]
    NoController { source_name: String },
    /// The source was refused.
    #[error("failed to use a source of Flux")]
    Flux(#[from] FluxError),
    /// Flux did not say.
    #[error("failed to observe a fetch")]
    NoAnswer(#[from] WaitError),
}

/// Flux's source-controller, which fetches what is new.
pub(crate) struct FluxFetch {
    consumer: Consumer,
    kind: Kind,
}

impl FluxFetch {
    /// A new commit.
    pub(crate) const OF_COMMITS: Self = Self { consumer: FLUX_GIT, kind: Kind::Git };
    /// A new artifact.
    pub(crate) const OF_ARTIFACTS: Self = Self { consumer: FLUX_OCI, kind: Kind::Oci };

    /// The name of the source of a login. Each login has one of its own: nothing that Flux knew before has a say in it.
    fn source_of(login: &Login) -> String {
        format!("{}-{}", login.name, login.step)
    }
}

impl Runner for FluxFetch {
    fn consumer(&self) -> Consumer {
        self.consumer
    }

    fn is_program(&self) -> bool {
        true
    }

    fn log_in<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> LoginFuture<'a> {
        Box::pin(async move {
            let (owner, tag, name) = (login.owner()?, login.tag(), Self::source_of(login));
            let (url, fresh) = match self.kind {
                Kind::Git => (owner.repository(&login.repository), consumers.fresh_commit(login).await?),
                Kind::Oci => {
                    consumers.publish(owner, &login.repository, &tag).await?;
                    (owner.image(&login.repository), tag)
                }
            };
            let source = Source {
                kind: self.kind,
                namespace: &login.namespace,
                name: &name,
                url: &url,
                reference: if self.kind == Kind::Git { "main" } else { &fresh },
                secret: login.secret.as_deref(),
            };
            let answer = consumers.fetch(login, &source, &fresh).await;
            // Before its end is looked for in the log: a source that is there is asked for again and again.
            let removed = consumers.remove_source(login, &source).await;
            let answer = answer?;
            removed?;
            Ok(answer)
        })
    }

    fn leave<'a>(&'a self, consumers: &'a Consumers, login: &'a Login) -> BoxFuture<'a, Result<(), LoginError>> {
        Box::pin(async move {
            let (kind, name) = (self.kind, Self::source_of(login));
            let source =
                Source { kind, namespace: &login.namespace, name: &name, url: "", reference: "", secret: None };
            Ok(consumers.remove_source(login, &source).await?)
        })
    }
}

impl Consumers {
    fn source_controller(&self, source: &Source<'_>) -> Result<&Flux, FetchError> {
        self.flux.as_ref().ok_or_else(|| FetchError::NoController { source_name: source.to_string() })
    }

    /// Has Flux fetch a source, and waits until it has `fresh`, the id of a commit or a tag that it cannot have seen before, or
    /// was refused.
    ///
    /// # Errors
    /// When the API server refuses, or Flux does not say how it went.
    async fn fetch(&self, login: &Login, source: &Source<'_>, fresh: &str) -> Result<LoginAnswer, FetchError> {
        let flux = self.source_controller(source)?;
        flux.create(&login.client, source).await?;
        let look = |seen: Option<&SourceSeen>| answer(seen, fresh);
        Ok(flux.until(source, &format!("fetch of {source}"), FETCHED, look).await?)
    }

    /// Removes the source, if it was made.
    ///
    /// # Errors
    /// When the API server refuses, or it does not go.
    async fn remove_source(&self, login: &Login, source: &Source<'_>) -> Result<(), FetchError> {
        Ok(self.source_controller(source)?.remove(&login.client, source).await?)
    }
}

fn answer(seen: Option<&SourceSeen>, fresh: &str) -> Progress<LoginAnswer> {
    match seen.and_then(SourceSeen::fetched) {
        None => Progress::NotYet("Flux has not answered".to_owned()),
        Some(Ok(revision)) if is_of(revision, fresh) => Progress::Done(LoginAnswer::Admitted),
        Some(Ok(_)) => Progress::NotYet("Flux fetched something else".to_owned()),
        Some(Err(Failure::NoLogin(said))) => Progress::Done(LoginAnswer::Withheld(said.clone())),
        Some(Err(Failure::Refused { reason, cause })) => {
            Progress::Done(LoginAnswer::Refused(format!("{reason}, {cause:?}")))
        }
        // It tries again by itself, for instance where its right to read the Secret is a moment late.
        Some(Err(Failure::Other(said))) => Progress::NotYet(said.clone()),
    }
}

/// True if a revision is of this commit, as in `main@sha1:COMMIT`, or of this tag, as in `TAG@sha256:DIGEST`.
fn is_of(revision: &str, fresh: &str) -> bool {
    let (reference, digest) = revision.split_once('@').unwrap_or((revision, ""));
    reference == fresh || digest.split_once(':').is_some_and(|(_, id)| id == fresh)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::commit("main@sha1:0a1b", "0a1b", true)]
    #[case::tag("step-1@sha256:0a1b", "step-1", true)]
    #[case::commit_before("main@sha1:0a1b", "2c3d", false)]
    #[case::tag_before("step-1@sha256:0a1b", "step-11", false)]
    #[case::beginning_of_a_commit("main@sha1:0a1b", "0a", false)]
    fn a_revision_is_of_the_fresh_commit_or_tag(#[case] revision: &str, #[case] fresh: &str, #[case] expected: bool) {
        assert_eq!(is_of(revision, fresh), expected);
    }
}
