//! Requests that were let through and are the operator's to answer: their consequence is looked for, and its refusal is
//! read for the reason.

use std::collections::BTreeSet;
use std::time::Duration;

use credence_cluster::evidence::sink::Receiver;
use credence_report::route::RouteEnd;
use credence_watch::wait::{self, Progress};
use kube::Client;
use serde_json::Value;

use super::call::{CORE, Call, RequestAnswer, collection};
use super::error::{AccessError, request};
use super::pending::{Pending, Product};
use super::reason::Reason;
use super::route::Consequence;
use super::tracers::{OWN_VALUE, foreign};
use super::trial::Trial;
use crate::observation::cause_of;

/// Time between two polls of what cannot be watched.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(60);

enum Verdict {
    Worked(Sign),
    Refused(Reason),
    WithoutEffect,
}

/// A sign that an attempt worked, and the thing that shows it, such as a value or a Secret; none if there is nothing to name.
struct Sign(Option<String>);

impl Sign {
    fn of(shown_by: impl Into<String>) -> Self {
        Self(Some(shown_by.into()))
    }
}

impl Trial<'_> {
    /// Waits until it is clear what came of each of those that were let through.
    pub(super) async fn judge_pending(&mut self) -> Result<(), AccessError> {
        let pending = self.pending.clone();
        for one in &pending {
            let what = format!("the operator decides about \"{}\"", one.title);
            let verdict = {
                let this = &*self;
                wait::poll(&what, this.env.provisioning_bound(), POLL_INTERVAL, || async {
                    match this.probe(one).await {
                        Ok(progress) => progress,
                        Err(error) => Progress::NotYet(error.to_string()),
                    }
                })
                .await
            };
            match verdict {
                Ok(Verdict::Worked(sign)) => self.worked(one, &sign),
                Ok(Verdict::Refused(reason)) => {
                    self.refused_by_operator = true;
                    self.end(one.route, RouteEnd::RefusedByOperator, &format!("refused by the operator for {reason}"));
                }
                Ok(Verdict::WithoutEffect) => self.end(one.route, RouteEnd::WithoutEffect, "without effect"),
                Err(error) => self.not_told(one.route, cause_of(&error), format!("{}: {error}", one.title)),
            }
            if one.route.consequence() == Consequence::SourceChanged {
                self.restore(one).await?;
            }
        }
        Ok(())
    }

    fn worked(&mut self, one: &Pending, Sign(shown_by): &Sign) {
        self.end(one.route, RouteEnd::Worked, "let through");
        self.worked.push(one.title.clone());
        let which = shown_by.as_ref().map(|shown_by| format!(", {shown_by}")).unwrap_or_default();
        let text = one.route.consequence().text();
        self.violated(format!("{} could: {}: {text}{which}", self.who(), one.title));
    }

    async fn probe(&self, one: &Pending) -> Result<Progress<Verdict>, AccessError> {
        let decided = match &one.seen.object {
            None => Progress::NotYet("nothing has come of it".to_owned()),
            Some(path) => {
                let object = read(&self.admin, path).await?;
                match ready(&object).as_deref() {
                    Some("True") if !one.seen.changed || is_of_now(&object) => Progress::Done(Verdict::WithoutEffect),
                    Some("False") => match refusal(&self.admin, &one.seen.namespace, &object).await? {
                        Some(reason) => Progress::Done(Verdict::Refused(reason)),
                        None => Progress::NotYet("it failed for no reason that is known to be about access".to_owned()),
                    },
                    _ => Progress::NotYet("the operator has not looked at it".to_owned()),
                }
            }
        };
        // Looked for last: what the operator says comes after what it makes.
        Ok(match self.consequence(one).await? {
            Some(sign) => Progress::Done(Verdict::Worked(sign)),
            None => decided,
        })
    }

    /// Looks for the consequence of an attempt.
    async fn consequence(&self, one: &Pending) -> Result<Option<Sign>, AccessError> {
        match one.route.consequence() {
            Consequence::Value => {
                let leaked =
                    |secret: &Value| foreign(&self.scan.find_all_in_json(secret)).map(|leak| Sign::of(leak.label));
                self.first_of_secrets(one, |_, secret| leaked(secret)).await
            }
            Consequence::Copy => {
                let exists =
                    |name: &str, secret: &Value| (!secret.is_null()).then(|| Sign::of(format!("Secret {name}")));
                self.first_of_secrets(one, exists).await
            }
            Consequence::SecretOfType(kind) => {
                self.first_of_secrets(one, |_, secret| (secret["type"] == kind).then(|| Sign::of(kind))).await
            }
            Consequence::Resolved => {
                self.first_of_secrets(one, |_, secret| {
                    let values = secret["data"].as_object().into_iter().flatten();
                    values.filter_map(|(_, value)| value.as_str()).any(is_loopback).then_some(Sign(None))
                })
                .await
            }
            Consequence::Told => {
                let mut received = self.receiver.iter().flat_map(Receiver::received);
                Ok(received.find_map(|one| foreign(&self.scan.find_all(one.expose())).map(|leak| Sign::of(leak.label))))
            }
            Consequence::SourceChanged => self.changed_source(one).await,
            // They are in the answer, or in the cluster as such.
            Consequence::Answer
            | Consequence::Object
            | Consequence::Token
            | Consequence::Right
            | Consequence::Field(_)
            | Consequence::LoggedIn
            | Consequence::Beyond => Ok(None),
        }
    }

    /// The first sign that `look` sees in a Secret; it is given the name, and null for one that is not there.
    async fn first_of_secrets(
        &self,
        one: &Pending,
        look: impl Fn(&str, &Value) -> Option<Sign>,
    ) -> Result<Option<Sign>, AccessError> {
        for name in &one.seen.secrets {
            let secret = read(&self.admin, &secret_path(&one.seen.namespace, name)).await?;
            let seen = look(name, &secret);
            if seen.is_some() {
                return Ok(seen);
            }
        }
        Ok(None)
    }

    /// The key of a source that has the tenant's own value.
    async fn changed_source(&self, one: &Pending) -> Result<Option<Sign>, AccessError> {
        let Some((source, key)) = &one.seen.source else { return Ok(None) };
        let object = read(&self.admin, &secret_path(&source.namespace, &source.name)).await?;
        let own = object["data"][key].as_str().map(|text| self.scan.find_all(text.as_bytes()));
        let is_own = own.is_some_and(|found| found.iter().any(|leak| leak.label == OWN_VALUE));
        Ok(is_own.then(|| Sign::of(format!("{key} of {source}"))))
    }

    /// Writes the values of a source back, on which others rely.
    async fn restore(&self, one: &Pending) -> Result<(), AccessError> {
        let act = "write a source back";
        let Some((source, _)) = &one.seen.source else { return Ok(()) };
        // What pushes, and what makes what pushes, would push again.
        for path in [&one.made, &one.seen.object].into_iter().flatten() {
            Call::delete(path).send(&self.admin).await.map_err(request(act))?;
        }
        let values = self.sources.values(source).into_iter().flatten();
        let values: serde_json::Map<String, Value> =
            values.filter_map(|(key, value)| Some((key.clone(), value.expose_str()?.into()))).collect();
        let patch = serde_json::json!({ "stringData": values });
        let call = Call::patch(secret_path(&source.namespace, &source.name), patch);
        call.send(&self.admin).await.map_err(request(act))?;
        Ok(())
    }

    /// The Secrets that must still not be there after the hold.
    pub(super) fn products(&self) -> Vec<Product> {
        let made = |one: &&Pending| matches!(one.route.consequence(), Consequence::Copy);
        let worked: BTreeSet<&str> = self.worked.iter().map(String::as_str).collect();
        let still = self.pending.iter().filter(made).filter(|one| !worked.contains(one.title.as_str()));
        let mut products = Vec::new();
        for Pending { title, seen, .. } in still {
            products.extend(seen.secrets.iter().map(|secret| Product {
                namespace: seen.namespace.clone(),
                name: secret.clone(),
                made_by: title.clone(),
            }));
        }
        products
    }
}

/// Why the operator refused an object: from what it says in it, and from the events about it and about the store of its name.
pub(super) async fn refusal(client: &Client, namespace: &str, object: &Value) -> Result<Option<Reason>, AccessError> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let said = conditions.into_iter().flatten().filter_map(|condition| condition["message"].as_str());
    if let Some(reason) = said.filter_map(Reason::of).next() {
        return Ok(Some(reason));
    }
    let events = read(client, &collection(CORE, Some(namespace), "events")).await?;
    let events = events["items"].as_array().into_iter().flatten();
    let about = events.filter(|event| event["type"] == "Warning" && event["involvedObject"]["name"] == name);
    Ok(about.filter_map(|event| event["message"].as_str()).filter_map(Reason::of).max())
}

/// An object, as the administrator sees it; null if it is not there.
pub(super) async fn read(admin: &Client, path: &str) -> Result<Value, AccessError> {
    let reply = Call::get(path).send(admin).await.map_err(request("look at what came of an attempt"))?;
    Ok(match reply.answer {
        RequestAnswer::Admitted => serde_json::from_slice(&reply.body).unwrap_or_default(),
        _ => Value::Null,
    })
}

/// The operator's words on something, if it has any.
pub(super) fn ready(object: &Value) -> Option<String> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array)?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready")?;
    ready["status"].as_str().map(str::to_owned)
}

/// True if the operator has synchronised what an ExternalSecret says now: `GENERATION-HASH`.
fn is_of_now(object: &Value) -> bool {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
    let synced = object.pointer("/status/syncedResourceVersion").and_then(Value::as_str).unwrap_or_default();
    synced.strip_prefix(&generation.to_string()).is_some_and(|rest| rest.starts_with('-'))
}

/// True if a value of a Secret, in base64, is an address of this machine.
fn is_loopback(value: &str) -> bool {
    // 127.0.0.1 and ::1.
    ["MTI3LjAuMC4x", "Ojox"].contains(&value)
}

fn secret_path(namespace: &str, name: &str) -> String {
    format!("{}/{name}", collection(CORE, Some(namespace), "secrets"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_synchronised_in_this_generation_is_of_now() {
        let object = |generation: i64, synced: &str| json!({ "metadata": { "generation": generation }, "status": { "syncedResourceVersion": synced } });
        assert!(is_of_now(&object(2, "2-abc")));
        assert!(!is_of_now(&object(2, "1-abc")));
        assert!(!is_of_now(&object(2, "21-abc")));
        assert!(!is_of_now(&json!({})));
    }

    #[test]
    fn an_object_without_a_condition_was_not_looked_at() {
        let object = json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } });
        assert_eq!(ready(&object).as_deref(), Some("False"));
        assert_eq!(ready(&json!({ "status": { "conditions": [] } })), None);
    }
}
