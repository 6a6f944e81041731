//! Demand of the properties of a run for what is obtained while others run already.

use std::path::PathBuf;
use std::sync::Arc;

use credence_consumers::running::Preparation;
use credence_core::endpoints::Endpoints;
use credence_model::model::{Distribution, Model};
use credence_programs::run_dir::RunDir;

use super::needs;
use crate::events::Events;
use crate::options::Options;
use crate::p07_credential_types::labels_of_argo_cd;
use crate::supplies::{ConsumerSupply, Need, TemplateSupply};

/// Facts of a session from which its supplies follow. Nothing is obtained yet.
pub(super) struct Demand<'a> {
    pub(super) options: &'a Options,
    pub(super) model: &'a Model,
    pub(super) endpoints: &'a Endpoints,
    /// The run's own directory where the cluster's belongs to another process.
    pub(super) own_directory: Option<&'a Arc<RunDir>>,
    pub(super) events: &'a Arc<dyn Events>,
}

impl Demand<'_> {
    /// The consumers, if a property wants them.
    pub(super) fn consumers(&self) -> Option<ConsumerSupply> {
        needs(self.options, Need::Consumers).then(|| {
            let labels = labels_of_argo_cd(self.model, self.endpoints);
            ConsumerSupply::new(self.preparation().with_argo_cd_labels(labels), self.own_directory.cloned())
        })
    }

    /// The forge alone, if a property wants it.
    pub(super) fn forge(&self) -> Option<ConsumerSupply> {
        needs(self.options, Need::Forge)
            .then(|| ConsumerSupply::new(self.preparation().of_the_forge_alone(), self.own_directory.cloned()))
    }

    /// The template engine, if a property wants it and a template composes anything; and the same, if a property wants it and it
    /// alone can tell what some key of a copy must hold. It works in `scratch`.
    pub(super) fn templates(&self, scratch: PathBuf) -> [Option<Arc<TemplateSupply>>; 2] {
        let all = &self.model.distributions;
        let composes = all.iter().any(|distribution| !distribution.composed.is_empty());
        let tells_alone = all.iter().any(Distribution::needs_rendering);
        let engine = Arc::new(TemplateSupply::new(&self.options.components, scratch, Arc::clone(self.events) as _));
        [(composes, Need::TemplateEngine), (tells_alone, Need::Renderings)]
            .map(|(is_of_use, need)| (is_of_use && needs(self.options, need)).then(|| Arc::clone(&engine)))
    }

    fn preparation(&self) -> Preparation {
        Preparation::new(&self.options.components, self.endpoints.clone(), Arc::clone(self.events) as _)
    }
}
