//! Options of a run.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use credence_cluster::providers::{self, Provider};
use credence_core::id::PropertyId;
use credence_model::overlay::Time;
use credence_programs::configuration::Parameters;
use credence_programs::pod_image::UserImage;
use credence_programs::supply;

use crate::registry::PROPERTIES;
use crate::trail::Trail;

/// Name of the run directory of the cluster that `credence up` keeps.
pub const UP: &str = "up";

/// Cases of each property unless another number is asked for: enough to reach every copy. Fewer need not.
pub const CASES: u32 = 100;

/// Lanes for a machine with two processors: cases mostly wait for the operator, which has a pace of its own.
pub const LANES: NonZero<usize> = NonZero::new(48).expect("a constant above zero");

/// Properties to run, and the cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration directory; the reference configuration if none.
    pub config: Option<PathBuf>,
    /// Parameters of the configuration's rendering.
    pub parameters: Parameters,
    /// Manifests of what uses the credentials; those of the reference configuration if neither they nor a configuration
    /// are given.
    pub consumers: Option<PathBuf>,
    /// The file with the team's intent; `credence.yaml` in the configuration if not given, and none if that is not there.
    pub intent: Option<PathBuf>,
    /// Directory of the audit policy and the encryption configuration; `control-plane` in the configuration if not given.
    pub control_plane: Option<PathBuf>,
    /// Kinds that are applied although it is not known what comes of their objects, such as `Deployment`.
    pub also_apply: BTreeSet<String>,
    /// The kind of cluster to start; the default, saying what others would add, if none.
    pub cluster: Option<&'static dyn Provider>,
    /// The command of the container engine for a cluster in containers; docker or podman from the `PATH` if not given.
    pub engine: Option<PathBuf>,
    /// Properties to run; all if empty.
    pub properties: Vec<PropertyId>,
    /// Cases of each property, numbered from 0.
    pub cases: u32,
    /// Slots of cases that run at the same time, of all properties together; one runs everything one after the other.
    pub lanes: NonZero<usize>,
    /// This case alone, if given.
    pub only: Option<u32>,
    /// Inputs from which all cases follow.
    pub seed: u64,
    /// Directory that the reports are written to, and their evidence. Made if it is not there.
    pub out: PathBuf,
    /// Treatment of time in the configuration.
    pub time: Time,
    /// Condition on which the run directory, with the logs of all programs, is left in place.
    pub keep: Keep,
    /// True if documented upstream bugs count as failures.
    pub strict: bool,
    /// Time that a failing case may be made smaller.
    pub shrink: Duration,
    /// Images for pods, where programs run in pods, instead of those that are made.
    pub images: Vec<UserImage>,
    /// Writes what happened to each case beside the reports, if it is a part of the subscriber of `tracing`.
    pub trail: Option<Trail>,
    /// Cache of programs, those of the user's own, and sources of what is missing.
    pub components: supply::Options,
}

impl Options {
    /// The kind of clusters that the run is on.
    pub fn provider(&self) -> &'static dyn Provider {
        self.cluster.unwrap_or(providers::DEFAULT)
    }

    /// True if a property is to run.
    pub fn wants(&self, property: PropertyId) -> bool {
        self.properties.is_empty() || self.properties.contains(&property)
    }

    /// True if properties or cases are left out on request: fewer than [`CASES`] need not reach every copy.
    pub fn is_partial(&self) -> bool {
        self.only.is_some() || self.cases < CASES || !PROPERTIES.iter().all(|property| self.wants(property.meta().id))
    }
}

/// Conditions on which the run directory is left in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Keep {
    /// Never keep it.
    Never,
    /// Keep it if a claim was violated or unknown.
    OnFailure,
    /// Always keep it.
    Always,
}

#[cfg(test)]
pub(crate) mod testing {
    use credence_cluster::embedded::Embedded;

    use super::*;

    /// One case of each property on the reference configuration.
    pub(crate) fn options(out: PathBuf) -> Options {
        Options {
            config: None,
            parameters: Parameters::default(),
            consumers: None,
            intent: None,
            control_plane: None,
            also_apply: BTreeSet::new(),
            cluster: Some(&Embedded),
            engine: None,
            properties: Vec::new(),
            cases: 1,
            lanes: LANES,
            only: None,
            seed: 7,
            time: Time::Compressed,
            keep: Keep::Never,
            strict: false,
            shrink: Duration::ZERO,
            images: Vec::new(),
            trail: None,
            components: supply::Options::new(out.join("cache")),
            out,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::whole(CASES, None, &[], false)]
    #[case::few_cases(CASES - 1, None, &[], true)]
    #[case::one_case(CASES, Some(3), &[], true)]
    #[case::one_property(CASES, None, &[0], true)]
    fn only_a_run_of_all_properties_with_enough_cases_is_whole(
        #[case] cases: u32,
        #[case] only: Option<u32>,
        #[case] wanted: &[usize],
        #[case] expected: bool,
    ) {
        let properties = wanted.iter().map(|place| PROPERTIES[*place].meta().id).collect();
        let options = Options { cases, only, properties, ..testing::options(PathBuf::new()) };
        assert_eq!(options.is_partial(), expected);
    }
}
