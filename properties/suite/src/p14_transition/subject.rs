//! Subject of p14: stores of its own, and a ClusterExternalSecret for each form.

use std::sync::Arc;
use std::time::Duration;

use credence_cluster::api_error::ApiError;
use credence_cluster::apply::{Applier, ApplyError};
use credence_model::config::ConfigError;
use credence_programs::esoctl::RenderError;
use credence_report::verdict::Violation;
use credence_watch::wait::{self, Progress};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};

use super::form::{self, Form};
use crate::fixture::{Fixture, FixtureError};
use crate::supplies::Supplies;
use crate::testbed::TestBed;
use crate::testbed::namespaces::NamespaceError;
use crate::testbed::operator_api;

/// Time that the copies of a deleted ClusterExternalSecret may stay before the next run has to sweep them.
const GONE: Duration = Duration::from_secs(30);

/// The set-up of p14 failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubjectError {
    #[error("failed to apply the stores of the transitions")]
    Apply(#[from] ApplyError),
    /// A namespace could not be had.
    #[error("failed to prepare a namespace for a transition")]
    Namespace(#[from] NamespaceError),
    /// The manifest that a form was made of no longer makes sense.
    #[error("failed to derive a form from the configuration's manifest")]
    Form(#[from] ConfigError),
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// It is not known what the template of a form makes.
    #[error("failed to render a form of a transition")]
    Render(#[from] RenderError),
}

/// The stores that forms of a copy are read from, once they are in the cluster. One that does not become valid is for the
/// cases to find.
#[derive(Debug)]
pub(crate) struct Stores(());

impl Fixture for Stores {
    async fn set_up(bed: &Arc<TestBed>, _supplies: &Supplies) -> Result<Self, FixtureError> {
        apply_stores(bed).await.map(Self).map_err(FixtureError::new)
    }
}

async fn apply_stores(env: &TestBed) -> Result<(), SubjectError> {
    let stores = form::stores(&env.model, env.namespaces.run());
    Ok(Applier::discover(&env.cluster.client).await?.apply_all(&stores).await?)
}

fn api(client: &Client) -> Api<DynamicObject> {
    operator_api::api(client, "ClusterExternalSecret", None)
}

/// Brings a form into being, or in place of another one of the same name.
pub(super) async fn apply(client: &Client, manager: &str, form: &Form) -> Result<(), SubjectError> {
    // Applied by one manager, what the former version had and this one has not goes away.
    let params = PatchParams::apply(manager).force();
    let applied = api(client).patch(form.name(), &params, &Patch::Apply(&form.object)).await.map(drop);
    applied.map_err(refused("apply", form.name()))
}

/// Deletes a ClusterExternalSecret; ESO then removes its copies. One that is gone already is as good.
pub(super) async fn delete(client: &Client, name: &str) -> Result<(), SubjectError> {
    match api(client).delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        outcome => outcome.map(drop).map_err(refused("delete", name)),
    }
}

fn refused(act: &'static str, name: &str) -> impl Fn(kube::Error) -> SubjectError + use<> {
    ApiError::of(act, &format!("ClusterExternalSecret {name}"))
}

/// Waits until these Secrets are gone from the namespace.
pub(super) async fn until_gone(env: &TestBed, namespace: &str, names: &[&str]) {
    let what = format!("all forms gone from {namespace}");
    let gone = wait::until(&env.observer, &what, GONE, |view| {
        match names.iter().find(|name| view.secret(namespace, name).is_some()) {
            Some(name) => Progress::NotYet(format!("{name} is there")),
            None => Progress::Done(()),
        }
    });
    if let Err(error) = gone.await {
        env.namespaces.add_orphan(Violation { reason: error.to_string(), known: None });
    }
}
