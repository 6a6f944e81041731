//! The kinds of clusters.

use std::path::Path;

use credence_programs::run_dir::Clear;

use crate::capability::Lacks;
use crate::{embedded, kind};

/// A kind of clusters.
pub struct ProviderMeta {
    /// Its name, as in `--cluster` and in reports.
    pub id: &'static str,
    /// Limits of its clusters.
    pub lacks: Lacks,
    /// Removes what a dead run may have made outside its directory.
    clear: fn(&Path) -> Result<(), String>,
}

/// All kinds of clusters.
pub const PROVIDERS: &[ProviderMeta] = &[
    ProviderMeta { id: embedded::ID, lacks: embedded::LACKS, clear: embedded::clear },
    ProviderMeta { id: kind::ID, lacks: kind::LACKS, clear: kind::clear },
];

/// Removes what a run may have made outside its directory: a node on the machine, containers of an engine.
pub const CLEAR: &[Clear] = &{
    let mut clear = [PROVIDERS[0].clear; PROVIDERS.len()];
    let mut row = 1;
    // A constant cannot be made by an iterator.
    while row < clear.len() {
        clear[row] = PROVIDERS[row].clear;
        row += 1;
    }
    clear
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::{Capability, supports};

    #[test]
    fn every_capability_is_that_of_some_kind_of_clusters() {
        for capability in Capability::ALL {
            let somewhere = PROVIDERS.iter().any(|provider| supports(provider.lacks, capability).is_ok());
            assert!(somewhere, "no kind of clusters has {}", capability.title());
        }
    }

    #[test]
    fn whatever_clusters_lack_has_a_reason_that_names_the_next_step() {
        let lacks = PROVIDERS.iter().flat_map(|provider| provider.lacks);
        for (capability, why) in lacks.chain(crate::cluster::OF_OTHERS) {
            assert!(why.contains("--cluster") || why.contains("credence "), "{}: {why}", capability.title());
        }
    }

    #[test]
    fn what_clusters_of_every_kind_leave_is_cleared() {
        let cleared: Vec<usize> = CLEAR.iter().map(|clear| *clear as usize).collect();
        let rows: Vec<usize> = PROVIDERS.iter().map(|provider| provider.clear as usize).collect();
        assert_eq!(cleared, rows);
    }
}
