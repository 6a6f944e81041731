//! Pods, and what makes pods, beside the source or as the operator.

use credence_cluster::operator;
use serde_json::json;

use super::{AttackContext, Attempt};
use crate::p08_access_control::call::{CORE, Call, collection};
use crate::p08_access_control::objective::Goal;
use crate::p08_access_control::objects;
use crate::p08_access_control::route::{PodRoute, Route, Workload};
use crate::testbed::tenant::Rights;

/// An attempt by a pod; none of them ever runs.
pub(super) fn pod(context: &AttackContext<'_>, how: PodRoute, goal: &Goal<'_>, name: &str) -> Attempt {
    let pods = |namespace: &str| collection(CORE, Some(namespace), "pods");
    let beside = goal.source.namespace.as_str();
    let own = Call::create(pods(context.mine), objects::pod(name, &context.private())).dry_run();
    let mut stolen = objects::pod(name, &goal.source.name);
    let of_route = |call, harmless| Attempt::of_route(context, Route::Pod(how), goal, call, Some(harmless));
    match how {
        PodRoute::BesideTheSource => of_route(Call::create(pods(beside), stolen), own),
        PodRoute::AsOperator => {
            stolen["spec"]["serviceAccountName"] = json!(operator::SERVICE_ACCOUNT);
            of_route(Call::create(pods(operator::NAMESPACE), stolen), own)
        }
        PodRoute::ForeignVolume => {
            stolen["spec"]["volumes"][0]["secret"]["namespace"] = json!(beside);
            of_route(Call::create(pods(context.mine), stolen).dry_run(), own)
        }
        PodRoute::Ephemeral => {
            let container = json!([objects::container("other")]);
            let add = |namespace: &str| {
                let path = format!("{}/{name}/ephemeralcontainers", pods(namespace));
                Call::patch(path, json!({ "spec": { "ephemeralContainers": container } }))
            };
            let platform = vec![Call::create(pods(beside), stolen)];
            let mut attempt = of_route(add(beside), own);
            // Only owners may add one to their own pods.
            if context.rights == Rights::Owner {
                attempt.prepare.push(Call::create(pods(context.mine), objects::pod(name, &context.private())));
                attempt.harmless = Some(add(context.mine).dry_run());
            }
            Attempt { platform, ..attempt }
        }
        PodRoute::Workload(workload) => {
            let (api, resource) = match workload {
                Workload::Deployment => (APPS, "deployments"),
                Workload::DaemonSet => (APPS, "daemonsets"),
                Workload::StatefulSet => (APPS, "statefulsets"),
                Workload::Job => (BATCH, "jobs"),
                Workload::CronJob => (BATCH, "cronjobs"),
            };
            let write = |namespace: &str, secret: &str| {
                let object = objects::workload(workload, name, secret);
                Call::create(collection(api, Some(namespace), resource), object)
            };
            of_route(write(beside, &goal.source.name), write(context.mine, &context.private()).dry_run())
        }
    }
}

const APPS: &str = "/apis/apps/v1";
const BATCH: &str = "/apis/batch/v1";
