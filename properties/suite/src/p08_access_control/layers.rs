//! The layers behind admission, each tested by itself: the conditions of a store, and the rights of its ServiceAccount.

use std::collections::{BTreeMap, BTreeSet};

use credence_cluster::operator;
use credence_model::config::SourceRef;
use credence_report::route::RouteEnd;
use credence_report::unknown::Cause;
use credence_watch::wait::{self, Progress};
use kube::Client;
use serde_json::{Value, json};

use super::attack_case::decoy;
use super::attempt::Seen;
use super::call::{CORE, Call, Denial, EXTERNAL_SECRETS, RequestAnswer, collection};
use super::error::{AccessError, request};
use super::objective::{Objective, sources_of};
use super::objects::{self, VALUE};
use super::pending::Pending;
use super::reach;
use super::route::Route;
use super::rules::{Right, rights};
use super::tracers::{entitled, granted_beyond};
use super::trial::Trial;
use crate::observation::cause_of;

impl Trial<'_> {
    /// An ExternalSecret that the operator itself writes passes every policy: in the tenant's namespace it must come to
    /// nothing, while the very same is served in the neighbour's, which is authorised for this source and key of this store.
    pub(super) async fn conditions(&mut self, objective: &Objective, name: &str) -> Result<(), AccessError> {
        let route = Route::Conditions;
        let (mine, neighbour) = (self.context.mine, self.context.neighbour);
        let own = entitled(self.context.model, mine, self.context.labels);
        let goals: Vec<_> =
            granted_beyond(self.context.model, (neighbour, &self.neighbour), &own).into_iter().collect();
        let goal = objective.any_of(&goals);
        let goal = goal.and_then(|(store, source, key)| {
            let store = self.context.model.stores.get(store)?;
            Some((store, source, key, self.sources.values(source)?.get(key)?))
        });
        let Some((store, source, key, value)) = goal else {
            self.nothing_to_try(route);
            return Ok(());
        };
        let reads = objects::reading(store.kind(), store.object_name(), &source.name, key);
        let operator = self.operator().await?;
        let control = format!("{name}-control");
        self.write_as(&operator, neighbour, &control, reads.clone()).await?;
        let served = wait::until(
            &self.env.observer,
            "the operator's ExternalSecret in the authorised namespace served",
            self.env.provisioning_bound(),
            |view| match view.secret(neighbour, &control).and_then(|secret| secret.data.get(VALUE)) {
                Some(found) if found == value => Progress::Done(()),
                Some(_) => Progress::Never("it has another value".to_owned()),
                None => Progress::NotYet("it does not exist".to_owned()),
            },
        );
        if let Err(error) = served.await {
            self.not_told(route, cause_of(&error), format!("{route}: {error}"));
            return Ok(());
        }
        self.write_as(&operator, mine, name, reads).await?;
        let title = format!("{route}, in an ExternalSecret that the operator wrote");
        let path = format!("{}/{name}", collection(EXTERNAL_SECRETS, Some(mine), "externalsecrets"));
        let seen = Seen {
            namespace: mine.to_owned(),
            secrets: vec![name.to_owned()],
            object: Some(path.clone()),
            ..Seen::default()
        };
        self.let_through.push(title.clone());
        let made = Some(path);
        self.pending.push(Pending { title, route, seen, made });
        Ok(())
    }

    async fn write_as(
        &mut self,
        operator: &Client,
        namespace: &str,
        name: &str,
        spec: Value,
    ) -> Result<(), AccessError> {
        let act = "write as the operator";
        let path = collection(EXTERNAL_SECRETS, Some(namespace), "externalsecrets");
        let call = Call::create(path, objects::external_secret(name, spec));
        let answer = call.send(operator).await.map_err(request(act))?.answer;
        if answer != RequestAnswer::Admitted {
            return Err(AccessError::Refused { act, answer });
        }
        self.created.extend(call.created());
        Ok(())
    }

    /// The account of a store may get the sources that are read through it, and nothing else.
    pub(super) async fn store_account(&mut self, objective: &Objective) -> Result<(), AccessError> {
        let route = Route::StoreAccount;
        let Some(goal) = objective.at(self.context.model) else {
            self.nothing_to_try(route);
            return Ok(());
        };
        let account = goal.store.kubernetes.as_ref().and_then(|provider| provider.service_account());
        let account = account.and_then(|account| Some((account.namespace.as_ref()?, &account.name)));
        let own = sources_of(self.context.model, &goal.store.name);
        let Some((namespace, account)) = account.filter(|_| !own.is_empty()) else {
            self.nothing_to_try(route);
            return Ok(());
        };
        let client = self.acting_as(namespace, account).await?;
        for source in &own {
            let reply = Call::get(at(source)).send(&client).await.map_err(request("read as a store"))?;
            if reply.answer != RequestAnswer::Admitted {
                let what = format!("{route}: {account} cannot read its own source {source}: {:?}", reply.answer);
                self.not_told(route, Cause::ControlFailed, what);
                return Ok(());
            }
        }
        let beyond = self.beyond(&client, &own).await?;
        if !beyond.is_empty() {
            self.end(route, RouteEnd::Worked, "has rights beyond its sources");
            let beyond: Vec<String> =
                beyond.into_iter().map(|(right, place)| format!("{right} in {}", place.join(", "))).collect();
            let store = &goal.store.name;
            self.violated(format!("the account {account} of store {store} may {}", beyond.join("; ")));
        }
        self.reads_nothing_else(&client, account, &own).await
    }

    /// Rights of an account by its whole rules, beyond what every account may and beyond its sources, each with the
    /// namespaces in which it may.
    async fn beyond(
        &mut self,
        client: &Client,
        own: &BTreeSet<&SourceRef>,
    ) -> Result<BTreeMap<Right, Vec<String>>, AccessError> {
        let nobody = self.nobody().await?;
        let mut namespaces = self.context.model.source_namespaces();
        namespaces.extend([self.context.mine, operator::NAMESPACE, "default", "kube-system"]);
        let mut beyond: BTreeMap<Right, Vec<String>> = BTreeMap::new();
        for namespace in namespaces {
            let common = rights(&reach::rules(&nobody, namespace).await?);
            let sources = own.iter().filter(|source| source.namespace == namespace);
            let names: BTreeSet<&str> = sources.map(|source| source.name.as_str()).collect();
            let all = rights(&reach::rules(client, namespace).await?);
            for right in all.difference(&common).filter(|right| right.opens() && !right.gets(&names)) {
                beyond.entry(right.clone()).or_default().push(namespace.to_owned());
            }
        }
        Ok(beyond)
    }

    /// An account that nobody has bound.
    async fn nobody(&mut self) -> Result<Client, AccessError> {
        let (act, name) = ("make an account without rights", format!("{}-nobody", self.context.tag));
        let path = collection(CORE, Some(self.context.neighbour), "serviceaccounts");
        let call = Call::create(path, objects::object("v1", "ServiceAccount", &name, json!({})));
        let answer = call.send(&self.admin).await.map_err(request(act))?.answer;
        match answer {
            RequestAnswer::Admitted => self.created.extend(call.created()),
            // Another attempt of the same case has made it.
            answer if answer == RequestAnswer::exists() => {}
            answer => return Err(AccessError::Refused { act, answer }),
        }
        self.acting_as(self.context.neighbour, &name).await
    }

    /// Shows by requests that an account reads nothing but its sources, each matched by the very same of an administrator.
    async fn reads_nothing_else(
        &mut self,
        client: &Client,
        account: &str,
        own: &BTreeSet<&SourceRef>,
    ) -> Result<(), AccessError> {
        let route = Route::StoreAccount;
        let others = self.context.model.secret_sources().filter(|source| !own.contains(source));
        let mut calls: Vec<(String, Call)> =
            others.map(|other| (format!("read {other}"), Call::get(at(other)))).collect();
        let private = |namespace: &str| SourceRef::secret(namespace, self.context.private());
        for tenant in [self.context.mine, self.context.neighbour].map(private) {
            calls.push((format!("read {tenant}"), Call::get(at(&tenant))));
        }
        for source in own {
            let secrets = collection(CORE, Some(&source.namespace), "secrets");
            calls.push((format!("list the Secrets of {}", source.namespace), Call::get(&secrets)));
            let decoy = decoy(&self.context, &source.namespace);
            let answer = decoy.send(&self.admin).await.map_err(request("make a decoy"))?.answer;
            // Several of the sources may be in one namespace, and several attempts of a case may be about a store.
            if answer == RequestAnswer::Admitted {
                self.created.extend(decoy.created());
            }
            calls.extend(
                decoy.created().map(|path| ("read another Secret beside its source".to_owned(), Call::get(path))),
            );
        }
        calls.push(("list the Secrets of the cluster".to_owned(), Call::get(collection(CORE, None, "secrets"))));
        for (what, call) in calls {
            let control = call.send(&self.admin).await.map_err(request("read as an administrator"))?.answer;
            if control != RequestAnswer::Admitted {
                let why = format!("{route}: nobody can {what}: {control:?}");
                self.not_told(route, Cause::ControlFailed, why);
                continue;
            }
            match call.send(client).await.map_err(request("read as a store"))?.answer {
                RequestAnswer::Denied(Denial::Rbac) => self.end(route, RouteEnd::RefusedByRights, "refused by RBAC"),
                RequestAnswer::Admitted => {
                    self.end(route, RouteEnd::Worked, "let through");
                    self.violated(format!("the account {account} of a store may {what}"));
                }
                other => {
                    let why = format!("{route}: to {what} ended with {other:?}");
                    self.not_told(route, Cause::RequestFailed, why);
                }
            }
        }
        Ok(())
    }
}

fn at(secret: &SourceRef) -> String {
    format!("{}/{}", collection(CORE, Some(&secret.namespace), "secrets"), secret.name)
}
