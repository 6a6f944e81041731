//! Programs of an owned cluster that stand still, go away and come back.

use std::fs;

use credence_core::file_error::FileError;
use credence_core::text::Reason;
use credence_programs::certificates::write_private;
use credence_programs::process::Paused;
use serde_yaml::Value;

use super::control_plane_files::{ControlPlaneFiles, random_key};
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::evidence::etcd::Etcd;
use crate::provisioned::{Component, Provisioned, Replacement};

impl Cluster {
    /// Stops a component where it is (SIGSTOP) until the guard is dropped. None while the component is
    /// [stopped](Self::stop).
    ///
    /// # Errors
    /// When another process owns the cluster, or the component cannot be reached.
    pub async fn pause(&self, component: Component) -> Result<Option<Paused>, ClusterError> {
        self.provider("pause a component")?.pause(component).await
    }

    /// Kills a component and waits until it is gone. It stays away until [`start_again`](Self::start_again).
    ///
    /// # Errors
    /// When another process owns the cluster, or the component cannot be reached.
    pub async fn stop(&self, component: Component) -> Result<(), ClusterError> {
        self.provider("stop a component")?.stop(component).await
    }

    /// Starts a component that was stopped, and waits until it is ready.
    ///
    /// # Errors
    /// When another process owns the cluster, or the component cannot be started or does not become ready.
    pub async fn start_again(&self, component: Component) -> Result<(), ClusterError> {
        self.provider("start a component again")?.start_again(component).await
    }

    /// Puts a new key named `name` before those that the encryption configuration has, and restarts the API server with it.
    /// What is written from then on is encrypted with the new key; what is there can still be read.
    ///
    /// # Errors
    /// When the cluster encrypts nothing with keys of its own, or the API server does not come back.
    pub async fn rotate_encryption_key(&self, name: &str) -> Result<(), ClusterError> {
        self.provider("rotate the encryption key")?;
        let path = self.directory().join(ControlPlaneFiles::ENCRYPTION);
        let rotate = || {
            let text = fs::read_to_string(&path)?;
            let rotated = with_first_key(&text, name, &random_key()?).map_err(std::io::Error::other)?;
            // Written over and not replaced: a container may have this very file mounted.
            write_private(&path, rotated.as_bytes()).map_err(std::io::Error::other)
        };
        rotate().map_err(FileError::of::<ClusterError>("put a new key into", &path))?;
        self.stop(Component::ApiServer).await?;
        self.start_again(Component::ApiServer).await
    }

    /// Begins to replace External Secrets Operator by another process of it: both run then, or the leader of both is dead.
    ///
    /// # Errors
    /// When another process owns the cluster, it cannot be done on clusters of its kind, or the other process does not start.
    pub async fn begin_replacement(&self, how: Replacement) -> Result<(), ClusterError> {
        self.provider("replace the operator")?.begin_replacement(how).await
    }

    /// Waits until the other process has taken over; what was begun is over then.
    ///
    /// # Errors
    /// When nothing was begun, or it does not take over.
    pub async fn end_replacement(&self) -> Result<(), ClusterError> {
        self.provider("replace the operator")?.end_replacement().await
    }

    /// Kills kube-apiserver, kube-controller-manager and External Secrets Operator at once, and ends etcd, as the loss of their
    /// machine would. They stay away until they are [brought back](Self::bring_control_plane_back).
    ///
    /// # Errors
    /// When another process owns the cluster, or it cannot be done on clusters of its kind.
    pub async fn lose_control_plane(&self) -> Result<(), ClusterError> {
        self.provider("lose the control plane")?.lose_control_plane().await
    }

    /// Starts all of them again on what their disk holds, and waits until they are ready.
    ///
    /// # Errors
    /// When another process owns the cluster, or one of them does not become ready.
    pub async fn bring_control_plane_back(&self) -> Result<(), ClusterError> {
        self.provider("bring the control plane back")?.bring_control_plane_back().await
    }

    /// Has etcd refuse writes, as if its quota were used up (etcd documentation, "Space quota").
    ///
    /// # Errors
    /// When another process owns the cluster, or etcd does not answer.
    pub async fn fill_etcd(&self) -> Result<(), ClusterError> {
        Ok(self.etcd("fill etcd")?.raise_space_alarm().await?)
    }

    /// Has etcd take writes again after [`fill_etcd`](Self::fill_etcd).
    ///
    /// # Errors
    /// When another process owns the cluster, or etcd does not answer.
    pub async fn free_etcd(&self) -> Result<(), ClusterError> {
        Ok(self.etcd("free etcd")?.clear_space_alarm().await?)
    }

    fn etcd(&self, act: &'static str) -> Result<Etcd, ClusterError> {
        self.provider(act)?;
        Ok(Etcd::connect(&self.description.etcd, self.directory())?)
    }

    fn provider(&self, act: &'static str) -> Result<&dyn Provisioned, ClusterError> {
        self.provider.as_deref().ok_or(ClusterError::NotOwned { act })
    }
}

/// An encryption configuration whose providers with keys of their own begin with another key.
fn with_first_key(text: &str, name: &str, key: &str) -> Result<String, Reason> {
    let mut configuration: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let resources = configuration.get_mut("resources").and_then(Value::as_sequence_mut);
    let providers = resources
        .into_iter()
        .flatten()
        .filter_map(|resource| resource.get_mut("providers")?.as_sequence_mut())
        .flatten();
    let mut rotated = false;
    for provider in providers {
        for kind in ["secretbox", "aesgcm", "aescbc"] {
            let keys = provider.get_mut(kind).and_then(|kind| kind.get_mut("keys")).and_then(Value::as_sequence_mut);
            if let Some(keys) = keys {
                let mut new = serde_yaml::Mapping::new();
                new.insert("name".into(), name.into());
                new.insert("secret".into(), key.into());
                keys.insert(0, Value::Mapping(new));
                rotated = true;
            }
        }
    }
    if !rotated {
        return Err("it has no provider with keys of its own".into());
    }
    serde_yaml::to_string(&configuration).map_err(Reason::of)
}

#[cfg(test)]
mod tests {
    use super::with_first_key;

    #[test]
    fn a_new_key_comes_before_the_old_ones() {
        let text = "resources:\n- resources: [secrets]\n  providers:\n  - secretbox:\n      keys:\n      - {name: a, secret: x}\n  - identity: {}\n";
        let rotated = with_first_key(text, "b", "y").unwrap();
        assert!(rotated.find("name: b").unwrap() < rotated.find("name: a").unwrap(), "{rotated}");
        assert!(rotated.contains("identity"));
    }

    #[test]
    fn a_configuration_without_keys_cannot_be_rotated() {
        assert!(with_first_key("resources:\n- providers:\n  - identity: {}\n", "b", "y").is_err());
    }
}
