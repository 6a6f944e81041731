//! Faults that lint alone finds: no cluster shows what nobody uses, and the values of a chart are those of what it renders to.

use std::path::Path;

use credence_model::config::Config;
use credence_model::lint;
use credence_model::model::Model;
use credence_programs::configuration::Parameters;
use credence_programs::supply::Part;
use credence_suite::error::RunError;
use credence_suite::load;
use libtest_mimic::Failed;

use crate::support;
use crate::trial::broken;

/// Lint says so, and the model that p07 has no consumer for the copy.
pub(crate) fn is_read(fault: &str, copy: &str) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    let options = support::options(Path::new(env!("CARGO_TARGET_TMPDIR"))).components;
    let manifests = runtime.block_on(async {
        let progress = credence_programs::supply::PlainProgress::new();
        let programs = credence_programs::supply::obtain(&options, &[Part::Kustomize], &progress).await?;
        let kustomize = programs.path(Part::Kustomize);
        let read = credence_programs::kustomize::load_directory(&broken().join(fault), Some(kustomize)).await?;
        Ok::<_, Box<dyn std::error::Error>>(read)
    })?;
    let config = Config::from_manifests(manifests)?;
    let model = Model::derive(&config);
    let found = lint::check(&lint::Context { config: &config, model: &model, control_plane: &[] });
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
    let runtime = tokio::runtime::Runtime::new()?;
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let options = support::options(scratch).components;
    let progress = credence_programs::supply::PlainProgress::new();
    let (config, parameters) = (broken().join(fault), Parameters::default());
    let (manifests, intent) = runtime.block_on(async {
        let (_, manifests) = load::load(Some(&config), &parameters, scratch, &options, &progress).await?;
        Ok::<_, RunError>((manifests, load::intent(Some(&config), None).await?))
    })?;
    let config = Config::from_manifests(manifests)?;
    let model = load::understand(&config, intent.as_ref())?;
    let found = lint::check(&lint::Context { config: &config, model: &model, control_plane: &[] });
    match &found[..] {
        [one] if one.rule == fault => Ok(()),
        _ => Err(Failed::from(format!("lint finds {found:?}"))),
    }
}

/// Lint says so of what the chart renders to, at the template.
pub(crate) fn is_rendered(fault: &str, rule: &str, template: &str) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let options = support::options(scratch).components;
    let progress = credence_programs::supply::PlainProgress::new();
    let (config, parameters) = (broken().join(fault), Parameters::default());
    let read = load::load(Some(&config), &parameters, scratch, &options, &progress);
    let config = Config::from_manifests(runtime.block_on(read)?.1)?;
    let model = Model::derive(&config);
    let found = lint::check(&lint::Context { config: &config, model: &model, control_plane: &[] });
    match &found[..] {
        [one] if one.rule == rule && one.file.ends_with(template) && one.line.is_some() => Ok(()),
        _ => Err(Failed::from(format!("lint finds {found:?}"))),
    }
}
