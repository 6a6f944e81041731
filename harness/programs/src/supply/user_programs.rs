//! The user's own programs, each asked of itself once in a run however often it is obtained: an answer takes the start of a process,
//! and an image the request for its manifest.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::programs::Program;
use super::{ComponentError, Part};

/// The user's own programs that have been asked. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct UserPrograms(Arc<Mutex<BTreeMap<(Part, OsString), Program>>>);

impl UserPrograms {
    /// The program that `part` is by a path or the name of an image: as it answered before, else as `ask` answers now.
    ///
    /// # Errors
    /// Those of `ask`, which is called again the next time.
    pub(super) async fn once(
        &self,
        part: Part,
        given: impl Into<OsString>,
        ask: impl Future<Output = Result<Program, ComponentError>>,
    ) -> Result<Program, ComponentError> {
        let given = (part, given.into());
        // Held while the program answers, so that a second one who wants it waits and does not ask as well.
        let mut asked = self.0.lock().await;
        if let Some(program) = asked.get(&given) {
            return Ok(program.clone());
        }
        let program = ask.await?;
        asked.insert(given, program.clone());
        Ok(program)
    }
}
