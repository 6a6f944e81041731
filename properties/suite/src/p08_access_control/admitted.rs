//! Meaning of an attempt that the API server let through: what shows at once, and what is left to the operator.

use std::time::Duration;

use credence_core::credential::Credential;
use credence_core::id::agent;
use credence_report::route::RouteEnd;
use credence_report::unknown::Cause;
use credence_watch::wait::{self, Progress, WaitError};
use serde_json::Value;

use super::attack_case::looked_at;
use super::attempt::{Attempt, Seen};
use super::call::{CORE, Call, Reply, RequestAnswer, collection};
use super::error::{AccessError, request};
use super::pending::Pending;
use super::review::{Power, Subject, may};
use super::route::{AttackPath, Consequence};
use super::trial::Trial;
use crate::observation::cause_of;

/// Time that the authoriser may take to know a new binding.
const IN_FORCE: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(30);

impl Trial<'_> {
    /// Outcome of an attempt that was let through.
    pub(super) async fn admitted(
        &mut self,
        attack_path: &AttackPath,
        attempt: &Attempt,
        reply: &Reply,
    ) -> Result<(), AccessError> {
        let route = attack_path.route;
        match attempt.consequence {
            Consequence::Answer | Consequence::Object => self.could(attack_path),
            Consequence::Token => {
                let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                let token = Credential::new(answer["status"]["token"].as_str().unwrap_or_default());
                if self.opens(&token).await? {
                    self.could(attack_path)
                } else {
                    self.end(route, RouteEnd::WithoutEffect, "without effect: the token opens no source")
                }
            }
            Consequence::Right => match self.comes_into_force(&attempt.seen).await {
                Ok(()) => self.could(attack_path),
                Err(error) => {
                    let why = format!("{attack_path}: let through, and {error}");
                    self.not_told(route, cause_of(&error), why);
                }
            },
            Consequence::Field(pointer) => {
                let kept: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                match kept.pointer(pointer) {
                    Some(_) => self.could(attack_path),
                    None => self.end(route, RouteEnd::WithoutEffect, "without effect"),
                }
            }
            Consequence::LoggedIn => {
                let why = route.unarmed().unwrap_or_default();
                let why = format!("{attack_path}: let through, and it cannot be seen here: {why}");
                self.not_told(route, Cause::EvidenceLost, why);
            }
            Consequence::Value
            | Consequence::Copy
            | Consequence::SecretOfType(_)
            | Consequence::Resolved
            | Consequence::Told
            | Consequence::SourceChanged
            | Consequence::Beyond => return self.used(attack_path, attempt).await,
        }
        Ok(())
    }

    /// Lets the operator work on what was let through.
    async fn used(&mut self, attack_path: &AttackPath, attempt: &Attempt) -> Result<(), AccessError> {
        if let Some(path) = &attempt.store {
            looked_at(&self.admin, path).await?;
        }
        if let Some(then) = &attempt.then {
            match self.send(then, attack_path).await?.answer {
                RequestAnswer::Admitted => {}
                RequestAnswer::Denied(denial) => {
                    self.end(attack_path.route, denial.end(), &format!("of no use, by {denial}"));
                    return Ok(());
                }
                RequestAnswer::Failed(why) => {
                    let why = format!("{attack_path}: what uses it failed with {why}, which is no refusal");
                    self.not_told(attack_path.route, Cause::RequestFailed, why);
                    return Ok(());
                }
            }
        }
        self.let_through.push(attack_path.to_string());
        let (title, seen, made) = (attack_path.to_string(), attempt.seen.clone(), attempt.call.created());
        self.pending.push(Pending { title, route: attack_path.route, seen, made });
        Ok(())
    }

    /// True if a source can be read with a token.
    async fn opens(&self, token: &Credential) -> Result<bool, AccessError> {
        let client = self.env.cluster.client_with_token(&agent(self.id), token).await.map_err(AccessError::Client)?;
        for source in self.context.model.secret_sources() {
            let path = format!("{}/{}", collection(CORE, Some(&source.namespace), "secrets"), source.name);
            let reply = Call::get(path).send(&client).await.map_err(request("use a token"))?;
            if reply.answer == RequestAnswer::Admitted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until the user of an attempt may read the source.
    async fn comes_into_force(&self, seen: &Seen) -> Result<(), WaitError> {
        let user = Subject::stranger(seen.user.as_deref().unwrap_or_default());
        let namespace = seen.source.as_ref().map(|(source, _)| source.namespace.as_str());
        wait::poll("the user may read the source", IN_FORCE, POLL_INTERVAL, || async {
            match may(&self.admin, &user, &Power::new("get", "", "secrets"), namespace).await {
                Ok(true) => Progress::Done(()),
                Ok(false) => Progress::NotYet("it may not".to_owned()),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        })
        .await
    }
}
