//! `credence explain`: what was understood of a configuration, without a cluster.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Args;
use credence_model::explain::explain;
use credence_model::{applied, overlay};
use credence_report::verdict::ExitCode;

use super::configuration::{Configuration, Understood};
use super::programs::Programs;

/// The end of `--help`.
pub(super) const NOTES: &str = "\
Exit codes: 0 explained · 3 bad usage, an unreadable configuration, or nothing of that name

Examples:
  credence explain                                      the reference configuration
  credence explain --config my/config                   who gets what, and what each key is made of
  credence explain gh-docker-registry --config my/config    one copy
  credence explain argocd --config my/config            what one namespace gets
  credence explain --config my/chart --values prod.yaml --set team=shop    a Helm chart
  credence explain --config my/config --substitute CLUSTER=prod         manifests with Flux variables";

/// The configuration, and the part of it to explain.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// A namespace, a copy, a ClusterExternalSecret, an ExternalSecret or a store; by default, everything.
    name: Option<String>,
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    programs: Programs,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let Configuration { directory, reading } = &options.configuration;
    let Understood { config, model, .. } =
        reading.understand(directory.as_deref(), &options.programs.options()?).await?;
    let mut text = explain(&config, &model, options.name.as_deref())?;
    if options.name.is_none() {
        let mut manifests = config.manifests;
        let stand_ins = overlay::apply_generators(&mut manifests);
        // What leads to one goes without saying.
        let stand_ins: Vec<_> = stand_ins.iter().filter(|one| !one.field.ends_with("generatorRef")).collect();
        text.extend(stand_ins.iter().map(|one| format!("\nstands in: {}: {}", one.object, one.value)));
        let (_, left_out) = applied::select(manifests, &BTreeSet::new());
        text.extend(
            left_out.iter().map(|left| format!("\nnot applied: {} at {}: {}", left.object, left.place, left.reason)),
        );
        text.push_str(if left_out.is_empty() && stand_ins.is_empty() { "" } else { "\n" });
    }
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::Held)
}
