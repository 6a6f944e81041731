//! `credence doctor` and `credence fetch`.

use std::io::Write;

use credence_harness::components::{self, Cost, Finding, Options, Part, State, Subject};

use crate::console::Console;
use crate::verdict::ExitCode;

/// Says what is there, what is missing and what that costs.
pub(super) async fn doctor(options: &Options) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let mut missing = false;
    for Finding { subject, state, detail, cost } in components::examine(options).await {
        missing |= state == State::Missing;
        let subject = match subject {
            Subject::Cache => "cache".to_owned(),
            Subject::Go => "go".to_owned(),
            Subject::Git => "git".to_owned(),
            Subject::Part(part) => format!("{} {}", part.name(), part.version()),
        };
        let state = match state {
            State::Present => "present",
            State::Obtainable => "obtainable",
            State::Missing => "MISSING",
        };
        let cost = cost.map(|Cost { megabytes, minutes }| format!(" (at most {minutes} min, {megabytes} MB)"));
        writeln!(out, "{subject:<32} {state:<10} {detail}{}", cost.unwrap_or_default())?;
    }
    Ok(if missing { ExitCode::Unknown } else { ExitCode::Held })
}

/// Obtains programs, and says where they are and where they came from.
pub(super) async fn fetch(options: &Options, parts: &[Part]) -> anyhow::Result<ExitCode> {
    let console = Console::stderr();
    let programs = components::obtain(options, parts, console.components()).await?;
    if parts.contains(&Part::ExternalSecrets) {
        components::external_secrets_assets(options).await?;
    }
    if parts.contains(&Part::Gitea) {
        components::gitea_assets(options).await?;
    }
    if parts.contains(&Part::ArgoCd) {
        components::argo_cd_assets(options).await?;
    }
    let mut out = std::io::stdout().lock();
    for part in parts {
        writeln!(out, "{} {}: {}", part.name(), part.version(), programs.path(*part).display())?;
    }
    Ok(ExitCode::Held)
}
