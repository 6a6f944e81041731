//! Reads of a Secret, by itself or through a central store.

use serde_json::{Value, json};

use super::{AttackContext, Attempt};
use crate::p08_access_control::call::{CORE, Call, collection};
use crate::p08_access_control::objective::Goal;
use crate::p08_access_control::objects::{self, OWN, VALUE};
use crate::p08_access_control::route::{Reading, Reference, Route, SecretOwner};

pub(super) fn read(
    context: &AttackContext<'_>,
    route: Route,
    (place, how): (SecretOwner, Reading),
    goal: &Goal<'_>,
) -> Attempt {
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

pub(super) fn central_store(
    context: &AttackContext<'_>,
    route: Route,
    how: Reference,
    goal: &Goal<'_>,
    name: &str,
) -> Attempt {
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
