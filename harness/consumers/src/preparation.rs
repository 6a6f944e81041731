//! Obtaining what consumers are started from, beside the properties that need none.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use credence_cluster::cluster::Cluster;
use credence_core::consumer::Consumer;
use credence_core::endpoints::Endpoints;
use credence_core::formats::{
    ARGO_CD, ARGO_CD_SSH_RULES, BACKSTAGE, FLUX_GIT, FLUX_OCI, KARGO_GIT, KARGO_IMAGE, KUBELET,
};
use credence_core::labels::Labels;
use credence_core::text::chain;
use credence_programs::process::priority::Priority;
use credence_programs::supply::{self, ComponentError, Part, Programs, Progress};

use crate::argo_cd::Images;
use crate::backstage::{self, Commands};
use crate::login;
use crate::obtain::{self, NODE, Nodes, Setup};

/// Inputs from which consumers are obtained. Cheap: nothing is obtained yet.
pub struct Preparation {
    options: supply::Options,
    endpoints: Endpoints,
    argo_cd_labels: Labels,
    is_for_the_forge_alone: bool,
    progress: Arc<dyn Progress>,
}

/// Why consumers are absent that are programs of their own.
const FORGE_ALONE: &str = "only those are asked for that need nothing but a copy and the forge";

/// Consumers that cannot run here, with the reason.
type Absent = BTreeMap<Consumer, String>;

impl Preparation {
    /// Consumers that use credentials at `endpoints`, built with the processor time that others leave.
    pub fn new(options: &supply::Options, endpoints: Endpoints, progress: Arc<dyn Progress>) -> Self {
        let options = supply::Options { priority: Priority::Low, ..options.clone() };
        Self { options, endpoints, argo_cd_labels: Labels::new(), is_for_the_forge_alone: false, progress }
    }

    /// Has Argo CD's namespace ask for copies by these labels, as that of a platform does.
    #[must_use]
    pub fn with_argo_cd_labels(self, labels: Labels) -> Self {
        Self { argo_cd_labels: labels, ..self }
    }

    /// Has nothing started but the forge: consumers that are programs of their own are absent.
    #[must_use]
    pub fn of_the_forge_alone(self) -> Self {
        Self { is_for_the_forge_alone: true, ..self }
    }

    /// Places where credentials are used.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Finds out which consumers of `cluster` can run here and obtains their programs, without starting anything. One whose
    /// part cannot be had is absent, with the reason; there is no set-up if that is so for the forge.
    pub async fn obtain(&self, cluster: &Cluster) -> (Absent, Option<Setup>) {
        let nodes = Nodes::of(cluster);
        let mut absent = obtain::absent(&self.options, &self.endpoints, nodes).await;
        if self.is_for_the_forge_alone {
            for consumer in login::programs() {
                absent.entry(consumer).or_insert_with(|| FORGE_ALONE.to_owned());
            }
        }
        let setup = if Consumer::ALL.iter().all(|consumer| absent.contains_key(consumer)) {
            None
        } else {
            self.set_up(cluster, nodes, &mut absent).await
        };
        (absent, setup)
    }

    async fn set_up(&self, cluster: &Cluster, nodes: Nodes, absent: &mut Absent) -> Option<Setup> {
        let forge = async {
            let programs = self.programs(&[Part::Etcd, Part::Gitea]).await?;
            Ok::<_, ComponentError>((programs, supply::gitea_assets(&self.options).await?))
        };
        let (mut programs, gitea) = self.unless_absent(Consumer::ALL, "the forge", absent, forge).await?;
        // The smaller ones first, so that little is left to wait for when the properties before are done.
        let has_node = nodes == Nodes::Started && !absent.contains_key(&KUBELET);
        let parts = if has_node { &NODE[..] } else { &[] };
        let node = self.programs(parts);
        let pulling = [KUBELET, BACKSTAGE];
        programs.extend(self.unless_absent(&pulling, "a node", absent, node).await);
        let commands = Commands { priority: self.options.priority, ..Commands::default() };
        let report = |step: &str| self.progress.note(step);
        let backstage = backstage::obtain(&self.options.cache, &commands, &report);
        let backstage = self.unless_absent(&[BACKSTAGE], "Backstage", absent, backstage).await;
        let kargo = self
            .options
            .kargo
            .clone()
            .filter(|_| [KARGO_GIT, KARGO_IMAGE].iter().any(|consumer| !absent.contains_key(consumer)));
        if kargo.is_some() {
            let helm = self.programs(&[Part::Helm]);
            let controllers = [KARGO_GIT, KARGO_IMAGE];
            programs.extend(self.unless_absent(&controllers, "Kargo's controller", absent, helm).await);
        }
        let gitea_image =
            obtain::gitea_image(&self.options, cluster.containers(), &programs, &gitea, self.progress.as_ref()).await;
        let argo_cd = async {
            let programs = self.programs(&[Part::ArgoCd, Part::Kustomize]).await?;
            Ok::<_, ComponentError>((programs, supply::argo_cd_assets(&self.options).await?))
        };
        // Its namespace asks for the copies that are tried over SSH.
        let syncing = [ARGO_CD, ARGO_CD_SSH_RULES];
        let (argo_cd, assets) = self.unless_absent(&syncing, "Argo CD", absent, argo_cd).await.unzip();
        programs.extend(argo_cd);
        let (flux, flux_assets) = self.flux(absent).await.unzip();
        programs.extend(flux);
        // Why there are none on a cluster of kind has been said when the tools were looked for.
        let argo_cd_images = match (&assets, cluster.containers()) {
            (Some(assets), Some(network)) => {
                let images = Images::obtain(network, &self.options, &programs, assets, &report);
                self.unless_absent(&syncing, "the images of Argo CD's pods", absent, images).await.flatten()
            }
            _ => None,
        };
        Some(Setup {
            directory: if self.is_for_the_forge_alone { "forge-alone" } else { "consumers" },
            programs,
            gitea,
            gitea_image,
            argo_cd: assets.filter(|_| syncing.iter().any(|consumer| !absent.contains_key(consumer))),
            argo_cd_labels: self.argo_cd_labels.clone(),
            argo_cd_images,
            kargo: kargo.filter(|_| !absent.contains_key(&KARGO_GIT)),
            flux: flux_assets,
            backstage,
            has_no_node: absent.contains_key(&KUBELET),
            endpoints: self.endpoints.clone(),
        })
    }

    /// Flux's source-controller, and a directory with its definitions.
    async fn flux(&self, absent: &mut Absent) -> Option<(Programs, PathBuf)> {
        let obtain = async {
            let programs = self.programs(&[Part::SourceController]).await?;
            Ok::<_, ComponentError>((programs, supply::flux_assets(&self.options).await?))
        };
        self.unless_absent(&[FLUX_GIT, FLUX_OCI], "Flux's source-controller", absent, obtain).await
    }

    async fn programs(&self, parts: &[Part]) -> Result<Programs, ComponentError> {
        supply::obtain(&self.options, parts, self.progress.as_ref()).await
    }

    /// Outcome of `obtain`, unless none of the `consumers` is wanted. If it cannot be had, they are absent from then on.
    async fn unless_absent<T, E: Error>(
        &self,
        consumers: &[Consumer],
        what: &str,
        absent: &mut Absent,
        obtain: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        if consumers.iter().all(|consumer| absent.contains_key(consumer)) {
            return None;
        }
        match obtain.await {
            Ok(obtained) => Some(obtained),
            Err(error) => {
                let reason = format!("{what} could not be obtained: {}", chain(&error));
                self.progress.note(&reason);
                for consumer in consumers {
                    absent.entry(*consumer).or_insert_with(|| reason.clone());
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn preparation() -> Preparation {
        Preparation::new(
            &supply::Options::new("cache".into()),
            Endpoints::default(),
            Arc::new(supply::PlainProgress::new()),
        )
    }

    #[tokio::test]
    async fn what_cannot_be_had_makes_its_consumers_absent_and_keeps_earlier_reasons() {
        let mut absent = Absent::from([(BACKSTAGE, "no npm".to_owned())]);
        let failed = async { Err::<(), _>(io::Error::other("no room")) };
        let pulling = [KUBELET, BACKSTAGE];
        assert_eq!(preparation().unless_absent(&pulling, "a node", &mut absent, failed).await, None);
        assert_eq!(absent[&KUBELET], "a node could not be obtained: no room");
        assert_eq!(absent[&BACKSTAGE], "no npm");
    }

    #[tokio::test]
    async fn nothing_is_obtained_for_consumers_that_are_absent() {
        let mut absent = Absent::from([(ARGO_CD, "no redis".to_owned())]);
        let never = std::future::pending::<Result<(), io::Error>>();
        assert_eq!(preparation().unless_absent(&[ARGO_CD], "Argo CD", &mut absent, never).await, None);
    }
}
