//! Faults that lint alone finds: no cluster shows what nobody uses, and the values of a chart are those of what it renders to.

use std::path::Path;

use credence_model::config::Config;
use credence_model::lint::{self, Finding};
use credence_model::model::Model;
use credence_programs::configuration::Parameters;
use credence_programs::supply::PlainProgress;
use credence_suite::load;
use credence_suite::run::RunError;
use libtest_mimic::Failed;

use crate::support;
use crate::trial::broken;

/// Lint says so, and the model that p07 has no consumer for the copy.
pub(crate) fn is_read(fault: &str, copy: &str) -> Result<(), Failed> {
    let (model, found) = linted(fault)?;
    if !found.iter().any(|finding| finding.rule == fault) {
        return Err(Failed::from(format!("lint finds {found:?}")));
    }
    let distribution =
        model.distributions.iter().find(|distribution| distribution.name == copy).ok_or("there is no such copy")?;
    match distribution.uses(&model.endpoints)[..] {
        [] => Ok(()),
        ref uses => Err(Failed::from(format!("it is used: {uses:?}"))),
    }
}

/// Lint says so, and nothing else, of the configuration and the intent beside it.
pub(crate) fn is_told(fault: &str) -> Result<(), Failed> {
    match &linted(fault)?.1[..] {
        [one] if one.rule == fault => Ok(()),
        found => Err(Failed::from(format!("lint finds {found:?}"))),
    }
}

/// Lint says so of what the chart renders to, at the template.
pub(crate) fn is_rendered(fault: &str, rule: &str, template: &str) -> Result<(), Failed> {
    match &linted(fault)?.1[..] {
        [one] if one.rule == rule && one.file.ends_with(template) && one.line.is_some() => Ok(()),
        found => Err(Failed::from(format!("lint finds {found:?}"))),
    }
}

/// Model of a faulty configuration and the intent beside it, and what fails in it by lint.
fn linted(fault: &str) -> Result<(Model, Vec<Finding>), Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let options = support::options(scratch).components;
    let (config, parameters) = (broken().join(fault), Parameters::default());
    let (manifests, intent) = runtime.block_on(async {
        let (_, manifests) = load::load(Some(&config), &parameters, scratch, &options, &PlainProgress::new()).await?;
        Ok::<_, RunError>((manifests, load::intent(Some(&config), None).await?))
    })?;
    let config = Config::from_manifests(manifests)?;
    let model = load::understand(&config, intent.as_ref())?;
    let mut found = lint::check(&lint::Context { config: &config, model: &model, control_plane: &[] });
    // A note fails nothing: it says what follows from the fault.
    found.retain(Finding::fails);
    Ok((model, found))
}
