//! From a route to the requests that try it, and those that show that the refusal was for the right reason. Pure.

use std::path::Path;

use credence_cluster::operator;
use credence_core::labels::Labels;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model, expected_in};
use serde_json::{Value, json};

use super::call::{CORE, Call, EXTERNAL_SECRETS, RBAC, collection};
use super::further::Further;
use super::objective::{Goal, Objective, sources_of};
use super::objects::{self, OWN, VALUE};
use super::route::{AttackPath, Consequence, GrantRoute, Identity, Labelling, Reading, Reference, Route, SecretOwner};
use super::tracers::{entitled, granted_beyond};
use crate::generate::Recipient;
use crate::testbed::tenant::Rights;

mod pods;
mod stores;
mod templates;

/// What the requests of a case are about.
pub(super) struct AttackContext<'a> {
    pub(super) model: &'a Model,
    /// The run that all of it belongs to.
    pub(super) run: &'a str,
    /// Begins the name of all that the tenant makes.
    pub(super) tag: String,
    /// The tenant's namespace.
    pub(super) mine: &'a str,
    /// Its labels.
    pub(super) labels: &'a Labels,
    /// The namespace as it is, for requests that write it as a whole.
    pub(super) namespace: Value,
    /// The namespace of another tenant.
    pub(super) neighbour: &'a str,
    /// The tenant's ServiceAccount.
    pub(super) account: &'a str,
    /// Rights of the tenant.
    pub(super) rights: Rights,
    /// Its rights in the whole cluster.
    pub(super) further: Further,
    /// True if the tenant may use External Secrets Operator at all.
    pub(super) writes: bool,
    /// The API server.
    pub(super) server: &'a str,
    /// Where the operator's own token is.
    pub(super) operator_token: &'a Path,
    /// A server of the tenant's own.
    pub(super) receiver: String,
}

impl<'a> AttackContext<'a> {
    /// A context of no case, for what only depends on the model.
    fn example(model: &'a Model, rights: Rights, labels: &'a Labels) -> Self {
        Self {
            model,
            run: "example",
            tag: "example".to_owned(),
            mine: "tenant",
            labels,
            namespace: json!({ "metadata": { "labels": {} } }),
            neighbour: "neighbour",
            account: "tenant",
            rights,
            further: Further::None,
            writes: true,
            server: "https://example.invalid",
            operator_token: Path::new("token"),
            receiver: "http://example.invalid".to_owned(),
        }
    }
}

impl AttackContext<'_> {
    /// The tenant's own Secret; the neighbour has one of the same name.
    pub(super) fn private(&self) -> String {
        format!("{}-private", self.tag)
    }

    /// The tenant's own store, which reads its own Secret.
    pub(super) fn own_store(&self) -> String {
        format!("{}-own", self.tag)
    }

    /// The neighbour's ConfigMap.
    pub(super) fn authority(&self) -> String {
        format!("{}-authority", self.tag)
    }

    fn of_mine(&self, api: &str, resource: &str) -> String {
        collection(api, Some(self.mine), resource)
    }

    fn external_secrets(&self) -> String {
        self.of_mine(EXTERNAL_SECRETS, "externalsecrets")
    }

    /// A specification that reads the tenant's own Secret through its own store.
    pub(super) fn own_reading(&self) -> Value {
        objects::reading(OWN, &self.own_store(), &self.private(), VALUE)
    }

    /// The provider of the tenant's own store.
    pub(super) fn own_provider(&self) -> Value {
        objects::kubernetes(self.server, self.mine, self.account)
    }

    /// The creation of an ExternalSecret in the tenant's namespace.
    pub(super) fn create_external_secret(&self, name: &str, spec: Value) -> Call {
        Call::create(self.external_secrets(), objects::external_secret(name, spec))
    }

    /// The same, as what must be allowed; `None` if the tenant may not write any.
    fn harmless_external_secret(&self, name: &str, spec: Value) -> Option<Call> {
        self.writes.then(|| self.create_external_secret(name, spec).dry_run())
    }

    /// The creation of the tenant's own store under another name, as what must be allowed.
    fn harmless_store(&self, name: &str) -> Option<Call> {
        let store = objects::store(OWN, name, self.own_provider());
        self.writes.then(|| Call::create(self.of_mine(EXTERNAL_SECRETS, "secretstores"), store).dry_run())
    }
}

/// The requests of an attempt.
pub(super) struct Attempt {
    /// What the platform has, which the attempt is about.
    pub(super) platform: Vec<Call>,
    /// Requests that the tenant may make and makes first.
    pub(super) prepare: Vec<Call>,
    /// The attempt itself.
    pub(super) call: Call,
    /// The same kind of request for what is the tenant's own: it must be allowed.
    pub(super) harmless: Option<Call>,
    /// True if somebody with more rights would be let through with the very same request.
    pub(super) exact: bool,
    /// A store that the operator has to look at, by its path, before what follows.
    pub(super) store: Option<String>,
    /// What uses the result, if there is one.
    pub(super) then: Option<Call>,
    /// Evidence that would show that it worked.
    pub(super) consequence: Consequence,
    /// Where that would be seen.
    pub(super) seen: Seen,
}

/// Where it would be seen that an attempt worked.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The namespace of what follows.
    pub(super) namespace: String,
    /// The Secrets that would be made.
    pub(super) secrets: Vec<String>,
    /// What the operator looks at, by its path.
    pub(super) object: Option<String>,
    /// True if the operator had something else to look at there before.
    pub(super) changed: bool,
    /// A user that would have rights.
    pub(super) user: Option<String>,
    /// The source that would be read or changed, and the key.
    pub(super) source: Option<(SourceRef, String)>,
}

impl Attempt {
    /// An attempt by `route`, whose consequence is in the answer or in the cluster as such.
    fn of_route(
        context: &AttackContext<'_>,
        route: Route,
        goal: &Goal<'_>,
        call: Call,
        harmless: Option<Call>,
    ) -> Self {
        let source = Some((goal.source.clone(), goal.key.to_owned()));
        Self {
            platform: Vec::new(),
            prepare: Vec::new(),
            call,
            harmless,
            exact: true,
            store: None,
            then: None,
            consequence: route.consequence(),
            seen: Seen { namespace: context.mine.to_owned(), source, ..Seen::default() },
        }
    }

    /// The same attempt, whose consequence is in the Secret of this ExternalSecret of the tenant's namespace.
    fn read_by(mut self, context: &AttackContext<'_>, external_secret: &str) -> Self {
        self.seen.secrets = vec![external_secret.to_owned()];
        self.seen.object = Some(format!("{}/{external_secret}", context.external_secrets()));
        self
    }

    /// The same attempt, if it is to create something, by a change of something harmless that exists. An attempt that has
    /// no harmless kind stays what it is.
    pub(super) fn afterwards(mut self) -> Self {
        if self.seen.object.is_some()
            && let Some(harmless) = &self.harmless
            && let (Some(call), Some(control)) = (self.call.afterwards(), harmless.afterwards())
        {
            self.prepare.push(harmless.clone().for_real());
            (self.call, self.harmless) = (call, Some(control.dry_run()));
            // What uses it is new.
            self.seen.changed = self.then.is_none();
        }
        self
    }

    /// The attempt by `route`, under `name`, after what the tenant is not entitled to, where there is such a thing. `None` if
    /// there is nothing to try it on.
    pub(super) fn of(context: &AttackContext<'_>, route: Route, objective: &Objective, name: &str) -> Option<Self> {
        let goal = objective.beyond(context.model, &entitled(context.model, context.mine, context.labels))?;
        match route {
            Route::Read(place, how) => Some(read(context, route, (place, how), &goal)),
            Route::CentralStore(how) => Some(central_store(context, route, how, &goal, name)),
            Route::OwnStore(how) => stores::own(context, how, &goal, name),
            Route::Platform(kind) => stores::platform(context, kind, &goal, name),
            Route::Template(trick, disguise) => Some(templates::template(context, trick, disguise, &goal, name)),
            Route::Webhook(caller) => Some(templates::webhook(context, caller, &goal, name)),
            Route::Label(how) => label(context, how, objective, &goal, name),
            Route::Impersonate(whom) => impersonate(context, whom, &goal),
            Route::Token(whom) => token(context, whom, &goal),
            Route::Pod(how) => Some(pods::pod(context, how, &goal, name)),
            Route::Grant(how) => Some(grant(context, how, &goal, name)),
            // They are no requests of a tenant.
            Route::Conditions | Route::StoreAccount => None,
        }
    }
}

/// True if there is anything to try an attack path on, for a tenant with these rights and these labels of its namespace
/// and of the neighbour's.
pub(super) fn has_subject(
    model: &Model,
    rights: Rights,
    (labels, neighbour): (&Labels, &Recipient),
    attack_path: &AttackPath,
) -> bool {
    let AttackPath { objective, route, .. } = attack_path;
    match route {
        Route::Conditions => {
            let own = entitled(model, "tenant", labels);
            !granted_beyond(model, (neighbour.name_or("neighbour"), neighbour.labels()), &own).is_empty()
        }
        Route::StoreAccount => objective.at(model).is_some_and(|goal| {
            account(Identity::StoreAccount, &goal).is_some() && !sources_of(model, &goal.store.name).is_empty()
        }),
        _ => Attempt::of(&AttackContext::example(model, rights, labels), *route, objective, "example").is_some(),
    }
}

fn read(context: &AttackContext<'_>, route: Route, (place, how): (SecretOwner, Reading), goal: &Goal<'_>) -> Attempt {
    let secrets = |namespace: &str| collection(CORE, Some(namespace), "secrets");
    let (namespace, name) = match place {
        SecretOwner::Source => (goal.source.namespace.as_str(), goal.source.name.clone()),
        SecretOwner::Neighbour => (context.neighbour, context.private()),
    };
    let by = |namespace: &str, name: &str| match how {
        Reading::Get => Call::get(format!("{}/{name}", secrets(namespace))),
        Reading::List => Call::get(secrets(namespace)),
        Reading::Watch => Call::watch(secrets(namespace)),
        Reading::ListEverywhere => Call::get(collection(CORE, None, "secrets")),
    };
    let own = match how {
        Reading::ListEverywhere => Call::get(secrets(context.mine)),
        _ => by(context.mine, &context.private()),
    };
    Attempt::of_route(context, route, goal, by(namespace, &name), Some(own))
}

fn central_store(context: &AttackContext<'_>, route: Route, how: Reference, goal: &Goal<'_>, name: &str) -> Attempt {
    let (source, key, own) = (goal.source.name.as_str(), goal.key, context.own_store());
    let private = context.private();
    // The same specification, once for a central store and once for the tenant's own.
    let spec = |kind: &str, store: &str, source: &str, key: &str| {
        let by = json!({ "storeRef": objects::store_ref(kind, store) });
        match how {
            Reference::Spec | Reference::Apply => objects::reading(kind, store, source, key),
            Reference::Entry => {
                let mut entry = objects::entry(source, key);
                entry["sourceRef"] = by;
                json!({ "secretStoreRef": objects::store_ref(OWN, &own), "data": [entry] })
            }
            Reference::Extract => json!({ "dataFrom": [{ "extract": { "key": source }, "sourceRef": by }] }),
            Reference::Find => {
                json!({ "dataFrom": [{ "find": { "name": { "regexp": ".*" } }, "sourceRef": by }] })
            }
        }
    };
    let stolen = spec(goal.store.kind(), goal.store.object_name(), source, key);
    let harmless = spec(OWN, &own, &private, VALUE);
    let write = |spec: Value| match how {
        Reference::Apply => {
            let path = format!("{}/{name}", context.external_secrets());
            Call::apply(path, objects::external_secret(name, spec))
        }
        _ => context.create_external_secret(name, spec),
    };
    let harmless = context.writes.then(|| write(harmless).dry_run());
    Attempt::of_route(context, route, goal, write(stolen), harmless).read_by(context, name)
}

/// Labels that would make the namespace ask for something: those of a distribution of which it has none yet. A label that
/// the platform has given in part is its authorisation already, whoever adds the rest.
fn label(
    context: &AttackContext<'_>,
    how: Labelling,
    objective: &Objective,
    goal: &Goal<'_>,
    name: &str,
) -> Option<Attempt> {
    let nothing = Labels::new();
    let (namespace, labels) = match how {
        Labelling::Create => (name, &nothing),
        _ => (context.mine, context.labels),
    };
    let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
    let ways = context.model.distributions.iter().flat_map(Distribution::opt_in_labels);
    let ways: Vec<Labels> = ways.filter(|way| !way.iter().any(has)).collect();
    let way = objective.any_of(&ways)?;
    let mut labelled = labels.clone();
    labelled.extend(way.clone());
    let before = expected_in(context.model, namespace, labels);
    let after = expected_in(context.model, namespace, &labelled);
    let due = after.into_iter().filter(|(copy, _)| !before.contains_key(copy));
    let (secrets, by): (Vec<String>, Vec<&str>) =
        due.map(|(copy, distribution)| (copy, distribution.external_secret.as_str())).unzip();
    let made_by =
        by.first().map(|by| format!("{}/{by}", collection(EXTERNAL_SECRETS, Some(namespace), "externalsecrets")));

    let namespaces = collection(CORE, None, "namespaces");
    let itself = format!("{namespaces}/{}", context.mine);
    let patch = |labels: &Labels| json!({ "metadata": { "labels": labels } });
    let whole = |labels: &Labels| {
        let mut namespace = context.namespace.clone();
        for (key, value) in labels {
            namespace["metadata"]["labels"][key] = json!(value);
        }
        namespace
    };
    let write = |labels: &Labels| match how {
        Labelling::Patch => Call::patch(&itself, patch(labels)),
        Labelling::Replace => Call::replace(&itself, whole(labels)),
        Labelling::Status => Call::patch(format!("{itself}/status"), patch(labels)),
        Labelling::Finalize => Call::replace(format!("{itself}/finalize"), whole(labels)),
        Labelling::Create => Call::create(&namespaces, objects::object("v1", "Namespace", name, patch(labels))),
    };
    let harmless = Labels::from([("credence.dev/harmless".to_owned(), "true".to_owned())]);
    let may = context.further == Further::Namespaces || (context.rights == Rights::Owner && how != Labelling::Create);
    let harmless = may.then(|| write(&harmless).dry_run());
    let mut attempt = Attempt::of_route(context, Route::Label(how), goal, write(way), harmless);
    (attempt.seen.namespace, attempt.seen.secrets, attempt.seen.object) = (namespace.to_owned(), secrets, made_by);
    Some(attempt)
}

/// The namespace and name of the ServiceAccount of somebody.
fn account<'a>(whom: Identity, goal: &Goal<'a>) -> Option<(&'a str, &'a str)> {
    match whom {
        Identity::Operator => Some((operator::NAMESPACE, operator::SERVICE_ACCOUNT)),
        Identity::StoreAccount => {
            let account = goal.store.kubernetes.as_ref()?.service_account()?;
            Some((account.namespace.as_deref()?, &account.name))
        }
        Identity::Masters => None,
    }
}

fn impersonate(context: &AttackContext<'_>, whom: Identity, goal: &Goal<'_>) -> Option<Attempt> {
    let secret = |namespace: &str, name: &str| Call::get(format!("{CORE}/namespaces/{namespace}/secrets/{name}"));
    let user = |namespace: &str, name: &str| format!("system:serviceaccount:{namespace}:{name}");
    let own = user(context.mine, context.account);
    let source = secret(&goal.source.namespace, &goal.source.name);
    let call = match whom {
        Identity::Masters => source.acting_as(&own, vec!["system:masters"]),
        _ => account(whom, goal).map(|(namespace, name)| source.acting_as(user(namespace, name), Vec::new()))?,
    };
    let harmless = secret(context.mine, &context.private()).acting_as(&own, Vec::new());
    // An account that does not read this source is refused as itself, by whomever it is acted for.
    let exact = whom != Identity::StoreAccount;
    Some(Attempt { exact, ..Attempt::of_route(context, Route::Impersonate(whom), goal, call, Some(harmless)) })
}

fn token(context: &AttackContext<'_>, whom: Identity, goal: &Goal<'_>) -> Option<Attempt> {
    let (namespace, name) = account(whom, goal)?;
    let request = |namespace: &str, name: &str| {
        let path = collection(CORE, Some(namespace), &format!("serviceaccounts/{name}/token"));
        let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
        Call::create(path, body)
    };
    let own = Some(request(context.mine, context.account));
    Some(Attempt::of_route(context, Route::Token(whom), goal, request(namespace, name), own))
}

/// Rights for a user that nobody has ever heard of, so that it is seen that they come from here.
fn grant(context: &AttackContext<'_>, how: GrantRoute, goal: &Goal<'_>, name: &str) -> Attempt {
    let bindings = |namespace: &str| collection(RBAC, Some(namespace), "rolebindings");
    let binding = |user: &str| objects::binding("RoleBinding", name, user);
    let beside = bindings(&goal.source.namespace);
    let (platform, call) = match how {
        GrantRoute::Beside => (Vec::new(), Call::create(beside, binding(name))),
        GrantRoute::Existing => {
            let subjects = json!({ "subjects": [objects::user(name)] });
            let path = format!("{beside}/{name}");
            (vec![Call::create(beside, binding("credence:nobody"))], Call::patch(path, subjects))
        }
        GrantRoute::Everywhere => {
            let object = objects::binding("ClusterRoleBinding", name, name);
            (Vec::new(), Call::create(collection(RBAC, None, "clusterrolebindings"), object))
        }
    };
    let may = context.rights != Rights::Edit;
    let harmless = may.then(|| Call::create(bindings(context.mine), binding(name)).dry_run());
    let mut attempt = Attempt { platform, ..Attempt::of_route(context, Route::Grant(how), goal, call, harmless) };
    attempt.seen.user = Some(name.to_owned());
    attempt
}
