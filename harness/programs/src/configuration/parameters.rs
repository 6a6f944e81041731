//! What a user gives beside the directory of a configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// What a configuration is rendered with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Files of values for a chart of Helm, of which later ones win.
    pub values: Vec<PathBuf>,
    /// Values for a chart, as `helm --set` takes them; these win over files.
    pub set: Vec<String>,
    /// Values for variables of Flux, by name.
    pub substitute: BTreeMap<String, String>,
    /// Files with values for variables of Flux, of which later ones win, and `substitute` over all.
    pub substitute_from: Vec<PathBuf>,
}

impl Parameters {
    /// True if there is anything for a chart.
    pub(super) fn has_values(&self) -> bool {
        !self.values.is_empty() || !self.set.is_empty()
    }
}

impl fmt::Debug for Parameters {
    // A value may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |set: &String| set.split('=').next().unwrap_or_default().to_owned();
        f.debug_struct("Parameters")
            .field("values", &self.values)
            .field("set", &self.set.iter().map(names).collect::<Vec<_>>())
            .field("substitute", &self.substitute.keys())
            .field("substitute_from", &self.substitute_from)
            .finish()
    }
}
