//! Identities with more rights than the tenant's: acted as, taken by a token, or given rights of their own.

use credence_cluster::operator;
use serde_json::json;

use super::{AttackContext, Attempt};
use crate::p08_access_control::call::{CORE, Call, RBAC, collection};
use crate::p08_access_control::objective::Goal;
use crate::p08_access_control::objects;
use crate::p08_access_control::route::{GrantRoute, Identity, Route};
use crate::testbed::tenant::Rights;

/// The namespace and name of the ServiceAccount of somebody.
pub(super) fn account<'a>(whom: Identity, goal: &Goal<'a>) -> Option<(&'a str, &'a str)> {
    match whom {
        Identity::Operator => Some((operator::NAMESPACE, operator::SERVICE_ACCOUNT)),
        Identity::StoreAccount => {
            let account = goal.store.kubernetes.as_ref()?.service_account()?;
            Some((account.namespace.as_deref()?, &account.name))
        }
        Identity::Masters => None,
    }
}

pub(super) fn impersonate(context: &AttackContext<'_>, whom: Identity, goal: &Goal<'_>) -> Option<Attempt> {
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

pub(super) fn token(context: &AttackContext<'_>, whom: Identity, goal: &Goal<'_>) -> Option<Attempt> {
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
pub(super) fn grant(context: &AttackContext<'_>, how: GrantRoute, goal: &Goal<'_>, name: &str) -> Attempt {
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
