//! The configuration of a session: read, checked and understood before anything is obtained or started.

use std::borrow::Cow;
use std::path::Path;

use credence_cluster::cluster::ControlPlaneFiles;
use credence_core::adjustments::{LeftOut, OverlayField};
use credence_core::endpoints::Endpoints;
use credence_core::manifest::Manifest;
use credence_model::applied;
use credence_model::config::{Config, Schema};
use credence_model::model::Intended;
use credence_model::overlay;
use credence_programs::external_secrets;

use super::inputs::{control_plane, digest, endpoints, notes_of};
use super::needs;
use super::vault::VaultStores;
use crate::error::RunError;
use crate::events::Events;
use crate::load;
use crate::options::Options;
use crate::supplies::Need;

/// A configuration that can be deployed.
pub(super) struct Configuration {
    pub(super) path: String,
    pub(super) digest: String,
    /// The objects that are applied.
    pub(super) manifests: Vec<Manifest>,
    /// Objects that are not applied, each with the reason.
    pub(super) left_out: Vec<LeftOut>,
    pub(super) schema: Cow<'static, Schema>,
    /// The intent of its team.
    pub(super) intended: Intended,
    pub(super) endpoints: Endpoints,
    /// Audit policy and encryption, if it says anything of them.
    pub(super) control_plane: Option<ControlPlaneFiles>,
    pub(super) vault: VaultStores,
    /// Fields that were changed before any cluster was there.
    pub(super) overlay: Vec<OverlayField>,
}

impl Configuration {
    /// Reads it, with what the user gave beside it. `directory` takes what is unpacked.
    pub(super) async fn read(options: &Options, directory: &Path, events: &dyn Events) -> Result<Self, RunError> {
        let (path, mut manifests) =
            load::load(options.config.as_deref(), &options.parameters, directory, &options.components, events).await?;
        // Faults of the configuration and of the intent are told before anything is obtained or started.
        let intent = load::intent(options.config.as_deref(), options.intent.as_deref()).await?;
        let given = external_secrets::given(&options.components, events).await?;
        given.iter().flat_map(notes_of).for_each(|note| events.note(&note));
        let schema = load::schema(&options.components, events).await?;
        let written = load::understand(&Config::checked(manifests.clone(), &schema)?, intent.as_ref())?;
        let digest = digest(&manifests);
        let endpoints = endpoints(options, directory).await?.intending(&written.endpoints);
        if let Some(given) = options.components.kargo.as_ref().filter(|_| needs(options, Need::Consumers)) {
            events.note(&format!(
                "Kargo {} is given: {}",
                credence_consumers::kargo::version_of(given).await?,
                given.program.display()
            ));
        }
        let control_plane = control_plane(options)?;
        let overlay = overlay::apply_generators(&mut manifests);
        let (manifests, left_out) = applied::select(manifests, &options.also_apply);
        for LeftOut { object, place, reason } in &left_out {
            events.note(&format!("not applied: {object} at {place}: {reason}"));
        }
        let (intended, vault) = (written.intended.clone(), VaultStores::of(written));
        Ok(Self { path, digest, manifests, left_out, schema, intended, endpoints, control_plane, vault, overlay })
    }
}
