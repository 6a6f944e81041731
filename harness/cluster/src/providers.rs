//! The kinds of clusters.

use std::path::Path;

use credence_programs::run_dir::ClearError;

use crate::embedded::Embedded;
use crate::kind::Kind;

pub use crate::provider::{Found, Inputs, PreparationError, Provider, Startable, Wanted};

/// Every kind of clusters there is, by which `--cluster` has its values.
pub const PROVIDERS: &[&dyn Provider] = &[&Embedded, &Kind];

/// The kind where the user leaves the choice open.
pub const DEFAULT: &dyn Provider = &Embedded;

/// A line on the open choice, for a person who chooses.
pub const DEFAULT_HELP: &str = "The embedded cluster, and a note on what kind would add";

/// The choice that was made where it was left open, what it goes without, and why.
pub const DEFAULT_CHOSEN: &str = "cluster: embedded, which needs no container engine and starts in seconds; kind would add \
     the operator in pods with its webhook, and a node set up by kubeadm: --cluster kind";

/// Removes what a run may have made outside its directory: a node on the machine, containers of an engine.
///
/// # Errors
/// When something is left; it stays written down for the next time.
pub fn clear(run: &Path) -> Result<(), ClearError> {
    // All of them are tried: one must not keep the others from being cleared.
    let cleared: Vec<Result<(), ClearError>> = PROVIDERS.iter().map(|provider| provider.clear(run)).collect();
    cleared.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::capability::{Capability, supports};

    #[test]
    fn kinds_of_clusters_have_different_names_and_the_default_is_one_of_them() {
        let names: BTreeSet<&str> = PROVIDERS.iter().map(|provider| provider.id()).collect();
        assert_eq!(names.len(), PROVIDERS.len());
        assert!(names.contains(DEFAULT.id()));
    }

    #[test]
    fn every_capability_is_that_of_some_kind_of_clusters() {
        for capability in Capability::ALL {
            let somewhere = PROVIDERS.iter().any(|provider| supports(provider.lacks(), capability).is_ok());
            assert!(somewhere, "no kind of clusters has {}", capability.title());
        }
    }

    #[test]
    fn whatever_clusters_lack_has_a_reason_that_names_the_next_step() {
        let lacks = PROVIDERS.iter().flat_map(|provider| provider.lacks());
        for (capability, why) in lacks.chain(crate::cluster::OF_OTHERS) {
            assert!(why.contains("--cluster") || why.contains("credence "), "{}: {why}", capability.title());
        }
    }
}
