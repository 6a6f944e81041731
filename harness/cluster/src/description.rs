//! A cluster's addresses, and its versions.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use credence_core::file_error::FileError;
use credence_programs::external_secrets;
use credence_programs::supply::{Part, Programs, UNKNOWN};
use serde::{Deserialize, Serialize};

use crate::error::ClusterError;

/// File in a run directory that describes a cluster that is ready.
const FILE: &str = "cluster.json";
/// Under which the operator stands among the versions, and beside it its chart and its store providers.
pub(crate) const OPERATOR: &str = "external-secrets";
const OPERATOR_CHART: &str = "external-secrets chart";
pub(crate) const OPERATOR_PROVIDERS: &str = "external-secrets providers";

/// Addresses and versions of a cluster, as written beside it for others to attach to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description {
    /// Kind of cluster: `embedded` or `kind`.
    pub provider: String,
    /// Versions of its parts, by name.
    pub versions: BTreeMap<String, String>,
    /// URL of the API server, for processes of this machine.
    pub url: String,
    /// URL of the API server for External Secrets Operator; none if it finds the API server as every pod does.
    pub url_for_operator: Option<String>,
    /// The address of this machine at which External Secrets Operator and pods reach what this process serves.
    pub host: IpAddr,
    /// The file from which External Secrets Operator reads its own token, where it runs.
    pub operator_token: PathBuf,
    /// Path of a kubeconfig with the administrator's rights.
    pub kubeconfig: PathBuf,
    /// The audit log; none without an audit policy.
    pub audit_log: Option<PathBuf>,
    /// URL of etcd. Its certificates are in the run directory.
    pub etcd: String,
    /// The [operator](operator_identity) that it was started with.
    pub operator: String,
    /// [Digest](ControlPlaneFiles::digest) of the files that it was started with.
    pub control_plane_files: String,
    /// Process id of the credence that owns it.
    pub owner: u32,
}

/// The URL at which pods find the API server: a name that its certificate has and that the cluster's DNS resolves.
pub(crate) const URL_IN_PODS: &str = "https://kubernetes.default.svc";

impl Description {
    /// URL of the API server as External Secrets Operator reaches it.
    pub fn url_inside(&self) -> &str {
        self.url_for_operator.as_deref().unwrap_or(URL_IN_PODS)
    }
}

/// Reads where the cluster in a run directory is.
///
/// # Errors
/// When there is none, or its description is not readable.
pub fn describe(directory: &Path) -> Result<Description, ClusterError> {
    let path = directory.join(FILE);
    let text = fs::read(&path).map_err(FileError::of::<ClusterError>("read", &path))?;
    serde_json::from_slice(&text).map_err(io::Error::other).map_err(FileError::of("read", &path))
}

/// The versions of the parts that every cluster of credence's own has, as they say them, and what the operator is built with. One
/// that is not the pinned one stands beside the version of its chart, in `assets`.
pub(crate) fn versions(programs: &Programs, assets: &Path) -> BTreeMap<String, String> {
    let parts = [("etcd", Part::Etcd), ("kubernetes", Part::KubeApiserver), (OPERATOR, Part::ExternalSecrets)];
    let mut versions: BTreeMap<String, String> =
        parts.into_iter().map(|(name, part)| (name.to_owned(), programs.version(part).to_owned())).collect();
    versions.extend(programs.providers().map(|providers| (OPERATOR_PROVIDERS.to_owned(), providers)));
    if programs.is_given(Part::ExternalSecrets) {
        let chart = external_secrets::app_version(assets).unwrap_or_else(|_| UNKNOWN.to_owned());
        versions.insert(OPERATOR_CHART.to_owned(), chart);
    }
    versions
}

/// Tells operators apart that a cluster may have been started with: the program, and the chart with its definitions.
pub fn operator_identity(programs: &Programs, assets: &Path) -> String {
    format!("{} with {}", programs.path(Part::ExternalSecrets).display(), assets.display())
}

/// Writes where a cluster is into its run directory.
pub(crate) fn write(directory: &Path, description: &Description) -> Result<(), ClusterError> {
    let path = directory.join(FILE);
    let text = serde_json::to_vec_pretty(description).unwrap_or_default();
    fs::write(&path, text).map_err(FileError::of::<ClusterError>("write", &path))
}
