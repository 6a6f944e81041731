//! etcd, kube-apiserver and kube-controller-manager as child processes of any user, on loopback, TLS everywhere.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use credence_core::file_error::FileError;
use credence_programs::certificates::{Authority, signing_key, write_private};
use credence_programs::process::service::Service;
use credence_programs::process::{Death, Program};
use credence_programs::supply::{Part, Programs};
use futures::future::select_all;
use kube::Client;

use crate::control_plane_files::{self, ControlPlaneFiles};
use crate::error::ClusterError;
use crate::kubeconfig;
use crate::start_up::{COLLECT_LATER, KUBELET_CLIENT, free_ports, wait_until_ready};

/// Size at which the audit log would be rotated: more than a run writes, so that no entry leaves the file.
const AUDIT_LOG_MEGABYTES: u32 = 100_000;
/// Starts are tried again with other ports when one was taken between choosing and binding it.
const ATTEMPTS: usize = 3;

pub(super) struct ControlPlane {
    pub(super) url: String,
    pub(super) authority: Authority,
    pub(super) etcd_url: String,
    pub(super) kubeconfig: PathBuf,
    pub(super) audit_log: Option<PathBuf>,
    pub(super) client: Client,
    pub(super) etcd: Service,
    pub(super) apiserver: Service,
    /// Command to start kube-controller-manager. It comes after the custom resource definitions: its garbage collector learns
    /// of new kinds only every 30 s, and until then would not collect what they own.
    pub(super) controller_manager: Program,
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver in `directory` and waits until the API server is ready.
    pub(super) async fn start(
        directory: &Path,
        programs: &Programs,
        configured: &ControlPlaneFiles,
    ) -> Result<Self, ClusterError> {
        let mut attempt = 1;
        loop {
            match Self::attempt(directory, programs, configured).await {
                Err(ClusterError::Died(death)) if attempt < ATTEMPTS && death.is_port_taken() => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn attempt(
        directory: &Path,
        programs: &Programs,
        configured: &ControlPlaneFiles,
    ) -> Result<Self, ClusterError> {
        let [etcd_port, etcd_http_port, peer_port, api_port, manager_port] =
            free_ports().map_err(FileError::of::<ClusterError>("find", Path::new("free loopback ports")))?;
        let files = Files::write(directory, configured)?;
        let etcd = Service::start(etcd(&files, programs, [etcd_port, etcd_http_port, peer_port]))?;
        let apiserver = Service::start(apiserver(&files, programs, etcd_port, api_port, configured))?;
        let url = format!("https://127.0.0.1:{api_port}");
        let admin = files.authority.client("credence", Some("system:masters"))?;
        let kubeconfig = kubeconfig::with_certificate(&directory.join("admin.kubeconfig"), &url, &files.ca, &admin)?;
        let manager = files.authority.client("system:kube-controller-manager", None)?;
        let manager_config =
            kubeconfig::with_certificate(&directory.join("controller-manager.kubeconfig"), &url, &files.ca, &manager)?;
        let client = kubeconfig::client(&kubeconfig, "credence").await?;
        tokio::select! {
            ready = wait_until_ready(&client) => ready?,
            death = first_death([&etcd, &apiserver]) => return Err(death.into()),
        }
        Ok(Self {
            url,
            etcd_url: format!("https://127.0.0.1:{etcd_http_port}"),
            kubeconfig,
            audit_log: configured.audit_policy.as_ref().map(|_| files.directory.join("audit.log")),
            client,
            etcd,
            apiserver,
            controller_manager: controller_manager(&files, programs, &manager_config, manager_port),
            authority: files.authority,
        })
    }
}

/// Resolves when the first of the services dies.
pub(super) async fn first_death<const N: usize>(services: [&Service; N]) -> Death {
    select_all(services.map(|service| Box::pin(service.died()))).await.0
}

/// Files that the programs read.
struct Files {
    directory: PathBuf,
    authority: Authority,
    ca: String,
}

impl Files {
    fn write(directory: &Path, configured: &ControlPlaneFiles) -> Result<Self, ClusterError> {
        let authority = Authority::new("credence")?;
        let ca = authority.certificate();
        write_private(&directory.join("ca.crt"), ca.as_bytes())?;
        let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        authority.server("kube-apiserver", &names)?.write(directory, "apiserver")?;
        authority.server("etcd", &["127.0.0.1", "localhost"])?.write(directory, "etcd")?;
        authority.client(KUBELET_CLIENT, None)?.write(directory, "kubelet-client")?;
        let (private, public) = signing_key()?;
        write_private(&directory.join("service-accounts.key"), private.as_bytes())?;
        write_private(&directory.join("service-accounts.pub"), public.as_bytes())?;
        if let Some(policy) = &configured.audit_policy {
            write_private(&directory.join(ControlPlaneFiles::AUDIT_POLICY), policy.as_bytes())?;
        }
        if let Some(encryption) = &configured.encryption {
            let filled = control_plane_files::with_keys(encryption)
                .map_err(FileError::of::<ClusterError>("generate", Path::new("the encryption keys")))?;
            write_private(&directory.join(ControlPlaneFiles::ENCRYPTION), filled.as_bytes())?;
        }
        fs::create_dir_all(directory.join("home"))
            .map_err(FileError::of::<ClusterError>("create", &directory.join("home")))?;
        Ok(Self { directory: directory.to_owned(), authority, ca })
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn program(&self, name: &str, executable: &Path, arguments: Vec<String>) -> Program {
        Program {
            name: name.to_owned(),
            executable: executable.to_owned(),
            arguments: arguments.into_iter().map(OsString::from).collect(),
            environment: BTreeMap::from([
                ("HOME".to_owned(), self.directory.join("home").into()),
                (COLLECT_LATER.0.to_owned(), COLLECT_LATER.1.into()),
            ]),
            log: self.directory.join(format!("{name}.log")),
        }
    }
}

fn etcd(files: &Files, programs: &Programs, ports: [u16; 3]) -> Program {
    let [url, http, peer] = ports.map(|port| format!("https://127.0.0.1:{port}"));
    let (ca, certificate, key) = (files.path("ca.crt"), files.path("etcd.crt"), files.path("etcd.key"));
    let arguments = vec![
        format!("--data-dir={}", files.path("etcd")),
        format!("--listen-client-urls={url}"),
        // A port that serves HTTP as well passes gRPC through the HTTP server of Go's library, which costs processor time
        // and is what etcd's own documentation advises against.
        format!("--listen-client-http-urls={http}"),
        format!("--advertise-client-urls={url}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        format!("--cert-file={certificate}"),
        format!("--key-file={key}"),
        format!("--trusted-ca-file={ca}"),
        "--client-cert-auth=true".to_owned(),
        format!("--peer-cert-file={certificate}"),
        format!("--peer-key-file={key}"),
        format!("--peer-trusted-ca-file={ca}"),
        "--peer-client-cert-auth=true".to_owned(),
        // The data is thrown away with the run.
        "--unsafe-no-fsync=true".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    files.program("etcd", programs.path(Part::Etcd), arguments)
}

fn apiserver(files: &Files, programs: &Programs, etcd_port: u16, port: u16, configured: &ControlPlaneFiles) -> Program {
    let mut arguments = vec![
        format!("--etcd-servers=https://127.0.0.1:{etcd_port}"),
        format!("--etcd-cafile={}", files.path("ca.crt")),
        format!("--etcd-certfile={}", files.path("etcd.crt")),
        format!("--etcd-keyfile={}", files.path("etcd.key")),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        // A loopback address is refused as an endpoint of the kubernetes Service, which nothing here uses.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--tls-cert-file={}", files.path("apiserver.crt")),
        format!("--tls-private-key-file={}", files.path("apiserver.key")),
        format!("--client-ca-file={}", files.path("ca.crt")),
        format!("--kubelet-certificate-authority={}", files.path("ca.crt")),
        format!("--kubelet-client-certificate={}", files.path("kubelet-client.crt")),
        format!("--kubelet-client-key={}", files.path("kubelet-client.key")),
        // Its default tries the node's name first, which no name server knows.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", files.path("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", files.path("service-accounts.key")),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        format!("--cert-dir={}", files.path("apiserver")),
    ];
    if configured.encryption.is_some() {
        arguments.push(format!("--encryption-provider-config={}", files.path(ControlPlaneFiles::ENCRYPTION)));
    }
    if configured.audit_policy.is_some() {
        arguments.extend([
            format!("--audit-policy-file={}", files.path(ControlPlaneFiles::AUDIT_POLICY)),
            format!("--audit-log-path={}", files.path("audit.log")),
            "--audit-log-mode=blocking".to_owned(),
            // Zero would not mean no limit but the 100 MB at which its library rotates.
            format!("--audit-log-maxsize={AUDIT_LOG_MEGABYTES}"),
        ]);
    }
    files.program("kube-apiserver", programs.path(Part::KubeApiserver), arguments)
}

fn controller_manager(files: &Files, programs: &Programs, kubeconfig: &Path, port: u16) -> Program {
    let kubeconfig = kubeconfig.display();
    let arguments = vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        format!("--service-account-private-key-file={}", files.path("service-accounts.key")),
        format!("--root-ca-file={}", files.path("ca.crt")),
        "--use-service-account-credentials=true".to_owned(),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        // The default of 20 requests a second would make credence measure this client instead of the distribution.
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
        format!("--cert-dir={}", files.path("controller-manager")),
        // As root it would make the default directory, in /usr/libexec.
        format!("--flex-volume-plugin-dir={}", files.path("volume-plugins")),
    ];
    files.program("kube-controller-manager", programs.path(Part::KubeControllerManager), arguments)
}
