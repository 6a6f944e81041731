//! `credence doctor` and `credence fetch`.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use credence_cluster::capability::Capability;
use credence_cluster::providers::PROVIDERS;
use credence_cluster::reference;
use credence_consumers::backstage::{self, Commands};
use credence_consumers::running::{self, Nodes};
use credence_core::consumer::Consumer;
use credence_core::endpoints::Endpoints;
use credence_core::text::chain;
use credence_programs::external_secrets;
use credence_programs::supply::{self, Cost, Finding, Options, Part, Progress as _, State, Subject};
use credence_report::verdict::ExitCode;
use credence_suite::registry::PROPERTIES;

use crate::console::Console;

mod kind;

use kind::Line;

/// Says what is there, what is missing and what that costs.
pub(super) async fn doctor(engine: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    let mut missing = false;
    for Finding { subject, version, state, detail, cost } in supply::examine(options).await {
        missing |= state == State::Missing;
        let subject = match subject {
            Subject::Cache => "cache".to_owned(),
            Subject::Go => "go".to_owned(),
            Subject::Git => "git".to_owned(),
            Subject::Part(part) => format!("{part} {}", version.unwrap_or_default()).trim_end().to_owned(),
        };
        let state = match state {
            State::Present => "present",
            State::Obtainable => "obtainable",
            State::Missing => "MISSING",
        };
        let cost = cost.map(|Cost { megabytes, minutes }| format!(" (at most {minutes} min, {megabytes} MB)"));
        writeln!(out, "{subject:<32} {state:<10} {detail}{}", cost.unwrap_or_default())?;
    }
    // An image is asked of its registry, and doctor contacts no host.
    if options.operator_chart.is_some() && options.operator_image.is_none() {
        let found = external_secrets::given(options, &Console::stderr()).await.map_err(|error| chain(&error));
        missing |= found.is_err();
        let (state, detail) = match found {
            Ok(_) => ("present", "given, of the version of the operator".to_owned()),
            Err(error) => ("MISSING", error),
        };
        writeln!(out, "{:<32} {state:<10} {detail}", "external-secrets chart")?;
    }
    if let Some(given) = &options.kargo {
        let found = credence_consumers::kargo::version_of(given).await.map_err(|error| chain(&error));
        missing |= found.is_err();
        let (subject, state, detail) = match found {
            Ok(version) => (format!("kargo {version}"), "present", format!("{} (given)", given.program.display())),
            Err(error) => ("kargo".to_owned(), "MISSING", error),
        };
        writeln!(out, "{subject:<32} {state:<10} {detail}")?;
    }
    for Line { subject, state, detail } in kind::examine(engine, options).await {
        writeln!(out, "{subject:<32} {state:<10} {detail}")?;
    }
    for provider in PROVIDERS {
        for (capability, why) in provider.lacks() {
            let subject = format!("{}: {}", provider.id(), capability.title());
            writeln!(out, "{subject:<32} {:<10} {why}{}", "SKIPPED", skipped_for(*capability))?;
        }
    }
    let absent = running::absent(options, &built_in_endpoints().await?, Nodes::Started).await;
    for consumer in Consumer::ALL {
        let (state, detail) = match absent.get(consumer) {
            None => ("possible", ""),
            Some(reason) => ("SKIPPED", reason.as_str()),
        };
        writeln!(out, "{:<32} {state:<10} {detail}", consumer.title())?;
    }
    Ok(if missing { ExitCode::Unknown } else { ExitCode::Held })
}

/// The checks of properties that are skipped where a cluster lacks `capability`.
fn skipped_for(capability: Capability) -> String {
    let checks = PROPERTIES.iter().flat_map(|property| {
        let id = property.meta().id;
        let needing = property.checks().iter().filter(move |check| check.needs == capability);
        needing.map(move |check| format!("{id} {}", check.what))
    });
    let checks = checks.collect::<Vec<_>>().join(", ");
    if checks.is_empty() { checks } else { format!(" ({checks})") }
}

/// Places at which the consumers of the reference configuration use credentials.
async fn built_in_endpoints() -> anyhow::Result<Endpoints> {
    let scratch = tempfile::tempdir().context("failed to make a directory for the built-in manifests")?;
    let directory = reference::write_consumers(scratch.path()).context("failed to unpack the built-in manifests")?;
    Ok(Endpoints::from_manifests(&credence_programs::kustomize::load_directory(&directory, None).await?))
}

/// Obtains programs, and says where they are and where they came from.
pub(super) async fn fetch(options: &Options, parts: &[Part]) -> anyhow::Result<ExitCode> {
    let console = Console::stderr();
    let programs = supply::obtain(options, parts, &console).await?;
    if parts.contains(&Part::ExternalSecrets) {
        external_secrets::assets(options, &console).await?;
    }
    if parts.contains(&Part::Gitea) {
        supply::gitea_assets(options).await?;
    }
    if parts.contains(&Part::ArgoCd) {
        supply::argo_cd_assets(options).await?;
    }
    if parts.contains(&Part::SourceController) {
        supply::flux_assets(options).await?;
    }
    // All parts are wanted, so all consumers are.
    if parts.len() == Part::ALL.len() && backstage::unsupported(&options.cache, &Commands::default()).await.is_none() {
        backstage::obtain(&options.cache, &Commands::default(), &|line| console.note(line)).await?;
    }
    let mut out = std::io::stdout();
    for part in parts {
        writeln!(out, "{part} {}: {}", programs.version(*part), programs.path(*part).display())?;
    }
    Ok(ExitCode::Held)
}
