//! Options for obtaining programs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use credence_core::text::Reason;
use credence_programs::dirs;
use credence_programs::supply::{self, Part, Providers, Source, UserKargo};

/// Options for obtaining programs.
#[derive(Debug, Clone, Args)]
pub(super) struct Programs {
    /// Use this executable instead of the pinned program, as in etcd=/usr/bin/etcd; may be repeated.
    #[arg(long = "program", value_name = "PART=PATH", value_parser = parse_given)]
    overrides: Vec<(Part, PathBuf)>,
    /// A program of External Secrets Operator of another version than the pinned one, or with other providers; the same as
    /// --program external-secrets=PROGRAM. An esoctl beside it is used as well.
    #[arg(long, value_name = "PROGRAM", env = "CREDENCE_EXTERNAL_SECRETS")]
    external_secrets: Option<PathBuf>,
    /// An image to extract the program of External Secrets Operator from, such as
    /// ghcr.io/external-secrets/external-secrets:v2.9.0. Needs no container engine.
    #[arg(
        long,
        value_name = "IMAGE",
        requires = "external_secrets_chart",
        conflicts_with = "external_secrets",
        env = "CREDENCE_EXTERNAL_SECRETS_IMAGE"
    )]
    external_secrets_image: Option<String>,
    /// The chart of the same version of External Secrets Operator: a directory, such as deploy/charts/external-secrets in its
    /// source, or a package. Kinds and fields of the configuration are checked against its definitions.
    #[arg(long, value_name = "CHART", env = "CREDENCE_EXTERNAL_SECRETS_CHART")]
    external_secrets_chart: Option<PathBuf>,
    /// The program of Kargo's control plane. credence cannot download or build it, and tests only Kargo's lookup rules
    /// without it.
    #[arg(long, value_name = "PROGRAM", requires = "kargo_chart", env = "CREDENCE_KARGO")]
    kargo: Option<PathBuf>,
    /// The chart of the same version of Kargo: a directory, such as charts/kargo in its source, or a package.
    #[arg(long, value_name = "CHART", requires = "kargo", env = "CREDENCE_KARGO_CHART")]
    kargo_chart: Option<PathBuf>,
    /// Source of programs that are not in the cache.
    #[arg(long, value_enum, default_value_t = Origin::Any, env = "CREDENCE_SOURCE")]
    source: Origin,
    /// Base URL that replaces scheme and host of official releases, for sites without internet access.
    #[arg(long, value_name = "URL", env = "CREDENCE_MIRROR")]
    mirror: Option<String>,
    /// Store providers to build External Secrets Operator with.
    #[arg(long, value_enum, default_value_t = ProvidersFlag::Used, env = "CREDENCE_EXTERNAL_SECRETS_PROVIDERS")]
    external_secrets_providers: ProvidersFlag,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProvidersFlag {
    /// Those that credence needs: AWS, Fake, Kubernetes, Vault and Webhook.
    Used,
    /// All of upstream's, which takes three times as long to build.
    All,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Origin {
    /// An official release if there is one, otherwise a build.
    Any,
    /// Official releases only.
    Release,
    /// Builds from the pinned Go modules only.
    Build,
}

pub(super) fn parse_part(text: &str) -> Result<Part, Reason> {
    text.parse::<Part>().map_err(Reason::of)
}

fn parse_given(text: &str) -> Result<(Part, PathBuf), Reason> {
    let (part, path) = text.split_once('=').ok_or("expected PART=PATH, such as etcd=/usr/bin/etcd")?;
    Ok((parse_part(part)?, PathBuf::from(path)))
}

impl Programs {
    pub(super) fn options(&self) -> anyhow::Result<supply::Options> {
        let source = match self.source {
            Origin::Any => Source::Any,
            Origin::Release => Source::Release,
            Origin::Build => Source::Build,
        };
        let overrides: BTreeMap<Part, PathBuf> = self.overrides.iter().cloned().collect();
        let kargo = self.kargo.clone().zip(self.kargo_chart.clone());
        let options = supply::Options {
            overrides,
            operator_image: self.external_secrets_image.clone(),
            operator_chart: self.external_secrets_chart.clone(),
            kargo: kargo.map(|(program, chart)| UserKargo { program, chart }),
            source,
            mirror: self.mirror.clone(),
            providers: match self.external_secrets_providers {
                ProvidersFlag::Used => Providers::Used,
                ProvidersFlag::All => Providers::All,
            },
            ..supply::Options::new(dirs::cache()?)
        };
        Ok(match &self.external_secrets {
            Some(program) => options.with_operator(program),
            None => options,
        })
    }
}
