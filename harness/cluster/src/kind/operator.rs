//! External Secrets Operator in pods: controller, webhook and certificate controller, as its chart has them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use credence_core::operator_api::{EXTERNAL_SECRETS_GROUP, EXTERNAL_SECRETS_VERSION};
use credence_programs::oci::{Image, Layer, LayerEntry, Settings};
use credence_programs::pod_image::{self, PodImage, PulledImage};
use credence_programs::supply::Part;
use credence_watch::wait::{self, Progress, WaitError};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{KindError, Setup};
use crate::apply::{self, Applier};
use crate::operator::{self, NAMESPACE, WEBHOOK_NOT_CALLED};

/// The image that is made of the program. Nobody pulls it: it is loaded into the node.
const IMAGE: &str = "localhost/credence/external-secrets";
/// The program in the image.
const PROGRAM: &str = "bin/external-secrets";
/// Path of a ServiceAccount's token in a pod.
pub(super) const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Time that pods may take to be ready, the webhook's certificate included.
const READY: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The Deployment of the controller. The chart labels the pods of each with its name.
pub(super) const CONTROLLER: &str = "external-secrets";
/// The Deployment of the webhook.
pub(super) const WEBHOOK: &str = "external-secrets-webhook";
/// The chart's Deployments: those two, and what makes the webhook's certificate.
const DEPLOYMENTS: [&str; 3] = [CONTROLLER, WEBHOOK, "external-secrets-cert-controller"];

/// The operator's image as an archive in `directory`, and its full name.
pub(super) fn image(setup: &Setup<'_>, directory: &Path) -> Result<(PathBuf, String), KindError> {
    let program = setup.programs.path(Part::ExternalSecrets);
    let layer = Layer::pack(&[LayerEntry::copy(PROGRAM, 0o755, program)], directory)?;
    let settings = Settings { entrypoint: vec![format!("/{PROGRAM}")], user: Some(65532), ..Settings::default() };
    let name = format!("{IMAGE}:{}", tag(setup));
    let archive = directory.join("external-secrets.tar");
    Image::new(&[layer], &settings, "external-secrets").archive(&name, &archive)?;
    Ok((archive, name))
}

/// The image that the user gives in place of that one.
pub(super) fn given_image<'a>(setup: &Setup<'a>) -> Option<&'a PulledImage> {
    pod_image::find(setup.images, PodImage::ExternalSecrets)
}

/// The tag of the image that is made, from the version that the program says.
fn tag(setup: &Setup<'_>) -> String {
    format!("v{}", setup.programs.version(Part::ExternalSecrets))
}

/// Installs the chart, and waits until the operator and its webhook answer.
pub(super) async fn install(client: &Client, setup: &Setup<'_>, directory: &Path) -> Result<(), KindError> {
    let tag = tag(setup);
    // The name of one that is given always has a tag.
    let image = given_image(setup).and_then(|given| given.kept_as.rsplit_once(':')).unwrap_or((IMAGE, &tag));
    let (definitions, objects) = operator::render_for_pods(setup.programs, setup.assets, directory, image).await?;
    let (webhook, others): (Vec<Value>, Vec<Value>) = objects.into_iter().partition(is_webhook);
    apply::install(client, &definitions, NAMESPACE, &others).await?;
    // A pod that has its Secret mounted while it is empty gets the certificate with the kubelet's next look at the volume,
    // up to a minute and a half later.
    until_certificate(client).await?;
    Applier::discover(client).await?.apply_all(&webhook).await?;
    for name in DEPLOYMENTS {
        until_ready(client, name).await?;
    }
    Ok(until_webhook_answers(client).await?)
}

/// True if an object makes the webhook's pods.
fn is_webhook(object: &Value) -> bool {
    object["kind"] == "Deployment" && object["metadata"]["name"] == WEBHOOK
}

/// Waits until the webhook's Secret, which the chart makes empty, has the certificate.
async fn until_certificate(client: &Client) -> Result<(), WaitError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    wait::poll(&format!("a certificate in Secret {NAMESPACE}/{WEBHOOK}"), READY, POLL_INTERVAL, || async {
        match secrets.get(WEBHOOK).await {
            Ok(secret) if secret.data.iter().flatten().any(|(key, value)| key == "tls.crt" && !value.0.is_empty()) => {
                Progress::Done(())
            }
            Ok(_) => Progress::NotYet("it is empty".to_owned()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
}

/// Waits until all pods of a Deployment are ready.
async fn until_ready(client: &Client, name: &str) -> Result<(), WaitError> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    wait::poll(&format!("Deployment {NAMESPACE}/{name} ready"), READY, POLL_INTERVAL, || async {
        match deployments.get(name).await {
            Ok(deployment) => {
                let wanted = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
                let status = deployment.status.unwrap_or_default();
                let ready = status.ready_replicas.unwrap_or_default();
                if status.observed_generation >= deployment.metadata.generation && ready >= wanted {
                    Progress::Done(())
                } else {
                    Progress::NotYet(format!("{ready} of {wanted} pods"))
                }
            }
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
}

/// Waits until the webhook judges objects: a ready pod may not have its certificate yet, and until then every store and
/// ExternalSecret is refused.
pub(super) async fn until_webhook_answers(client: &Client) -> Result<(), WaitError> {
    wait::poll("External Secrets Operator's webhook answers", READY, POLL_INTERVAL, || async {
        match ask_webhook(client).await {
            Ok(()) => Progress::Done(()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
}

/// Waits until the API server refuses objects because it cannot ask the webhook.
pub(super) async fn until_webhook_is_away(client: &Client) -> Result<(), WaitError> {
    wait::poll("External Secrets Operator's webhook away", READY, POLL_INTERVAL, || async {
        match ask_webhook(client).await {
            Ok(()) => Progress::NotYet("it answers".to_owned()),
            Err(error) if error.to_string().contains(WEBHOOK_NOT_CALLED) => Progress::Done(()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
}

/// Has the webhook judge an object that nobody keeps.
async fn ask_webhook(client: &Client) -> Result<(), kube::Error> {
    let kind =
        ApiResource::from_gvk(&GroupVersionKind::gvk(EXTERNAL_SECRETS_GROUP, EXTERNAL_SECRETS_VERSION, "SecretStore"));
    let stores: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &kind);
    let asked = DynamicObject::new("credence-asks-the-webhook", &kind)
        .within(NAMESPACE)
        .data(json!({ "spec": { "provider": { "fake": { "data": [{ "key": "a", "value": "b" }] } } } }));
    stores.create(&PostParams { dry_run: true, ..PostParams::default() }, &asked).await.map(drop)
}

/// Takes all pods of a Deployment away, and waits until they are gone. `kill` ends those that take their time.
pub(super) async fn stop(
    client: &Client,
    deployment: &str,
    kill: impl Future<Output = Result<(), KindError>>,
) -> Result<(), KindError> {
    scale(client, deployment, 0).await?;
    kill.await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let its_own = ListParams::default().labels(&format!("app.kubernetes.io/name={deployment}"));
    let what = format!("all pods of {deployment} gone");
    let gone = wait::poll(&what, READY, POLL_INTERVAL, || async {
        match pods.list_metadata(&its_own).await {
            Ok(pods) if pods.items.is_empty() => Progress::Done(()),
            Ok(pods) => Progress::NotYet(format!("{} pods", pods.items.len())),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    });
    Ok(gone.await?)
}

/// Brings a Deployment back, and waits until it is ready.
pub(super) async fn start_again(client: &Client, deployment: &str) -> Result<(), KindError> {
    scale(client, deployment, 1).await?;
    Ok(until_ready(client, deployment).await?)
}

async fn scale(client: &Client, deployment: &str, replicas: u32) -> Result<(), KindError> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let scaled = json!({ "spec": { "replicas": replicas } });
    let outcome = deployments.patch_scale(deployment, &PatchParams::default(), &Patch::Merge(&scaled)).await;
    let failed = |source| KindError::Request { act: "scale External Secrets Operator", source: Box::new(source) };
    outcome.map(drop).map_err(failed)
}
