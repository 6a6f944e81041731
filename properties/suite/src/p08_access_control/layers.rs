//! The layers behind admission, each tested by itself: the conditions of a store, and the rights of its ServiceAccount.

use credence_model::config::SourceRef;
use credence_model::model::expected_in;
use credence_watch::wait::{self, Progress};
use serde_json::Value;

use super::aim::{Aim, sources_of};
use super::call::{Answer, CORE, Call, Denial, EXTERNAL_SECRETS, collection};
use super::canary::entitled;
use super::objects::{self, CENTRAL, VALUE};
use super::route::Route;
use super::stage::{AccessError, decoy, request};
use super::trial::Trial;

impl Trial<'_> {
    /// An ExternalSecret that the operator itself writes passes every policy: in the tenant's namespace it must come to
    /// nothing unless that is entitled to what it reads; in the neighbour's it must be served.
    pub(super) async fn conditions(&mut self, aim: &Aim, name: &str) -> Result<(), AccessError> {
        let title = Route::Conditions.title();
        let Some(goal) = aim.at(self.scene.model) else { return Ok(()) };
        let operator = self.operator().await?;
        let (mine, neighbour) = (self.scene.mine, self.scene.neighbour);
        let mut write = async |namespace: &str, name: &str, spec: Value| {
            let path = collection(EXTERNAL_SECRETS, Some(namespace), "externalsecrets");
            let call = Call::create(path, objects::external_secret(name, spec));
            let answer = call.send(&operator).await.map_err(request("write as the operator"))?.answer;
            if answer == Answer::Admitted {
                self.created.extend(call.created());
            }
            Ok::<_, AccessError>(answer)
        };
        let reads = objects::reading(CENTRAL, &goal.store.name, &goal.source.name, goal.key);
        match write(mine, name, reads).await? {
            Answer::Admitted => {
                self.awaits.insert(name.to_owned(), false);
                self.let_through.push(format!("{title}, in an ExternalSecret that the operator wrote"));
            }
            other => return Err(AccessError::Refused { act: "write as the operator", answer: other }),
        };
        let authorised = expected_in(self.scene.model, neighbour, self.neighbour);
        let fields = authorised.values().flat_map(|target| &target.fields);
        let twin = fields
            .filter_map(|field| Some((field, field.property.as_ref()?)))
            .find_map(|(field, key)| Some((field, key, self.sources.values(&field.source)?.get(key)?)));
        let Some((field, key, value)) = twin else {
            self.unknown(format!("{title}: the neighbour is authorised for no single value"));
            return Ok(());
        };
        let twin = format!("{name}-twin");
        let reads = objects::reading(CENTRAL, &field.store, &field.source.name, key);
        let answer = write(neighbour, &twin, reads).await?;
        if answer != Answer::Admitted {
            return Err(AccessError::Refused { act: "write as the operator", answer });
        }
        let served = wait::until(
            &self.env.observer,
            "the operator's ExternalSecret in the authorised namespace served",
            self.env.provisioning_bound(),
            |view| match view.secret(neighbour, &twin).and_then(|secret| secret.data.get(VALUE)) {
                Some(found) if found == value => Progress::Done(()),
                Some(_) => Progress::Never("it has another value".to_owned()),
                None => Progress::NotYet("it does not exist".to_owned()),
            },
        );
        if let Err(error) = served.await {
            self.unknown(format!("{title}: {error}"));
            return Ok(());
        }
        let place = (goal.source.clone(), goal.key.to_owned());
        match entitled(self.scene.model, mine, self.scene.labels).contains(&place) {
            true => self.count(title, "for an authorised namespace"),
            false => self.count(title, "for another namespace"),
        }
        Ok(())
    }

    /// The account of a store may get the sources that are read through it, and nothing else.
    pub(super) async fn store_account(&mut self, aim: &Aim) -> Result<(), AccessError> {
        let title = Route::StoreAccount.title();
        let Some(goal) = aim.at(self.scene.model) else { return Ok(()) };
        let account = goal.store.kubernetes.as_ref().and_then(|provider| provider.service_account());
        let account = account.and_then(|account| Some((account.namespace.as_ref()?, &account.name)));
        let own = sources_of(self.scene.model, &goal.store.name);
        let Some((namespace, account)) = account.filter(|_| !own.is_empty()) else {
            self.observation.add_context(&format!("{title}: nothing to try it on"), 1);
            return Ok(());
        };
        let client = self.acting_as(namespace, account).await?;
        for source in &own {
            let reply = Call::get(at(source)).send(&client).await.map_err(request("read as a store"))?;
            if reply.answer != Answer::Admitted {
                let what = format!("{title}: {account} cannot read its own source {source}: {:?}", reply.answer);
                self.unknown(what);
                return Ok(());
            }
        }
        let others: Vec<&SourceRef> = self.scene.model.sources.keys().filter(|source| !own.contains(source)).collect();
        let mut calls: Vec<(String, Call)> = Vec::new();
        for other in others {
            calls.push((format!("read {other}"), Call::get(at(other))));
        }
        let private = |namespace: &str| SourceRef { namespace: namespace.to_owned(), name: self.scene.private() };
        for tenant in [self.scene.mine, self.scene.neighbour].map(private) {
            calls.push((format!("read {tenant}"), Call::get(at(&tenant))));
        }
        for source in own {
            let secrets = collection(CORE, Some(&source.namespace), "secrets");
            calls.push((format!("list the Secrets of {}", source.namespace), Call::get(&secrets)));
            let decoy = decoy(&self.scene, &source.namespace);
            let answer = decoy.send(&self.admin).await.map_err(request("make a decoy"))?.answer;
            // Several of the sources may be in one namespace, and several attempts of a case may be about a store.
            if answer == Answer::Admitted {
                self.created.extend(decoy.created());
            }
            calls.extend(
                decoy.created().map(|path| ("read another Secret beside its source".to_owned(), Call::get(path))),
            );
        }
        calls.push(("list the Secrets of the cluster".to_owned(), Call::get(collection(CORE, None, "secrets"))));
        for (what, call) in calls {
            match call.send(&client).await.map_err(request("read as a store"))?.answer {
                Answer::Denied(Denial::Rbac) => self.count(title, "refused by RBAC"),
                Answer::Admitted => {
                    self.violated(format!("the account {account} of store {} may {what}", goal.store.name));
                }
                other => self.unknown(format!("{title}: to {what} ended with {other:?}")),
            }
        }
        Ok(())
    }
}

/// Where a Secret is.
fn at(secret: &SourceRef) -> String {
    format!("{}/{}", collection(CORE, Some(&secret.namespace), "secrets"), secret.name)
}
