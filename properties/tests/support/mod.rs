//! Helpers of the tests that need a cluster.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use credence_cluster::embedded::Embedded;
use credence_model::overlay::Time;
use credence_programs::configuration::Parameters;
use credence_programs::dirs;
use credence_programs::supply::{self, UserKargo};
use credence_suite::options::{CASES, Keep, LANES, Options};

/// Options of a run of all properties on the reference configuration, with reports in `out`.
pub(crate) fn options(out: &Path) -> Options {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
    };
    Options {
        config: None,
        parameters: Parameters::default(),
        control_plane: None,
        consumers: None,
        intent: None,
        also_apply: BTreeSet::new(),
        cluster: Some(&Embedded),
        engine: None,
        properties: Vec::new(),
        cases: number("CREDENCE_CASES")
            .map_or(CASES, |cases: u64| u32::try_from(cases).expect("fewer than 2^32 cases")),
        lanes: LANES,
        only: None,
        seed: number("CREDENCE_SEED").unwrap_or_else(|| jiff::Timestamp::now().as_second().unsigned_abs()),
        out: out.to_owned(),
        time: Time::Compressed,
        keep: Keep::Never,
        strict: false,
        shrink: Duration::from_secs(45),
        images: Vec::new(),
        trail: None,
        components: components(),
    }
}

/// Options for obtaining programs, with those of the user's own that the same variables name to the command.
pub(crate) fn components() -> supply::Options {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let options = supply::Options {
        kargo: given_kargo(),
        operator_image: std::env::var("CREDENCE_EXTERNAL_SECRETS_IMAGE").ok(),
        operator_chart: path("CREDENCE_EXTERNAL_SECRETS_CHART"),
        ..supply::Options::new(dirs::cache().expect("a cache directory"))
    };
    match path("CREDENCE_EXTERNAL_SECRETS") {
        Some(program) => options.with_operator(&program),
        None => options,
    }
}

/// Kargo, if the same variables name it that name it to the command.
fn given_kargo() -> Option<UserKargo> {
    let path = |name: &str| std::env::var_os(name).map(Into::into);
    Some(UserKargo { program: path("CREDENCE_KARGO")?, chart: path("CREDENCE_KARGO_CHART")? })
}
