//! Resync check: the operator sees its copies again after the API server was away.
//!
//! Its watches come back one by one, up to half a minute late, and until that of Secrets is back it neither heals a copy
//! nor asks the source for one that it remembers otherwise than it is. That is no fault of the configuration, so whoever
//! took the API server away waits here before anybody relies on the operator.

use std::sync::Arc;
use std::time::Duration;

use credence_cluster::apply::FIELD_MANAGER;
use credence_core::labels::Labels;
use credence_model::model::{Distribution, Model, expected_in};
use credence_report::unknown::Unknown;
use credence_watch::wait::{self, Progress};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::DeleteParams;

use crate::observation::unknown;
use crate::testbed::{TestBed, namespaces};

/// Time that it may take: client-go waits up to 30 s between two tries (`NewReflectorWithOptions` in
/// `tools/cache/reflector.go`), and the pause of an ExternalSecret that failed meanwhile comes on top.
const BACK: Duration = Duration::from_secs(90);
/// The name of a namespace that no selector knows.
const ANY: &str = "credence-any";

/// The labels with which a namespace of any name holds a copy.
pub fn asked(model: &Model) -> Option<Labels> {
    let all = model.distributions.iter().flat_map(Distribution::opt_in_labels);
    all.into_iter().find(|labels| !labels.is_empty() && !expected_in(model, ANY, labels).is_empty())
}

/// Deletes a copy in a namespace made for it, and waits until the operator has made it anew. A configuration whose copies
/// nobody can ask for by labels is not waited for.
///
/// # Errors
/// Why the namespace or the copy cannot be had, or that the copy does not come back.
pub(crate) async fn until_operator_sees_copies(env: &Arc<TestBed>) -> Result<(), Unknown> {
    let Some(labels) = asked(&env.model) else { return Ok(()) };
    let client = &env.cluster.client;
    let lease = env.namespaces.lease(client).await.map_err(|error| unknown(&error))?;
    let seen = async {
        let namespace = &lease.name;
        namespaces::set_labels(client, FIELD_MANAGER, namespace, &labels).await.map_err(|error| unknown(&error))?;
        let expected = expected_in(&env.model, namespace, &labels);
        let Some(name) = expected.keys().next() else { return Ok(()) };
        let first = until_other(env, namespace, name, "").await?;
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        secrets.delete(name, &DeleteParams::default()).await.map_err(|error| unknown(&error))?;
        until_other(env, namespace, name, &first).await.map(drop)
    };
    let seen = seen.await;
    env.namespaces.give_back(env, lease, labels.into_keys().collect());
    seen
}

/// Waits until there is a copy that is not the `former` one, and gives its uid.
async fn until_other(env: &TestBed, namespace: &str, name: &str, former: &str) -> Result<String, Unknown> {
    let what = format!("copy {namespace}/{name} made by the operator after the API server was away");
    let made = wait::until(&env.observer, &what, BACK, |view| match view.secret(namespace, name) {
        Some(copy) if copy.uid != former => Progress::Done(copy.uid.clone()),
        Some(_) => Progress::NotYet("it is the one before".to_owned()),
        None => Progress::NotYet("it is not there".to_owned()),
    });
    made.await.map_err(|error| unknown(&error))
}
