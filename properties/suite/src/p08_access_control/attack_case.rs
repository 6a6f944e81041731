//! Scene of an attack: two namespaces, a tenant in one of them, and what is its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::RUN_LABEL;
use credence_cluster::cluster::Description;
use credence_cluster::evidence::sink::Receiver;
use credence_core::credential::Credential;
use credence_core::id::{CaseId, agent};
use credence_core::labels::Labels;
use credence_core::leak_scan::LeakScan;
use credence_model::model::expected_in;
use credence_report::verdict::Outcome;
use credence_watch::wait::{self, Progress};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::Attack;
use super::attempt::AttackContext;
use super::call::{CORE, Call, EXTERNAL_SECRETS, Reply, RequestAnswer, collection};
use super::error::{AccessError, request};
use super::objects::{self, OWN, VALUE};
use super::reach::Kinds;
use super::route::{Impostor, PlatformKind, Route};
use super::tracers::{self, OWN_VALUE, entitled};
use super::trial::Trial;
use crate::generate::Recipient;
use crate::observation::Observation;
use crate::testbed::TestBed;
use crate::testbed::deploy::wait_for_root_ca;
use crate::testbed::namespaces::{self, Lease};
use crate::testbed::sources::SharedLease;
use crate::testbed::tenant::Tenant;

/// Time between two polls of the state of a store, which is not watched for the run.
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// A case, and where it takes place.
#[derive(Clone, Copy)]
pub(super) struct AttackCase<'a> {
    pub(super) env: &'a Arc<TestBed>,
    pub(super) kinds: &'a Kinds,
    pub(super) id: CaseId,
    pub(super) attack: &'a Attack,
}

/// Prepares the namespaces, lets the tenant try, judges, and removes what is left.
pub(super) async fn attack(attack_case: AttackCase<'_>) -> Result<Observation, AccessError> {
    let AttackCase { env, id, .. } = attack_case;
    let admin = env.client_for(id);
    // Whoever waits for a namespace of which there is only one holds no source meanwhile.
    let fixed = match &attack_case.attack.neighbour {
        Recipient::Labelled(_) => None,
        Recipient::Fixed(name) => Some(env.namespaces.lease_named(name, &env.observer).await),
    };
    let sources = tracers::share(env, &admin, &agent(id)).await?;
    let mine = env.namespaces.lease(&admin).await?;
    let neighbour = match fixed {
        Some(lease) => lease,
        None => env.namespaces.lease(&admin).await?,
    };
    let mut created = Vec::new();
    let observation = within(attack_case, &sources, [&mine, &neighbour], &mut created).await;
    for path in created.into_iter().rev() {
        // What is left in the namespaces goes with them, and the rest is swept by its label.
        Call::delete(path).send(&admin).await.ok();
    }
    let keys: BTreeSet<String> = env.model.label_vocabulary().into_iter().map(str::to_owned).collect();
    env.namespaces.give_back(env, mine, keys.clone());
    if let Recipient::Labelled(_) = attack_case.attack.neighbour {
        env.namespaces.give_back(env, neighbour, keys);
    }
    observation
}

async fn within(
    attack_case: AttackCase<'_>,
    sources: &SharedLease,
    [mine, neighbour]: [&Lease; 2],
    created: &mut Vec<String>,
) -> Result<Observation, AccessError> {
    let AttackCase { env, id, attack, .. } = attack_case;
    let admin = env.client_for(id);
    // The neighbour is labelled last: when it is served, the operator has seen both.
    namespaces::set_labels(&admin, &agent(id), &mine.name, &attack.labels).await?;
    if let Recipient::Labelled(labels) = &attack.neighbour {
        namespaces::set_labels(&admin, &agent(id), &neighbour.name, labels).await?;
    }
    let tenant = Tenant::create(env, id, &mine.name, attack.rights).await?;
    let observation = as_tenant(attack_case, sources, [mine, neighbour], &tenant, created).await;
    // Whatever came of it: the namespace goes back to the pool, and nobody is to have rights in it any more.
    let removed = tenant.remove(env, id).await;
    let observation = observation?;
    removed?;
    Ok(observation)
}

/// The part of a case in which the tenant is there.
async fn as_tenant(
    attack_case: AttackCase<'_>,
    sources: &SharedLease,
    [mine, neighbour]: [&Lease; 2],
    tenant: &Tenant,
    created: &mut Vec<String>,
) -> Result<Observation, AccessError> {
    let AttackCase { env, kinds, id, attack } = attack_case;
    let admin = env.client_for(id);
    for lease in [mine, neighbour] {
        wait_for_root_ca(&admin, &lease.name).await?;
    }
    let receiver = if tries(attack, calls_out) {
        Some(Receiver::start(env.cluster.description.host).await.map_err(AccessError::Receiver)?)
    } else {
        None
    };
    let mut context = context(attack_case, [mine, neighbour], tenant, receiver.as_ref());
    let private = [Credential::random(), Credential::random()];
    furnish(&admin, attack, tenant, &mut context, &private, created).await?;
    let labels = neighbour.labels().iter().chain(attack.neighbour.labels());
    let labels: Labels = labels.map(|(key, value)| (key.clone(), value.clone())).collect();
    served(env, &neighbour.name, &labels).await?;

    let scan = scan(&context, sources, &private)?;
    let mut trial = Trial {
        env,
        kinds,
        id,
        admin,
        operator: None,
        tenant,
        context,
        sources,
        neighbour: labels,
        scan,
        private: &private[0],
        receiver,
        created,
        pending: Vec::new(),
        worked: Vec::new(),
        refused_by_operator: false,
        let_through: Vec::new(),
        observation: Observation::of(Outcome::Held),
    };
    for distribution in expected_in(trial.context.model, trial.context.neighbour, &trial.neighbour).values() {
        trial.observation.reach(distribution);
    }
    for (number, attack_path) in attack.trespasses.iter().enumerate() {
        trial.attempt(attack_path, number).await?;
    }
    trial.judge().await?;
    Ok(trial.observation)
}

/// True if the attack takes a route of this sort.
fn tries(attack: &Attack, wanted: impl Fn(Route) -> bool) -> bool {
    attack.trespasses.iter().any(|attack_path| wanted(attack_path.route))
}

/// True if the operator is made to call a server of the attacker.
fn calls_out(route: Route) -> bool {
    matches!(route, Route::Webhook(_) | Route::Platform(PlatformKind::ClusterGenerator))
}

/// Names and addresses that the tenant knows of, before anything of its own is there.
fn context<'a>(
    AttackCase { env, id, attack, .. }: AttackCase<'a>,
    [mine, neighbour]: [&'a Lease; 2],
    tenant: &'a Tenant,
    receiver: Option<&Receiver>,
) -> AttackContext<'a> {
    let Description { operator_token, host, .. } = &env.cluster.description;
    AttackContext {
        model: &env.model,
        run: env.namespaces.run(),
        tag: format!("credence-{}-{}", id.property, id.index),
        mine: &mine.name,
        labels: &attack.labels,
        namespace: Value::Null,
        neighbour: &neighbour.name,
        account: &tenant.name,
        rights: attack.rights,
        further: attack.further,
        writes: true,
        server: env.cluster.description.url_inside(),
        operator_token,
        // Nothing listens on the port that discards.
        receiver: receiver.map_or_else(|| format!("http://{host}:9"), |receiver| receiver.url.clone()),
    }
}

/// Gives the tenant and its neighbour what is their own before anything is tried, and the tenant its further rights.
async fn furnish(
    admin: &Client,
    attack: &Attack,
    tenant: &Tenant,
    context: &mut AttackContext<'_>,
    private: &[Credential; 2],
    created: &mut Vec<String>,
) -> Result<(), AccessError> {
    if tries(attack, |route| matches!(route, Route::Label(_))) {
        context.namespace = namespace(admin, context.mine).await?;
    }
    attack.further.give(admin, context.run, (context.mine, &tenant.name), created).await?;
    own(admin, tenant, context, private, created).await?;
    if tries(attack, |route| route == Route::OwnStore(Impostor::ForeignAuthority)) {
        created.push(authority(admin, context).await?);
    }
    Ok(())
}

/// Search for what the tenant is not entitled to, and for its own value as the proof that the search works.
fn scan(
    context: &AttackContext<'_>,
    sources: &SharedLease,
    private: &[Credential; 2],
) -> Result<LeakScan, AccessError> {
    let entitled = entitled(context.model, context.mine, context.labels);
    let mut values =
        vec![(OWN_VALUE.to_owned(), &private[0]), (format!("the Secret of {}", context.neighbour), &private[1])];
    for source in context.model.sources.keys() {
        for (key, value) in sources.values(source).into_iter().flatten() {
            if !entitled.contains(&(source.clone(), key.clone())) {
                values.push((format!("{key} of {source}"), value));
            }
        }
    }
    let scan = LeakScan::labelled(values)?;
    match scan.unsearchable().first() {
        Some(one) => Err(AccessError::Unsearchable(one.clone())),
        None => Ok(scan),
    }
}

/// The namespace as it is, for requests that write it whole.
async fn namespace(admin: &Client, name: &str) -> Result<Value, AccessError> {
    let act = "read the tenant's namespace";
    let path = format!("{}/{name}", collection(CORE, None, "namespaces"));
    let reply = Call::get(path).send(admin).await.map_err(request(act))?;
    let mut namespace: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    if let Some(metadata) = namespace.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        // The operator puts finalizers on it meanwhile; the write is not about a version.
        metadata.remove("resourceVersion");
    }
    admitted(act, reply).map(|_| namespace)
}

fn admitted(act: &'static str, reply: Reply) -> Result<Reply, AccessError> {
    match reply.answer {
        RequestAnswer::Admitted => Ok(reply),
        answer => Err(AccessError::Refused { act, answer }),
    }
}

/// Lets the tenant make its own Secret and store; what it may not make, the platform makes for it.
async fn own(
    admin: &Client,
    tenant: &Tenant,
    context: &mut AttackContext<'_>,
    private: &[Credential; 2],
    created: &mut Vec<String>,
) -> Result<(), AccessError> {
    for (client, namespace, value) in
        [(&tenant.client, context.mine, &private[0]), (admin, context.neighbour, &private[1])]
    {
        let mut secret = Secret::default();
        secret.metadata.name = Some(context.private());
        let value = value.expose_str().unwrap_or_default().to_owned();
        secret.string_data = Some([(VALUE.to_owned(), value)].into());
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let act = "make a Secret of a tenant's own";
        match secrets.create(&PostParams::default(), &secret).await {
            // A configuration may let nobody make a Secret by hand.
            Err(kube::Error::Api(status)) if [403, 422].contains(&status.code) => {
                let secrets: Api<Secret> = Api::namespaced(admin.clone(), namespace);
                secrets.create(&PostParams::default(), &secret).await.map_err(request(act))?;
            }
            made => drop(made.map_err(request(act))?),
        }
        created.push(format!("{}/{}", collection(CORE, Some(namespace), "secrets"), context.private()));
    }
    let act = "make the tenant's own store";
    let stores = collection(EXTERNAL_SECRETS, Some(context.mine), "secretstores");
    let store = Call::create(&stores, objects::store(OWN, &context.own_store(), context.own_provider()));
    let mut reply = store.send(&tenant.client).await.map_err(request(act))?;
    if let RequestAnswer::Denied(_) = reply.answer {
        context.writes = false;
        reply = store.send(admin).await.map_err(request(act))?;
    }
    admitted(act, reply)?;
    let path = format!("{stores}/{}", context.own_store());
    created.push(path.clone());
    if looked_at(admin, &path).await? {
    } else {
        return Err(AccessError::Refused { act, answer: RequestAnswer::Failed("the store is not ready".to_owned()) });
    }
    if context.writes {
        let act = "try whether the tenant may use its store";
        let probe = context.create_external_secret("probe", context.own_reading()).dry_run();
        let reply = probe.send(&tenant.client).await.map_err(request(act))?;
        context.writes = reply.answer == RequestAnswer::Admitted;
    }
    Ok(())
}

/// Waits until the operator has judged a store, and says whether it found it good.
pub(super) async fn looked_at(admin: &Client, path: &str) -> Result<bool, AccessError> {
    let ready = wait::poll("the operator looks at a store", LOOKED_AT, POLL_INTERVAL, || async {
        match Call::get(path).send(admin).await {
            Ok(reply) => {
                let store: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                let conditions = store.pointer("/status/conditions").and_then(Value::as_array);
                let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
                match ready.and_then(|ready| ready["status"].as_str()) {
                    Some(status) => Progress::Done(status == "True"),
                    None => Progress::NotYet("it has no condition yet".to_owned()),
                }
            }
            Err(error) => Progress::NotYet(error.to_string()),
        }
    });
    Ok(ready.await?)
}

/// Time that the operator may take for that.
const LOOKED_AT: Duration = Duration::from_secs(20);

/// Gives the neighbour a copy of the cluster's authority under a name of its own, and says where.
async fn authority(admin: &Client, context: &AttackContext<'_>) -> Result<String, AccessError> {
    let act = "give the neighbour an authority of its own";
    let maps: Api<ConfigMap> = Api::namespaced(admin.clone(), context.neighbour);
    let public = maps.get("kube-root-ca.crt").await.map_err(request(act))?;
    let mut own = ConfigMap { data: public.data, ..ConfigMap::default() };
    own.metadata.name = Some(context.authority());
    maps.create(&PostParams::default(), &own).await.map_err(request(act))?;
    Ok(format!("{}/{}", collection(CORE, Some(context.neighbour), "configmaps"), context.authority()))
}

/// Waits until the neighbour has what it is authorised for: the control of all that the tenant must not get.
async fn served(env: &TestBed, neighbour: &str, labels: &Labels) -> Result<(), AccessError> {
    let expected = expected_in(&env.model, neighbour, labels);
    let what = format!("the neighbour {neighbour} served with all that it is authorised for");
    wait::until(&env.observer, &what, env.provisioning_bound(), |view| {
        match expected.keys().find(|copy| view.secret(neighbour, copy).is_none()) {
            Some(missing) => Progress::NotYet(format!("{missing} is missing")),
            None => Progress::Done(()),
        }
    })
    .await?;
    Ok(())
}

/// A Secret that nobody is meant to read.
pub(super) fn decoy(context: &AttackContext<'_>, namespace: &str) -> Call {
    let object = objects::object("v1", "Secret", &format!("{}-decoy", context.tag), json!({}));
    Call::create(collection(CORE, Some(namespace), "secrets"), object).labelled(RUN_LABEL, context.run)
}
