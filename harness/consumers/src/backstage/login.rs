//! Backstage as a consumer: a Deployment of a real backend, pulled with one copy, that signs people in with another and
//! reads private files with a third.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use credence_core::owner::Owner;
use credence_core::text::Reason;
use credence_programs::oci::{Image, ImageError, Layer, LayerEntry, Settings};
use credence_watch::observer::{PodSeen, View};
use credence_watch::wait::{self, Progress, WaitError};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

use crate::backstage::{self, BackstageError, Client as Browser, ClientError, Installation, Url};
use crate::forge::ForgeError;
use crate::kubelet::deployment::{self, pods};
use crate::kubelet::pod::{PodError, PulledPod};
use crate::running::{Consumers, LoginAnswer};

/// Time that it may take until the pod before is gone, 200 MB are pulled and the container is started; measured at 12 s, and
/// at 44 s beside two more runs.
const STARTED: Duration = Duration::from_mins(2);
/// Time that Backstage itself may take to be ready; it takes 2 to 9 s.
const READY: Duration = Duration::from_mins(3);
/// Time that the pod of a Deployment that is removed may take to be gone: the next one listens on its port.
const GONE: Duration = Duration::from_secs(30);
/// Path in the image of the certificate of the forge's authority.
pub const AUTHORITY: &str = "/etc/credence/authority.crt";
/// Name of its image in the registry of its owner.
pub const PORTAL_IMAGE: &str = "backstage";
const TAG: &str = "pinned";

/// Words of the forge about a client that it does not know.
const NOT_AUTHORISED: &str = "the forge did not authorise the client";

/// Backstage could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum BackstageLoginError {
    /// It does not run here.
    #[error("failed to start Backstage: it does not run here")]
    Absent,
    /// Its files could not be listed.
    #[error("failed to list the files of Backstage")]
    Files(#[from] BackstageError),
    /// Its image could not be packed or published.
    #[error("failed to publish the image of Backstage")]
    Image(#[from] ImageError),
    /// The Deployment could not be made or removed.
    #[error("failed to deploy Backstage")]
    Pod(#[from] PodError),
    /// Something did not happen in time.
    #[error("failed to wait for Backstage")]
    NoAnswer(#[from] WaitError),
    /// Backstage did not answer as it should, which says nothing of a credential.
    #[error("failed to use Backstage")]
    Client(#[from] ClientError),
    /// Its container ended, and why is not kept: its log can quote credentials.
    #[error("failed to use Backstage: its container ended by itself; its pod: {0}")]
    Ended(String),
    /// A URL of ours is not one.
    #[error("failed to make a URL of {0}")]
    Url(String),
}

/// Everything that all pods of Backstage in a run have in common.
pub struct BackstageService {
    pub(crate) installation: Installation,
    /// Addresses of itself and of its forge.
    pub(crate) served: backstage::Settings,
    /// Address at which this machine reaches it.
    pub(crate) host: std::net::IpAddr,
    /// Set once its image is published.
    pub(crate) published: OnceCell<()>,
    /// Namespace and name of the Deployment that there is: each has the same port.
    pub(crate) deployed: Mutex<Option<(String, String)>>,
}

/// A Deployment of Backstage, and where it gets its credentials: literally, or from Secrets of its namespace.
pub struct BackstageDeployment<'a> {
    /// Namespace of its pods, which have the copy as environment.
    pub namespace: &'a str,
    /// Its name, which no other has.
    pub name: &'a str,
    /// Number of times that it has been started: another number replaces the pod that runs.
    pub start: u32,
    /// Owner of its image at the forge, which pods pull it from.
    pub owner: &'a Owner,
    /// The Secret that it is pulled with.
    pub pull_secret: &'a str,
    /// Its maker, as field manager.
    pub manager: &'a str,
    /// Secrets whose keys are variables of these names.
    pub variables_from: &'a [String],
    /// The other variables of [`BACKSTAGE_VARIABLES`], each an `EnvVar`. They win over those of Secrets.
    pub variables: &'a [Value],
}

/// The variables that hold client id, client secret and token (`fixtures/consumers/backstage/app-config.yaml`).
pub const BACKSTAGE_VARIABLES: [&str; 3] = ["AUTH_GITHUB_CLIENT_ID", "AUTH_GITHUB_CLIENT_SECRET", "GITHUB_TOKEN"];

impl Consumers {
    fn backstage(&self) -> Result<&BackstageService, BackstageLoginError> {
        self.backstage.as_ref().ok_or(BackstageLoginError::Absent)
    }

    /// Address to which OAuth applications of this run are sent back.
    pub fn redirect_uri(&self) -> String {
        match &self.backstage {
            Some(backstage) => backstage.served.redirect_uri(),
            // Nothing has to listen there: the code is read from the redirect itself.
            None => "https://127.0.0.1/callback".to_owned(),
        }
    }

    /// Deploys Backstage, or restarts it, and waits until it is ready. Gives the name of the pod that it runs in, or what
    /// the kubelet says if its image was not pulled. A Deployment that a case before has left is removed first.
    ///
    /// # Errors
    /// When the image cannot be published, the Deployment is refused, or Backstage does not become ready.
    pub async fn start_backstage(
        &self,
        client: &Client,
        deployment: &BackstageDeployment<'_>,
    ) -> Result<Result<String, Reason>, BackstageLoginError> {
        let backstage = self.backstage()?;
        let own = (deployment.namespace.to_owned(), deployment.name.to_owned());
        let left = backstage.deployed.lock().await.clone().filter(|left| *left != own);
        if let Some((namespace, name)) = left {
            self.stop_backstage(client, deployment.manager, &namespace, &name).await?;
        }
        backstage.published.get_or_try_init(|| self.publish_backstage(backstage, deployment.owner)).await?;
        let BackstageDeployment { namespace, name, start, .. } = *deployment;
        let settings = backstage.served.environment().into_iter();
        let settings = settings.map(|(name, value)| json!({ "name": name, "value": value }));
        let pulled = PulledPod {
            namespace,
            name,
            image: &format!("{}:{TAG}", deployment.owner.image(PORTAL_IMAGE)),
            secret: Some(deployment.pull_secret),
            variables_from: deployment.variables_from,
            variables: settings.chain(deployment.variables.iter().cloned()).collect(),
        };
        let names = |view: &View<'_>| pods(view, namespace, name).map(|(name, _)| name.clone()).collect();
        let before: BTreeSet<String> = self.site.observer.look(names);
        *backstage.deployed.lock().await = Some(own);
        self.deploy(client, deployment.manager, &pulled, start).await?;
        let what = format!("Backstage running in a pod of Deployment {namespace}/{name}");
        // Every pod of Backstage ought to be pulled, so that its kubelet may try again.
        let pulled = wait::until(&self.site.observer, &what, STARTED, |view| {
            let now: Vec<_> = pods(view, namespace, name).collect();
            match now[..] {
                [(name, PodSeen::Ran { .. })] if !before.contains(name) => Progress::Done(name.clone()),
                _ => Progress::NotYet(format!("{now:?}")),
            }
        });
        let pod = match pulled.await {
            Ok(pod) => pod,
            Err(WaitError::TimedOut { last, .. }) if last.contains("Pull") => return Ok(Err(last.into())),
            Err(error) => return Err(error.into()),
        };
        self.browser()?.wait_until_ready(READY).await?;
        Ok(Ok(pod))
    }

    async fn publish_backstage(&self, backstage: &BackstageService, owner: &Owner) -> Result<(), BackstageLoginError> {
        let files = backstage.installation.image_files().await?;
        let (authority, directory) = (self.authority.certificate(), self.directory.clone());
        let pack = move || {
            let copied = files.iter().map(|file| LayerEntry::copy(&file.path, file.mode, &file.source));
            let entries: Vec<LayerEntry> =
                copied.chain([LayerEntry::file(&AUTHORITY[1..], 0o644, authority)]).collect();
            Layer::pack(&entries, &directory)
        };
        // Nothing aborts it, so an error is a panic, which goes on here.
        let packed = tokio::task::spawn_blocking(pack).await;
        let layer: Arc<Layer> = packed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let settings = Settings {
            entrypoint: backstage::COMMAND.map(str::to_owned).to_vec(),
            environment: backstage::ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            working_directory: Some(backstage::WORKING_DIRECTORY.to_owned()),
            user: Some(65534),
        };
        let image = Image::new(&[layer], &settings, "backstage");
        self.pusher.push(&image, &format!("{}/{PORTAL_IMAGE}", owner.path), TAG).await?;
        Ok(())
    }

    /// Removes the Deployment and waits until its pod is gone.
    ///
    /// # Errors
    /// When the API server refuses, or the pod stays.
    pub async fn stop_backstage(
        &self,
        client: &Client,
        manager: &str,
        namespace: &str,
        name: &str,
    ) -> Result<(), BackstageLoginError> {
        let scaled = deployment::scale_down(client, manager, namespace, name).await;
        let what = format!("pod of Deployment {namespace}/{name} gone");
        let gone = wait::until(&self.site.observer, &what, GONE, |view| match pods(view, namespace, name).next() {
            None => Progress::Done(()),
            seen => Progress::NotYet(format!("{seen:?}")),
        });
        let gone = gone.await;
        deployment::delete(client, namespace, name).await?;
        *self.backstage()?.deployed.lock().await = None;
        scaled?;
        Ok(gone?)
    }

    /// Fails unless the first container of `pod` still runs: its kubelet starts another one when it ends, and the
    /// Deployment another pod, with what the Secrets hold by then.
    ///
    /// # Errors
    /// When the pod is gone, or its container has ended.
    pub fn check_backstage_is_the_same(&self, namespace: &str, pod: &str) -> Result<(), BackstageLoginError> {
        self.site.observer.look(|view| match view.pod(namespace, pod) {
            Some(PodSeen::Ran { restarts: 0, ended: false }) => Ok(()),
            seen => Err(BackstageLoginError::Ended(format!("{seen:?}"))),
        })
    }

    /// Signs a person in to the running Backstage, by way of the forge.
    ///
    /// # Errors
    /// When Backstage does not answer as it should, which says nothing of the credential.
    pub async fn sign_in_to_backstage(&self) -> Result<LoginAnswer, BackstageLoginError> {
        let grant = |link: credence_core::credential::Credential| async move {
            let link = link.expose_str().unwrap_or_default().to_owned();
            let _browser = self.person.browser.lock().await;
            let authorised = self.forge.authorize(&self.person.name, &self.person.password, &link).await;
            authorised.map(|authorisation| authorisation.redirect)
        };
        match self.browser()?.sign_in(grant).await {
            Ok(_) => Ok(LoginAnswer::Admitted),
            Err(ClientError::Refused { auth_error, .. }) => Ok(LoginAnswer::Refused(auth_error.to_string())),
            Err(ClientError::Grant(error)) => match error.downcast_ref() {
                // A client that the forge does not know gets no code from it.
                Some(ForgeError::Answer { .. }) => Ok(LoginAnswer::Refused(NOT_AUTHORISED.to_owned())),
                Some(ForgeError::Refused { status, .. }) if status.is_client_error() => {
                    Ok(LoginAnswer::Refused(NOT_AUTHORISED.to_owned()))
                }
                _ => Err(ClientError::Grant(error).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Has the running Backstage read a private catalog file of the forge.
    ///
    /// # Errors
    /// When Backstage does not answer as it should, which says nothing of the credential.
    pub async fn read_with_backstage(
        &self,
        owner: &Owner,
        repository: &str,
    ) -> Result<LoginAnswer, BackstageLoginError> {
        let (forge, account) = (self.forge.url(), owner.account_of_repositories());
        let target = format!("{forge}/{account}/{repository}/blob/main/catalog-info.yaml");
        let target = Url::parse(&target).map_err(|_| BackstageLoginError::Url(target.clone()))?;
        match self.browser()?.read_catalog_file(&target).await {
            Ok(entities) if entities.iter().any(|name| name == repository) => Ok(LoginAnswer::Admitted),
            Ok(_) => Ok(LoginAnswer::Refused("the file read is another one".to_owned())),
            Err(ClientError::Refused { auth_error, .. }) => Ok(LoginAnswer::Refused(auth_error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    fn browser(&self) -> Result<Browser, BackstageLoginError> {
        Ok(Browser::new(self.backstage()?.served.base_url.clone(), self.backstage()?.host)?)
    }
}

/// The catalog file of a repository, with one entity of its name.
pub fn catalog_file(name: &str) -> String {
    format!(
        "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\nspec:\n  type: service\n  \
         lifecycle: production\n  owner: platform\n"
    )
}
