//! The programs that render configurations, obtained when something is to be rendered, and a cache of what they rendered.

use std::path::PathBuf;

use crate::supply::{self, ComponentError, Options, Part, Progress};

use super::cache::RenderCache;

/// Options for obtaining programs, and who is told.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// Options for obtaining programs; what was rendered is kept in the same cache.
    pub components: &'a Options,
    /// Told of what is obtained.
    pub progress: &'a dyn Progress,
}

impl Tools<'_> {
    /// The path of a program, which is obtained if it is not there.
    pub(super) async fn program(&self, part: Part) -> Result<PathBuf, ComponentError> {
        Ok(supply::obtain(self.components, &[part], self.progress).await?.path(part).to_owned())
    }

    /// Inputs from which a program's output follows, beside its input.
    pub(super) fn identity(&self, part: Part) -> Result<String, ComponentError> {
        supply::identity(self.components, part)
    }

    pub(super) fn cache(&self) -> RenderCache {
        RenderCache::new(self.components.cache.join("rendered"))
    }
}
