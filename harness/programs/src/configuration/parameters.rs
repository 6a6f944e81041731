//! Parameters that a user gives beside the directory of a configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use credence_core::manifest::substitution::is_name;

use super::error::ConfigurationError;

/// Parameters of a configuration's rendering.
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
    /// Parameters from `KEY=VALUE` for a chart, and `NAME=VALUE` for variables.
    ///
    /// # Errors
    /// The first that is no such pair.
    pub fn of_pairs(set: Vec<String>, substitute: &[String]) -> Result<Self, ConfigurationError> {
        let is_pair = |text: &String| text.split_once('=').is_some_and(|(key, _)| !key.is_empty());
        if let Some(index) = set.iter().position(|text| !is_pair(text)) {
            return Err(ConfigurationError::Set { number: index + 1 });
        }
        let variable = |(index, text): (usize, &String)| match text.split_once('=') {
            Some((name, value)) if is_name(name) => Ok((name.to_owned(), value.to_owned())),
            _ => Err(ConfigurationError::Substitute { number: index + 1 }),
        };
        let substitute = substitute.iter().enumerate().map(variable).collect::<Result<_, _>>()?;
        Ok(Self { set, substitute, ..Self::default() })
    }

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
