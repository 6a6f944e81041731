//! External Secrets Operator by its official chart, with the rights of its own ServiceAccount: as a process where there are
//! no nodes, in pods where there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use credence_core::file_error::FileError;
use credence_core::manifest::{self, ManifestError};
use credence_programs::external_secrets;
use credence_programs::helm::{self, Chart, ChartError};
use credence_programs::process::Program;
use credence_programs::supply::{Part, Programs};
use credence_watch::wait::{self, Progress, WaitError};
use serde_json::Value;

use crate::start_up::{COLLECT_LATER, SET_UP, free_ports};

/// The namespace and the release name of the chart's documentation.
pub const NAMESPACE: &str = "external-secrets";
/// The ServiceAccount that the chart makes, and the Deployment of the operator.
pub const SERVICE_ACCOUNT: &str = "external-secrets";
/// Message of the API server when it refuses an object because it cannot ask the object's webhook (k8s.io/apiserver
/// pkg/admission/plugin/webhook/errors.go).
pub const WEBHOOK_NOT_CALLED: &str = "failed calling webhook";
/// The flag for the address at which the operator says that it lives.
pub(crate) const LIVE_ADDRESS: &str = "--live-addr";
/// Reconciles that ESO runs at the same time, for each of its controllers.
pub const CONCURRENCY: u32 = 10;

/// Values for the chart everywhere. PushSecrets are on, as in an operator that nobody has hardened. Rates are high enough not to
/// throttle a test run.
const VALUES: &str = "
installCRDs: false
concurrent: 10
extraArgs: { client-qps: 200, client-burst: 400 }
log: { level: info, timeEncoding: rfc3339 }
";
/// Without a cluster network there is nobody to call a webhook.
const WITHOUT_NETWORK: &str = "
webhook: { create: false }
certController: { create: false }
livenessProbe: { enabled: true }
";

/// The chart could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The chart cannot be rendered.
    #[error("failed to render External Secrets Operator's chart")]
    Chart(#[from] ChartError),
    /// The definitions cannot be read.
    #[error("failed to read the custom resource definitions")]
    Manifest(#[from] ManifestError),
    /// The chart renders no Deployment to take arguments from.
    #[error(
        "failed to find the operator's arguments: the chart renders no Deployment {SERVICE_ACCOUNT} with a container"
    )]
    NoDeployment,
    /// The operator's port cannot be chosen.
    #[error("failed to choose the operator's ports: {0}")]
    Ports(String),
}

/// The user name by which the API server knows the operator.
pub fn user() -> String {
    format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}")
}

/// Rendered objects of the chart, split into what a cluster without nodes can use.
pub struct Release {
    /// CustomResourceDefinitions, which are applied first.
    pub definitions: Vec<Value>,
    /// Objects to apply once they are there.
    pub objects: Vec<Value>,
    /// Address that the operator calls its own.
    pub(crate) live_url: String,
    arguments: Vec<String>,
}

/// Renders the official chart from `assets` for pods of `image` (its name and its tag), working in `directory`. Gives the
/// custom resource definitions, and everything else.
///
/// # Errors
/// When the chart cannot be read or helm refuses.
pub(crate) async fn render_for_pods(
    programs: &Programs,
    assets: &Path,
    directory: &Path,
    image: (&str, &str),
) -> Result<(Vec<Value>, Vec<Value>), ReleaseError> {
    let (name, tag) = image;
    let image = format!("image: {{ repository: {name}, tag: {tag}, pullPolicy: IfNotPresent }}\n");
    let nested = format!("webhook: {{ {0} }}\ncertController: {{ {0} }}\n", image.trim_end());
    chart(programs, assets, directory, &format!("{VALUES}{image}{nested}")).await
}

/// The custom resource definitions, and what the chart renders to with these values.
async fn chart(
    programs: &Programs,
    assets: &Path,
    directory: &Path,
    values: &str,
) -> Result<(Vec<Value>, Vec<Value>), ReleaseError> {
    let path = directory.join("chart");
    external_secrets::copy_alone(&assets.join("deploy/charts/external-secrets"), &path)?;
    let chart = Chart { path: &path, release: SERVICE_ACCOUNT, namespace: NAMESPACE, values };
    let rendered = helm::render(programs.path(Part::Helm), &chart, directory).await?;
    let bundle = assets.join(external_secrets::DEFINITIONS);
    let text = fs::read_to_string(&bundle).map_err(FileError::of::<ReleaseError>("read", &bundle))?;
    let definitions = manifest::parse_documents(&bundle, &text)?.into_iter().map(|m| m.object).collect();
    Ok((definitions, rendered))
}

/// Renders the official chart from `assets` for an operator outside the cluster, working in `directory`.
///
/// # Errors
/// When the chart cannot be read or helm refuses.
pub async fn render(programs: &Programs, assets: &Path, directory: &Path) -> Result<Release, ReleaseError> {
    let values = format!("{VALUES}{WITHOUT_NETWORK}");
    let (definitions, rendered) = chart(programs, assets, directory, &values).await?;
    let [live_port] = free_ports().map_err(|error| ReleaseError::Ports(error.to_string()))?;
    let (mut objects, mut container) = (Vec::new(), None);
    for object in rendered {
        match object["kind"].as_str() {
            Some("Deployment") if object["metadata"]["name"] == SERVICE_ACCOUNT => {
                container = object.pointer("/spec/template/spec/containers/0/args").cloned();
            }
            Some("ServiceAccount" | "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding") => {
                objects.push(object);
            }
            // Services and the like have nothing behind them in a cluster without nodes.
            _ => {}
        }
    }
    let Some(Value::Array(arguments)) = container else { return Err(ReleaseError::NoDeployment) };
    let arguments = arguments
        .iter()
        .filter_map(Value::as_str)
        // Those two ports are fixed in the chart and would collide between clusters side by side.
        .filter(|argument| !argument.starts_with("--metrics-addr") && !argument.starts_with(LIVE_ADDRESS))
        .map(str::to_owned)
        .chain(["--metrics-addr=0".to_owned(), format!("{LIVE_ADDRESS}=127.0.0.1:{live_port}")])
        .collect();
    let live_url = format!("http://127.0.0.1:{live_port}/healthz");
    Ok(Release { definitions, objects, live_url, arguments })
}

/// Command to start the operator.
pub(crate) fn program(release: &Release, programs: &Programs, kubeconfig: &Path, directory: &Path) -> Program {
    Program {
        name: "external-secrets".to_owned(),
        executable: programs.path(Part::ExternalSecrets).to_owned(),
        arguments: release.arguments.iter().map(Into::into).collect(),
        environment: BTreeMap::from([
            ("KUBECONFIG".to_owned(), kubeconfig.into()),
            ("HOME".to_owned(), directory.join("home").into()),
            (COLLECT_LATER.0.to_owned(), COLLECT_LATER.1.into()),
        ]),
        log: directory.join("external-secrets.log"),
    }
}

/// Waits until the operator's liveness endpoint answers.
pub(crate) async fn wait_until_live(url: &str) -> Result<(), WaitError> {
    wait::poll("External Secrets Operator live", SET_UP, Duration::from_millis(50), || async {
        match reqwest::get(url).await {
            Ok(answer) if answer.status().is_success() => Progress::Done(()),
            Ok(answer) => Progress::NotYet(answer.status().to_string()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    })
    .await
}
