//! An attack under way: attempts, their controls, and the judgement.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::RUN_LABEL;
use credence_cluster::evidence::sink::Receiver;
use credence_cluster::operator;
use credence_core::credential::Credential;
use credence_core::id::{CaseId, agent};
use credence_core::labels::Labels;
use credence_core::leak_scan::LeakScan;
use credence_report::route::RouteEnd;
use credence_report::unknown::Cause;
use credence_report::verdict::{self, Outcome};
use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use serde_json::Value;

use super::attempt::{AttackContext, Attempt};
use super::call::{Call, Denial, Reply, RequestAnswer};
use super::error::{AccessError, request};
use super::objects::VALUE;
use super::pending::{Pending, Product};
use super::reach::{self, FoundValue, Kinds};
use super::route::{AttackPath, Route};
use super::tracers::{OWN_VALUE, foreign};

use crate::observation::{self, Observation};
use crate::testbed::TestBed;
use crate::testbed::sources::SharedLease;
use crate::testbed::tenant::{self, Tenant};

/// Time for which what the operator refused must stay refused: it tries again after a second (ESO,
/// `pkg/controllers/common`, `BuildRateLimiter`).
pub(super) const OUTLASTS: Duration = Duration::from_millis(1_300);
pub(super) struct Trial<'a> {
    pub(super) env: &'a Arc<TestBed>,
    pub(super) kinds: &'a Kinds,
    pub(super) id: CaseId,
    pub(super) admin: Client,
    pub(super) operator: Option<Client>,
    pub(super) tenant: &'a Tenant,
    pub(super) context: AttackContext<'a>,
    pub(super) sources: &'a SharedLease,
    /// Labels of the neighbour's namespace.
    pub(super) neighbour: Labels,
    pub(super) scan: LeakScan,
    /// Value of a Secret that the tenant owns.
    pub(super) private: &'a Credential,
    pub(super) receiver: Option<Receiver>,
    /// Objects to be removed, by path.
    pub(super) created: &'a mut Vec<String>,
    /// Requests that were let through and are the operator's to answer.
    pub(super) pending: Vec<Pending>,
    /// The titles of those that are judged and worked.
    pub(super) worked: Vec<String>,
    /// True if the operator refused something, which it tries again.
    pub(super) refused_by_operator: bool,
    /// Requests that were let through so far, any of which may have brought what is found at the end.
    pub(super) let_through: Vec<String>,
    pub(super) observation: Observation,
}

impl Trial<'_> {
    pub(super) async fn attempt(&mut self, attack_path: &AttackPath, number: usize) -> Result<(), AccessError> {
        let AttackPath { objective, route, afterwards } = attack_path;
        let name = format!("{}-{number}", self.context.tag);
        match route {
            Route::Conditions => return self.conditions(objective, &name).await,
            Route::StoreAccount => return self.store_account(objective).await,
            _ => {}
        }
        let Some(mut attempt) = Attempt::of(&self.context, *route, objective, &name) else {
            self.nothing_to_try(*route);
            return Ok(());
        };
        if *afterwards {
            attempt = attempt.afterwards();
        }
        for call in &attempt.platform {
            let call = call.clone().labelled(RUN_LABEL, self.context.run);
            let answer = call.send(&self.admin).await.map_err(request("prepare what an attempt is about"))?.answer;
            if answer != RequestAnswer::Admitted {
                let why = format!("{attack_path}: what it is about could not be made: {answer:?}");
                self.not_told(*route, Cause::RequestFailed, why);
                return Ok(());
            }
            self.created.extend(call.created());
        }
        for call in &attempt.prepare {
            let reply = self.send(call, attack_path).await?;
            // An attempt of the same case may have made it.
            if reply.answer != RequestAnswer::Admitted && reply.answer != RequestAnswer::exists() {
                let why = format!("{attack_path}: it could not be prepared: {:?}", reply.answer);
                self.not_told(*route, Cause::RequestFailed, why);
                return Ok(());
            }
        }
        let reply = self.send(&attempt.call, attack_path).await?;
        match &reply.answer {
            RequestAnswer::Admitted => self.admitted(attack_path, &attempt, &reply).await,
            RequestAnswer::Denied(Denial::Policy(name)) if !self.context.model.admission_policies.contains(name) => {
                let why = format!("{attack_path}: refused by policy {name}, which is none of the configuration's");
                self.not_told(*route, Cause::SetUpFailed, why);
                Ok(())
            }
            RequestAnswer::Denied(denial) => self.justify(attack_path, &attempt, denial).await,
            RequestAnswer::Failed(why) => {
                let why = format!("{attack_path}: the attempt failed with {why}, which is no refusal");
                self.not_told(*route, Cause::RequestFailed, why);
                Ok(())
            }
        }
    }

    /// Sends a request of the tenant, notes what it makes, and looks for values in the answer.
    pub(super) async fn send(&mut self, call: &Call, attack_path: &AttackPath) -> Result<Reply, AccessError> {
        let call = call.clone().labelled(RUN_LABEL, self.context.run);
        let reply = call.send(&self.tenant.client).await.map_err(request("try a route"))?;
        if reply.answer == RequestAnswer::Admitted {
            self.created.extend(call.created());
        }
        let parsed: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let mut found = self.scan.find_all_in_json(&parsed);
        found.extend(self.scan.find_all(&reply.body));
        if let Some(leak) = foreign(&found) {
            self.observation.outcome = self.obtained(leak.label, &format!("the answer to \"{attack_path}\""));
        }
        Ok(reply)
    }

    /// Shows that a refusal was for the right reason: a request like it is let through.
    async fn justify(
        &mut self,
        attack_path: &AttackPath,
        attempt: &Attempt,
        denial: &Denial,
    ) -> Result<(), AccessError> {
        if let Some(harmless) = &attempt.harmless {
            let answer = harmless.send(&self.tenant.client).await.map_err(request("try a control"))?.answer;
            if answer != RequestAnswer::Admitted {
                let why = format!("{attack_path}: refused by {denial}, and so is what must be allowed: {answer:?}");
                self.not_told(attack_path.route, Cause::ControlFailed, why);
                return Ok(());
            }
        }
        // A policy sees only what is well formed, so that the tenant's own control says all there is to say.
        if attempt.exact && (*denial == Denial::Rbac || attempt.harmless.is_none()) {
            let call = attempt.call.clone().dry_run();
            let is_good = |answer: &RequestAnswer| {
                matches!(
                    answer,
                    RequestAnswer::Admitted | RequestAnswer::Denied(Denial::Policy(_) | Denial::Webhook(_))
                )
            };
            let mut answer = call.send(&self.admin).await.map_err(request("try a control"))?.answer;
            if !is_good(&answer) {
                answer = call.send(&self.operator().await?).await.map_err(request("try a control"))?.answer;
            }
            if !is_good(&answer) {
                let why = format!("{attack_path}: refused by {denial}, but nobody can do it: {answer:?}");
                self.not_told(attack_path.route, Cause::ControlFailed, why);
                return Ok(());
            }
        }
        self.end(attack_path.route, denial.end(), &format!("refused by {denial}"));
        Ok(())
    }

    /// A client that acts as the operator.
    pub(super) async fn operator(&mut self) -> Result<Client, AccessError> {
        if let Some(client) = &self.operator {
            return Ok(client.clone());
        }
        let client = self.acting_as(operator::NAMESPACE, operator::SERVICE_ACCOUNT).await?;
        Ok(self.operator.insert(client).clone())
    }

    /// A client that acts as a ServiceAccount, by a token of its own.
    pub(super) async fn acting_as(&self, namespace: &str, account: &str) -> Result<Client, AccessError> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.clone(), namespace);
        let token = tenant::token(&accounts, account).await.map_err(request("request a token"))?;
        self.env.cluster.client_with_token(&agent(self.id), &token).await.map_err(AccessError::Client)
    }

    /// Lets the operator serve the tenant's own ExternalSecret, waits until it has looked at all others, and searches.
    pub(super) async fn judge(&mut self) -> Result<(), AccessError> {
        self.serve_own_tracer().await?;
        self.judge_pending().await?;
        self.hold().await;
        self.search().await
    }

    async fn serve_own_tracer(&mut self) -> Result<(), AccessError> {
        let act = "have the tenant's own ExternalSecret served";
        let name = format!("{}-copy", self.context.tag);
        let call = self.context.create_external_secret(&name, self.context.own_reading());
        let client = if self.context.writes { self.tenant.client.clone() } else { self.operator().await? };
        let answer = call.send(&client).await.map_err(request(act))?.answer;
        if answer != RequestAnswer::Admitted {
            return Err(AccessError::Refused { act, answer });
        }
        self.created.extend(call.created());
        let (mine, private) = (self.context.mine, self.private);
        let bound = self.env.provisioning_bound();
        self.observation.bound = Some(bound);
        wait::until(&self.env.observer, act, bound, |view| match view.secret(mine, &name) {
            Some(secret) if secret.data.get(VALUE) == Some(private) => Progress::Done(()),
            Some(_) => Progress::Never("it has another value".to_owned()),
            None => Progress::NotYet("it does not exist".to_owned()),
        })
        .await?;
        Ok(())
    }

    /// Nothing may arrive while the operator is seen to work.
    async fn hold(&mut self) {
        let (scan, mine, products) = (&self.scan, self.context.mine, &self.products());
        let what = format!("{mine} without values of others");
        let window = if self.refused_by_operator { OUTLASTS } else { self.env.hold() };
        let held = wait::hold(&self.env.observer, &what, window, |view| {
            let made = |product: &&Product| view.secret(&product.namespace, &product.name).is_some();
            if let Some(Product { name, made_by, .. }) = products.iter().find(made) {
                return Err(format!("{name} was made by way of \"{made_by}\"").into());
            }
            for (name, secret) in view.secrets(mine) {
                for (key, value) in &secret.data {
                    if let Some(leak) = foreign(&scan.find_all(value.expose())) {
                        return Err(format!("Secret {name} holds {leak} under {key}").into());
                    }
                }
            }
            Ok(())
        });
        match held.await {
            Ok(()) => {}
            Err(WaitError::Impossible { why, .. }) => {
                self.violated(format!("{}: {why}{}", self.who(), self.by_way_of()));
            }
            Err(error) => self.end_as(observation::failed(&error)),
        }
    }

    /// Searches all that the tenant may read, and what came to its server.
    async fn search(&mut self) -> Result<(), AccessError> {
        let context = &self.context;
        let mut namespaces = BTreeSet::from([context.mine, context.neighbour, operator::NAMESPACE]);
        namespaces.extend(["default", "kube-system"]);
        namespaces.extend(context.model.secret_sources().map(|source| source.namespace.as_str()));
        let search = reach::search(&self.tenant.client, self.kinds, &namespaces, &self.scan).await?;
        self.observation.add_context("object searched", search.objects as u64);
        if !search.found.iter().any(|found| found.name == OWN_VALUE) {
            self.end_as(verdict::unknown(Cause::ControlFailed, "the search does not find the tenant's own value"));
        }
        if let Some(FoundValue { name, place }) = search.found.iter().find(|found| found.name != OWN_VALUE) {
            self.end_as(self.obtained(name, &format!("{place}{}", self.by_way_of())));
        }
        let mut received = self.receiver.iter().flat_map(Receiver::received);
        let found = received.find_map(|one| foreign(&self.scan.find_all(one.expose())).map(|leak| leak.label));
        if let Some(found) = found {
            self.end_as(self.obtained(found, &format!("what was sent to its own server{}", self.by_way_of())));
        }
        Ok(())
    }

    pub(super) fn who(&self) -> String {
        format!("a tenant with {} in {}{}", self.context.rights, self.context.mine, self.context.further)
    }

    /// The routes that may have brought what is found only at the end.
    fn by_way_of(&self) -> String {
        match self.let_through.as_slice() {
            [] => String::new(),
            routes => format!("; let through before: {}", routes.join("; ")),
        }
    }

    fn obtained(&self, value: &str, place: &str) -> Outcome {
        verdict::violated(format!("{} obtained {value}: it is in {place}", self.who()))
    }

    /// Counts what came of a route, as evidence.
    pub(super) fn end(&mut self, route: Route, end: RouteEnd, how: &str) {
        self.observation.end_route(&route.to_string(), end);
        self.observation.count(&format!("{}: {how}", route.title()));
    }

    /// Counts that there was nothing to try a route on.
    pub(super) fn nothing_to_try(&mut self, route: Route) {
        self.observation.end_route(&route.to_string(), RouteEnd::NothingToTry);
        self.observation.add_context(&format!("{}: nothing to try it on", route.title()), 1);
    }

    /// Ends as unknown, because it cannot be told what came of a route.
    pub(super) fn not_told(&mut self, route: Route, cause: Cause, why: String) {
        self.observation.end_route(&route.to_string(), RouteEnd::NotTold);
        self.end_as(verdict::unknown(cause, why));
    }

    /// Ends as violated: a route worked, as its answer or the cluster shows at once.
    pub(super) fn could(&mut self, attack_path: &AttackPath) {
        self.end(attack_path.route, RouteEnd::Worked, "let through");
        let text = attack_path.route.consequence().text();
        self.violated(format!("{} could: {attack_path}: {text}", self.who()));
    }

    pub(super) fn violated(&mut self, why: String) {
        self.end_as(verdict::violated(why));
    }

    /// Ends as this, unless something worse was seen before.
    fn end_as(&mut self, end: Outcome) {
        self.observation.outcome = self.observation.outcome.clone().max(end);
    }
}
