//! Labels by which a namespace would ask for a copy.

use credence_core::labels::Labels;
use credence_model::model::{Distribution, expected_in};
use serde_json::json;

use super::{AttackContext, Attempt};
use crate::p08_access_control::call::{CORE, Call, EXTERNAL_SECRETS, collection};
use crate::p08_access_control::cluster_rights::ClusterRights;
use crate::p08_access_control::objective::{Goal, Objective};
use crate::p08_access_control::objects;
use crate::p08_access_control::route::{Labelling, Route};
use crate::testbed::tenant::Rights;

/// Labels that would make the namespace ask for something: those of a distribution of which it has none yet. A label that
/// the platform has given in part is its authorisation already, whoever adds the rest.
pub(super) fn label(
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
    let may =
        context.further == ClusterRights::Namespaces || (context.rights == Rights::Owner && how != Labelling::Create);
    let harmless = may.then(|| write(&harmless).dry_run());
    let mut attempt = Attempt::of_route(context, Route::Label(how), goal, write(way), harmless);
    (attempt.seen.namespace, attempt.seen.secrets, attempt.seen.object) = (namespace.to_owned(), secrets, made_by);
    Some(attempt)
}
