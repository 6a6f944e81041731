//! Documented upstream bugs that the properties meet, and how each is told from everything else.
//!
//! A violation is only called known when its cause was seen, and when nothing but that cause was wrong: the leftovers
//! are swept, and the rest of the claim must then hold.

use std::collections::{BTreeMap, BTreeSet};

use credence_cluster::cluster::Cluster;
use credence_model::model::Model;
use credence_report::share::Share;
use credence_report::verdict::Known;
use credence_watch::observer::NamespaceSeen;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::oracle::OrphanedExternalSecret;
use crate::testbed::TestBed;
use crate::testbed::operator_api::api;

/// Finalizer that a ClusterExternalSecret puts on each namespace it serves, without its name (ESO
/// `clusterexternalsecret_controller.go`, `buildCESFinalizer`).
pub const FINALIZER: &str = "externalsecrets.external-secrets.io/ces-";

/// ESO takes its finalizer off a namespace when the namespace or the ClusterExternalSecret is deleted, but not when
/// the namespace loses its label; afterwards nothing visits that namespace any more.
pub const FINALIZER_STAYS: Known = Known {
    id: "eso#6677",
    link: "https://github.com/external-secrets/external-secrets/issues/6677",
    title: "a namespace that was relabelled away cannot be deleted: the ClusterExternalSecret's finalizer stays on it",
    // Never without the deletion of a namespace that lost a label, which is in 15 of 100 cases of p03 and in fewer of all others.
    at_most: Share::percent(15),
};

/// All that ESO remembers of the namespaces it serves is `status.provisionedNamespaces`, which each pass writes anew
/// from what it read at its start. A namespace that is relabelled away while the pass that served it has not yet read
/// its own status back drops out of the list, and its ExternalSecret stays for ever.
pub const EXTERNAL_SECRET_STAYS: Known = Known {
    id: "eso#1255",
    link: "https://github.com/external-secrets/external-secrets/issues/1255",
    title: "a namespace that lost its label keeps its ExternalSecret: it dropped out of status.provisionedNamespaces",
    // The status is read back within milliseconds, and was overtaken in 2 to 4 of 100 cases. A deletion that is refused fails in
    // every case.
    at_most: Share::percent(5),
};

/// The API server asks ESO's webhook of each deletion of an ExternalSecret, and refuses it while the webhook cannot be
/// called (the chart's `validatingwebhook.yaml`: `operations` and `failurePolicy`).
pub const WEBHOOK_AWAY: Known = Known {
    id: "eso#2015",
    link: "https://github.com/external-secrets/external-secrets/issues/2015",
    title: "while the operator's webhook is away, neither an ExternalSecret nor a namespace with one can be deleted",
    // No case takes the webhook away; a check beside them does.
    at_most: Share::NONE,
};

/// A ClusterExternalSecret, and the name of the ExternalSecrets that it makes.
#[derive(Debug, Clone, Copy)]
pub struct Maker<'a> {
    /// Name of the ClusterExternalSecret itself.
    pub name: &'a str,
    /// The name of its ExternalSecrets.
    pub external_secret: &'a str,
}

/// The ClusterExternalSecrets of a configuration.
pub fn makers(model: &Model) -> Vec<Maker<'_>> {
    let distributions = model.distributions.iter().filter(|distribution| distribution.namespace().is_none());
    distributions
        .map(|distribution| Maker { name: &distribution.name, external_secret: &distribution.external_secret })
        .collect()
}

/// The finalizers of ClusterExternalSecrets that do not select a namespace, if these are all that holds it back from
/// being deleted. `asked` are the ClusterExternalSecrets that do select it.
pub(crate) fn stale_finalizers(seen: &NamespaceSeen, asked: &BTreeSet<String>) -> Option<String> {
    let stale = |finalizer: &String| finalizer.strip_prefix(FINALIZER).is_some_and(|name| !asked.contains(name));
    let all = seen.deleting && seen.emptied && !seen.finalizers.is_empty() && seen.finalizers.iter().all(stale);
    all.then(|| seen.finalizers.join(", "))
}

/// The ExternalSecrets in `namespaces` that no label asks for, that their ClusterExternalSecret no longer lists, and that the
/// operator could delete: one whose deletion is refused drops out of the list as well, and that is no upstream bug. The operator
/// writes such a refusal to `status.failedNamespaces`, and its next try would be refused again. `expected` are the names that
/// are asked for, by namespace, and `makers` those who make what is asked for.
///
/// # Errors
/// When a ClusterExternalSecret cannot be read.
pub(crate) async fn orphaned(
    env: &TestBed,
    makers: &[Maker<'_>],
    expected: &BTreeMap<&str, BTreeSet<&str>>,
) -> Result<BTreeSet<OrphanedExternalSecret>, kube::Error> {
    let mut orphaned = BTreeSet::new();
    for maker in makers {
        let name = maker.external_secret;
        let strays: Vec<&str> = env.observer.look(|view| {
            let stray = expected
                .iter()
                .filter(|(space, asked)| !asked.contains(name) && view.external_secrets(space).contains(name));
            stray.map(|(space, _)| *space).collect()
        });
        if strays.is_empty() {
            continue;
        }
        let object = api(&env.cluster.client, "ClusterExternalSecret", None).get(maker.name).await?;
        let tried = tried(&object.data);
        for namespace in strays.into_iter().filter(|namespace| !tried.contains(namespace)) {
            let lost = OrphanedExternalSecret { namespace: namespace.to_owned(), name: name.to_owned() };
            if operator_may_delete(&env.cluster, &lost).await? {
                orphaned.insert(lost);
            }
        }
    }
    Ok(orphaned)
}

/// The namespaces that a ClusterExternalSecret remembers, and those in which it says that it failed: what stays in any of
/// them was not forgotten.
fn tried(object: &Value) -> BTreeSet<&str> {
    let list = |path| object.pointer(path).and_then(Value::as_array).into_iter().flatten();
    let failed = list("/status/failedNamespaces").filter_map(|failed| failed.get("namespace"));
    list("/status/provisionedNamespaces").chain(failed).filter_map(Value::as_str).collect()
}

/// True if nothing would refuse the operator to take all finalizers off a namespace: asked as the operator, and not carried out.
///
/// # Errors
/// When the API server does not answer.
pub(crate) async fn operator_may_release(cluster: &Cluster, namespace: &str) -> Result<bool, kube::Error> {
    let namespaces: Api<Namespace> = Api::all(cluster.client_as_operator("credence"));
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    match namespaces.patch_metadata(namespace, &PatchParams::default().dry_run(), &patch).await {
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 422 | 500) => Ok(false),
        // It is gone by now, so there is nothing to explain.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(true),
        Ok(_) => Ok(true),
        Err(error) => Err(error),
    }
}

/// True if nothing would refuse the operator to delete an ExternalSecret: asked as the operator, and not carried out.
async fn operator_may_delete(cluster: &Cluster, lost: &OrphanedExternalSecret) -> Result<bool, kube::Error> {
    let asked = api(&cluster.client_as_operator("credence"), "ExternalSecret", Some(&lost.namespace));
    match asked.delete(&lost.name, &DeleteParams::default().dry_run()).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 422 | 500) => Ok(false),
        // It is gone by now, so there is nothing to explain.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes orphaned ExternalSecrets; the garbage collector then removes the copies they own.
///
/// # Errors
/// When the API server refuses.
pub async fn sweep(client: &Client, orphaned: &BTreeSet<OrphanedExternalSecret>) -> Result<(), kube::Error> {
    for OrphanedExternalSecret { namespace, name } in orphaned {
        match api(client, "ExternalSecret", Some(namespace)).delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            outcome => drop(outcome?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminating(finalizers: &[&str], emptied: bool) -> NamespaceSeen {
        NamespaceSeen {
            labels: BTreeMap::new(),
            finalizers: finalizers.iter().map(|name| format!("{FINALIZER}{name}")).collect(),
            deleting: true,
            emptied,
            remaining: Vec::new(),
        }
    }

    #[test]
    fn only_finalizers_of_those_that_do_not_select_the_namespace_are_stale() {
        let asked = BTreeSet::from(["b".to_owned()]);
        assert!(stale_finalizers(&terminating(&["a"], true), &asked).is_some());
        assert!(stale_finalizers(&terminating(&["a", "b"], true), &asked).is_none());
    }

    #[test]
    fn a_namespace_that_the_operator_lists_or_failed_in_is_not_forgotten() {
        let status = json!({ "status": {
            "provisionedNamespaces": ["served"],
            "failedNamespaces": [{ "namespace": "refused", "reason": "admission webhook denied the request" }],
        } });
        assert_eq!(tried(&status), BTreeSet::from(["refused", "served"]));
        assert_eq!(tried(&json!({})), BTreeSet::new());
    }

    #[test]
    fn a_namespace_that_still_holds_something_is_not_held_back_by_finalizers_alone() {
        assert!(stale_finalizers(&terminating(&["a"], false), &BTreeSet::new()).is_none());
        assert!(stale_finalizers(&terminating(&[], true), &BTreeSet::new()).is_none());
    }
}
