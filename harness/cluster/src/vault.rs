//! HashiCorp Vault, or OpenBao, as a process of this machine: for stores that read from it.
//!
//! It keeps everything in memory and ends with the run. It has one key share and a root token, which nobody but credence knows,
//! and a certificate of an authority of its own. [`setup`] makes what a configuration expects in it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use credence_core::credential::Credential;
use credence_core::file_error::FileError;
use credence_programs::certificates::{Authority, CertificateError};
use credence_programs::process::{Death, Process, ProcessError, Program};
use credence_watch::wait::{self, Progress, WaitError};
use http::Method;
use serde_json::{Value, json};

mod api;
pub mod setup;

use api::Api;
pub use api::{Document, RequestError};

/// Time that it may take to answer, and to be unsealed.
const READY: Duration = Duration::from_mins(1);
/// Time between two polls of a server that is starting.
const PROBE: Duration = Duration::from_millis(20);
/// Starts are tried again with another port when one was taken between choosing and binding it.
const ATTEMPTS: usize = 3;

/// Why there is no Vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// No certificate can be had.
    #[error("failed to make the certificate of Vault")]
    Certificate(#[from] CertificateError),
    /// No port can be had.
    #[error("failed to find a port for Vault")]
    Port(#[source] std::io::Error),
    /// Its configuration cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its program cannot be started.
    #[error("failed to start Vault")]
    Start(#[from] ProcessError),
    /// Its process ended by itself.
    #[error(transparent)]
    Died(#[from] Death),
    /// It does not become ready.
    #[error("failed to bring Vault up")]
    NotReady(#[from] WaitError),
    /// It refused a request, or did not answer.
    #[error("failed to set Vault up")]
    Request(#[from] RequestError),
}

/// A server that is up and unsealed. Ends when dropped.
pub struct Vault {
    process: Process,
    api: Api,
    address: SocketAddr,
    authority: Authority,
    unseal_key: Credential,
    root: Credential,
}

impl Vault {
    /// Starts `program` at `host`, with its files and its log in `directory`, and unseals it.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(program: &Path, directory: &Path, host: IpAddr) -> Result<Self, VaultError> {
        let authority = Authority::new("credence vault")?;
        let mut attempt = 1;
        loop {
            match start_once(program, directory, host, &authority).await {
                Err(VaultError::Died(death)) if attempt < ATTEMPTS && death.is_port_taken() => attempt += 1,
                Err(error) => return Err(error),
                Ok(Started { process, api, address, unseal_key, root }) => {
                    let vault = Self { process, api, address, authority, unseal_key, root };
                    vault.unseal().await?;
                    return Ok(vault);
                }
            }
        }
    }

    /// URL by which stores reach Vault, with a port and no path.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The authority that its certificate is of.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The process, to be written down for a later sweep.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Seals it: nothing can be read, written or logged in to until it is unsealed.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn seal(&self) -> Result<(), VaultError> {
        Ok(self.write("sys/seal", &json!({})).await?)
    }

    /// Unseals it, and waits until it answers again.
    ///
    /// # Errors
    /// When it refuses, or stays sealed.
    pub async fn unseal(&self) -> Result<(), VaultError> {
        let key = json!({ "key": self.unseal_key.expose_str() });
        self.api.request(None, Method::PUT, "sys/unseal", Some(&key)).await?;
        let unsealed = wait::poll("Vault unsealed", READY, PROBE, || async {
            // It answers with success once it serves (Vault, `sys/health`).
            match self.api.request(None, Method::GET, "sys/health", None).await {
                Ok(_) => Progress::Done(()),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        });
        Ok(unsealed.await?)
    }

    /// Writes as root.
    ///
    /// # Errors
    /// When it refuses, or does not answer.
    pub async fn write(&self, path: &str, body: &Value) -> Result<(), RequestError> {
        self.api.request(Some(&self.root), Method::PUT, path, Some(body)).await.map(drop)
    }

    /// Writes a document as root, with its members as texts; that of an engine with versions beneath `data`.
    ///
    /// # Errors
    /// When it refuses, or does not answer.
    pub async fn put(&self, path: &str, is_versioned: bool, document: &Document) -> Result<(), RequestError> {
        let text = |value: &Credential| String::from_utf8_lossy(value.expose()).into_owned();
        let members: BTreeMap<&String, String> = document.iter().map(|(key, value)| (key, text(value))).collect();
        let body = if is_versioned { json!({ "data": members }) } else { json!(members) };
        self.write(path, &body).await
    }

    /// Deletes as root what is at a path.
    ///
    /// # Errors
    /// When it refuses, or does not answer.
    pub async fn delete(&self, path: &str) -> Result<(), RequestError> {
        self.api.request(Some(&self.root), Method::DELETE, path, None).await.map(drop)
    }

    /// Logs in by the Kubernetes auth method at `mount`, and gives the token; none if the role does not admit the account.
    ///
    /// # Errors
    /// When it fails for another reason, or does not answer.
    pub async fn log_in(&self, mount: &str, role: &str, jwt: &Credential) -> Result<Option<Credential>, RequestError> {
        let body = json!({ "role": role, "jwt": jwt.expose_str() });
        self.api.log_in(&format!("auth/{mount}/login"), &body).await
    }

    /// Logs in by the AppRole auth method at `mount`, and gives the token; none if Vault does not let it.
    ///
    /// # Errors
    /// When it fails for another reason, or does not answer.
    pub async fn log_in_by_app_role(
        &self,
        mount: &str,
        role_id: &Credential,
        secret_id: &Credential,
    ) -> Result<Option<Credential>, RequestError> {
        let body = json!({ "role_id": role_id.expose_str(), "secret_id": secret_id.expose_str() });
        self.api.log_in(&format!("auth/{mount}/login"), &body).await
    }

    /// Reads a document with a token; none if the policies of the token do not let it be read.
    ///
    /// # Errors
    /// When it fails for another reason, or does not answer.
    pub async fn read(
        &self,
        token: &Credential,
        path: &str,
        versioned: bool,
    ) -> Result<Option<Document>, RequestError> {
        self.api.read(token, path, versioned).await
    }
}

struct Started {
    process: Process,
    api: Api,
    address: SocketAddr,
    unseal_key: Credential,
    root: Credential,
}

async fn start_once(
    program: &Path,
    directory: &Path,
    host: IpAddr,
    authority: &Authority,
) -> Result<Started, VaultError> {
    let port = TcpListener::bind((host, 0)).and_then(|listener| listener.local_addr()).map_err(VaultError::Port)?;
    let identity = authority.server("credence vault", &[&host.to_string(), "localhost"])?;
    let (certificate, key) = identity.write(directory, "vault")?;
    let configuration = json!({
        "storage": { "inmem": {} },
        "listener": [{ "tcp": { "address": port.to_string(), "tls_cert_file": certificate, "tls_key_file": key } }],
        "api_addr": format!("https://{port}"),
        // It would need a capability, and keeps nothing but generated values.
        "disable_mlock": true,
        "log_level": "warn",
        // From 1.13 on, five logins that are refused lock an AppRole for a quarter of an hour (`user_lockout`), longer than any run waits.
        "user_lockout": [{ "all": { "disable_lockout": "true" } }],
    });
    let path = directory.join("vault.json");
    fs::write(&path, configuration.to_string()).map_err(FileError::of::<VaultError>("write", &path))?;
    let process = Process::start(&Program {
        name: "vault".to_owned(),
        executable: program.to_owned(),
        arguments: vec!["server".into(), "-config".into(), path.into()],
        environment: environment(directory),
        log: directory.join("vault.log"),
    })?;
    let api = Api::new(port, authority)?;
    let answers = wait::poll("Vault answers", READY, PROBE, || async {
        match api.request(None, Method::GET, "sys/init", None).await {
            Ok(_) => Progress::Done(()),
            Err(error) => Progress::NotYet(error.to_string()),
        }
    });
    tokio::select! {
        biased;
        status = process.ended() => return Err(Death::of(&process, status).into()),
        answers = answers => answers?,
    }
    let (unseal_key, root) = api.initialise().await?;
    Ok(Started { process, api, address: port, unseal_key, root })
}

/// The whole environment. A program that was built with a newer Go than its libraries know needs the second setting: one of them
/// has a certificate in it with a negative serial number.
fn environment(directory: &Path) -> BTreeMap<String, std::ffi::OsString> {
    BTreeMap::from([
        ("HOME".to_owned(), directory.into()),
        ("GODEBUG".to_owned(), "x509negativeserial=1".into()),
        ("SKIP_SETCAP".to_owned(), "1".into()),
    ])
}
