//! What it means that the API server let an attempt through: what shows at once, and what is left to the operator.

use std::time::Duration;

use credence_core::credential::Credential;
use credence_core::id::agent;
use credence_report::route::RouteEnd;
use credence_watch::wait::{self, Progress, WaitError};
use serde_json::Value;

use super::attempt::{Attempt, Seen};
use super::call::{Answer, CORE, Call, Reply, collection};
use super::error::{AccessError, request};
use super::pending::Pending;
use super::review::{Power, Subject, may};
use super::route::{Consequence, Trespass};
use super::stage::looked_at;
use super::trial::Trial;

/// How long the authoriser may take to know a new binding.
const IN_FORCE: Duration = Duration::from_secs(20);
/// How often is asked.
const EVERY: Duration = Duration::from_millis(30);

impl Trial<'_> {
    /// What it means that an attempt was let through.
    pub(super) async fn admitted(
        &mut self,
        trespass: &Trespass,
        attempt: &Attempt,
        reply: &Reply,
    ) -> Result<(), AccessError> {
        let route = trespass.route;
        match attempt.consequence {
            Consequence::Answer | Consequence::Object => self.could(trespass),
            Consequence::Token => {
                let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                let token = Credential::new(answer["status"]["token"].as_str().unwrap_or_default());
                match self.opens(&token).await? {
                    true => self.could(trespass),
                    false => self.end(route, RouteEnd::WithoutEffect, "without effect: the token opens no source"),
                }
            }
            Consequence::Right => match self.comes_into_force(&attempt.seen).await {
                Ok(()) => self.could(trespass),
                Err(error) => self.not_told(route, format!("{trespass}: let through, and {error}")),
            },
            Consequence::Field(pointer) => {
                let kept: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                match kept.pointer(pointer) {
                    Some(_) => self.could(trespass),
                    None => self.end(route, RouteEnd::WithoutEffect, "without effect"),
                }
            }
            Consequence::LoggedIn => {
                let why = route.unarmed().unwrap_or_default();
                self.not_told(route, format!("{trespass}: let through, and it cannot be seen here: {why}"));
            }
            Consequence::Value
            | Consequence::Copy
            | Consequence::SecretOfType(_)
            | Consequence::Resolved
            | Consequence::Told
            | Consequence::SourceChanged
            | Consequence::Beyond => return self.used(trespass, attempt).await,
        }
        Ok(())
    }

    /// Lets the operator work on what was let through.
    async fn used(&mut self, trespass: &Trespass, attempt: &Attempt) -> Result<(), AccessError> {
        if let Some(path) = &attempt.store {
            looked_at(&self.admin, path).await?;
        }
        if let Some(then) = &attempt.then {
            match self.send(then, trespass).await?.answer {
                Answer::Admitted => {}
                Answer::Denied(denial) => {
                    self.end(trespass.route, denial.end(), &format!("of no use, by {denial}"));
                    return Ok(());
                }
                Answer::Failed(why) => {
                    let why = format!("{trespass}: what uses it failed with {why}, which is no refusal");
                    self.not_told(trespass.route, why);
                    return Ok(());
                }
            }
        }
        self.let_through.push(trespass.to_string());
        let (title, seen, made) = (trespass.to_string(), attempt.seen.clone(), attempt.call.created());
        self.pending.push(Pending { title, route: trespass.route, seen, made });
        Ok(())
    }

    /// Whether a source can be read with a token.
    async fn opens(&self, token: &Credential) -> Result<bool, AccessError> {
        let client = self.env.cluster.client_with_token(&agent(self.id), token).await.map_err(AccessError::Client)?;
        for source in self.scene.model.secret_sources() {
            let path = format!("{}/{}", collection(CORE, Some(&source.namespace), "secrets"), source.name);
            let reply = Call::get(path).send(&client).await.map_err(request("use a token"))?;
            if reply.answer == Answer::Admitted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until the user of an attempt may read the source.
    async fn comes_into_force(&self, seen: &Seen) -> Result<(), WaitError> {
        let user = Subject::stranger(seen.user.as_deref().unwrap_or_default());
        let namespace = seen.source.as_ref().map(|(source, _)| source.namespace.as_str());
        wait::poll("the user may read the source", IN_FORCE, EVERY, || async {
            match may(&self.admin, &user, &Power::new("get", "", "secrets"), namespace).await {
                Ok(true) => Progress::Done(()),
                Ok(false) => Progress::NotYet("it may not".to_owned()),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        })
        .await
    }
}
