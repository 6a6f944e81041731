//! The intent that `credence init` writes of a configuration is what its manifests say: nothing refuses it, and lint finds no
//! more with it. What `credence explain` shows names all that there is.

use std::path::Path;

use credence_core::text::chain;
use credence_model::config::Config;
use credence_model::explain::explain;
use credence_model::intent::first;
use credence_model::lint::{self, Context};
use credence_model::model::{ExpectedKeys, Model};
use credence_programs::configuration::Parameters;
use credence_programs::supply::PlainProgress;
use credence_suite::load;
use libtest_mimic::Failed;

use crate::support;

/// Writes the first intent of a configuration, and gives all that is wrong with it and with the explanation.
pub(crate) fn faults(config: &Path, parameters: &Parameters) -> Result<Vec<String>, Failed> {
    let runtime = tokio::runtime::Runtime::new()?;
    let scratch = tempfile::tempdir()?;
    let options = support::options(scratch.path());
    let progress = PlainProgress::new();
    let loaded = load::load(Some(config), parameters, scratch.path(), &options.components, &progress);
    let (_, manifests) = runtime.block_on(loaded)?;
    let config = Config::from_manifests(manifests)?;
    let model = Model::derive(&config);
    let file = scratch.path().join("credence.yaml");
    std::fs::write(&file, first(&config, &model))?;
    let understood =
        runtime.block_on(load::intent(None, Some(&file))).and_then(|intent| load::understand(&config, intent.as_ref()));
    let intended = match understood {
        Ok(intended) => intended,
        Err(refused) => return Ok(vec![format!("the first intent is refused: {}", chain(&refused))]),
    };
    let findings = |model| lint::check(&Context { config: &config, model, control_plane: &[] });
    let before = findings(&model);
    let more = findings(&intended).into_iter().filter(|finding| !before.contains(finding));
    let mut faults: Vec<String> = more.map(|finding| format!("lint finds of the first intent: {finding:?}")).collect();
    let explained = explain(&config, &intended, None)?;
    faults.extend(
        names(&config, &model)
            .into_iter()
            .filter(|name| !explained.contains(name))
            .map(|name| format!("the explanation does not name {name:?}:\n{explained}")),
    );
    Ok(faults)
}

/// Each copy, its keys and its stores, as an explanation has them.
fn names(config: &Config, model: &Model) -> Vec<String> {
    let mut names = Vec::new();
    for distribution in &model.distributions {
        names.push(format!("{} {}", distribution.kind(), distribution.name));
        names.push(format!("Secret {}", distribution.secret));
        names.extend(distribution.stores.iter().map(|store| format!(" through {}", store.name)));
        if let ExpectedKeys::Exactly(keys) = &distribution.keys {
            names.extend(keys.iter().map(|key| format!("  key      {key}: ")));
        }
    }
    names.extend(config.declared_distributions().map(|declared| declared.name.to_owned()));
    names
}
