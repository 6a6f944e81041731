//! `credence lint`: what a configuration asks for, and what is wrong with it, without a cluster.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use credence_cluster::cluster::ControlPlaneFiles;
use credence_core::manifest::{CONTROL_PLANE, Manifest, parse_program_configuration};
use credence_model::config::Config;
use credence_model::lint::{self, Context, Finding, output};
use credence_model::model::{Bound, Model};
use credence_programs::kustomize::{has_kustomization, is_chart};
use credence_report::report::Millis;
use credence_report::verdict::ExitCode;
use credence_suite::run::RunError;
use credence_suite::testbed;

use super::configuration::{Reading, Understood};
use super::programs::Programs;

/// The end of `--help`.
pub(super) const NOTES: &str = "\
Exit codes: 0 nothing found (apart from notes) · 1 errors or warnings · 3 bad usage, or an unreadable configuration

Examples:
  credence lint                                  the reference configuration
  credence lint my/config                        what it asks for, and what is wrong with it
  credence lint my/chart --values prod.yaml      a Helm chart, with values
  credence lint my/config --substitute CLUSTER=prod  manifests with Flux variables
  credence lint my/config --format json          findings as a JSON array
  credence lint my/config --format sarif > credence.sarif   for code scanning
  credence lint my/config --control-plane etc    with the audit policy and encryption configuration in etc";

/// The configuration to check, and the output format.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration: a directory of manifests, rendered with kustomize if it has a kustomization and with helm if it is
    /// a chart. By default, the reference configuration.
    directory: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// Output format of the findings.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Directory with the audit-policy.yaml and encryption-config.yaml of the API server; by default, the directory
    /// control-plane in the configuration.
    #[arg(long, value_name = "DIR")]
    control_plane: Option<PathBuf>,
    #[command(flatten)]
    programs: Programs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people: the distribution, and each finding with its place and a remedy.
    Text,
    /// A JSON array of findings.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

/// Reads a configuration, says what it distributes, and fails on what can be seen to be wrong.
pub(super) async fn lint(options: &Options) -> anyhow::Result<ExitCode> {
    let directory = options.directory.as_deref();
    let Understood { path, config, model } =
        options.reading.understand(directory, &options.programs.options()?).await?;
    let control_plane = control_plane(directory, options.control_plane.as_deref())?;
    let context = Context { config: &config, model: &model, control_plane: &control_plane };
    let mut findings = lint::check(&context);
    if directory.is_none_or(|directory| has_kustomization(directory) || is_chart(directory)) {
        name_the_directory(&mut findings, &config, directory, Path::new(&path));
    }
    let mut out = std::io::stdout().lock();
    match options.format {
        Format::Text => write!(out, "{}{}", distribution(&path, &config, &model), output::text(&findings))?,
        Format::Json => writeln!(out, "{:#}", output::json(&findings))?,
        Format::Sarif => writeln!(out, "{:#}", output::sarif(&findings, env!("CARGO_PKG_VERSION")))?,
    }
    Ok(exit_code(&findings))
}

fn exit_code(findings: &[Finding]) -> ExitCode {
    if findings.iter().any(Finding::fails) { ExitCode::Violated } else { ExitCode::Held }
}

/// The distributions of a configuration, and the time in which updates arrive.
fn distribution(path: &str, config: &Config, model: &Model) -> String {
    let mut text = format!("{path}: {} sources, {} targets\n", model.sources.len(), model.distributions.len());
    for distribution in &model.distributions {
        let declared = config.declared(&distribution.name);
        let generators = declared.as_ref().map(|declared| declared.spec.generator_names()).unwrap_or_default();
        let sources = distribution.sources().into_iter().map(ToString::to_string);
        let mut read: Vec<String> = sources.chain(generators).collect();
        let bound = match model.propagation_bound(distribution, 1, testbed::WORKERS) {
            _ if distribution.sources().is_empty() && !read.is_empty() => "with no source to follow".to_owned(),
            Bound::Within(bound) => format!("updates within {}", Millis::from(bound)),
            Bound::Never { why, .. } => format!("updates never: {why}"),
        };
        // What is read as a whole has no keys that are known.
        if read.is_empty() {
            read = declared.map(|declared| declared.input_names(config)).unwrap_or_default();
        }
        let (name, secret, secret_type) = (&distribution.name, &distribution.secret, &distribution.secret_type);
        text.push_str(&format!("  {name}: {} → Secret {secret} ({secret_type}), {bound}\n", read.join(", ")));
    }
    text
}

/// The files for the API server: those given, else those of the configuration, of which there may be none.
fn control_plane(directory: Option<&Path>, given: Option<&Path>) -> Result<Vec<Manifest>, RunError> {
    let beside = directory.map(|directory| directory.join(CONTROL_PLANE)).filter(|beside| beside.is_dir());
    let (files, home) = match (given.or(beside.as_deref()), directory) {
        (Some(home), _) => (ControlPlaneFiles::read(home)?, home),
        (None, None) => (ControlPlaneFiles::reference(), Path::new(CONTROL_PLANE)),
        (None, Some(_)) => return Ok(Vec::new()),
    };
    let named =
        [(ControlPlaneFiles::AUDIT_POLICY, files.audit_policy), (ControlPlaneFiles::ENCRYPTION, files.encryption)];
    let mut manifests = Vec::new();
    for (name, text) in named {
        manifests.extend(parse_program_configuration(&home.join(name), &text.unwrap_or_default())?);
    }
    Ok(manifests)
}

/// Puts the directory in the place of what kustomize or helm lost: which file and line an object is from. Of the reference
/// configuration, which is built in, that is nothing that anybody could look up.
fn name_the_directory(findings: &mut [Finding], config: &Config, directory: Option<&Path>, shown: &Path) {
    let is_lost = |file: &Path| directory.is_none_or(|directory| directory == file);
    let rendered: BTreeSet<&PathBuf> = config.manifests.iter().map(|manifest| &manifest.file).collect();
    for finding in findings.iter_mut().filter(|finding| rendered.contains(&finding.file) && is_lost(&finding.file)) {
        finding.file = shown.to_owned();
        finding.line = None;
    }
}

#[cfg(test)]
mod tests {
    use credence_core::manifest::parse_documents;

    use super::*;

    fn config(replace: &str, by: &str) -> Config {
        let text = include_str!("../../../fixtures/central-secret-store/secrets/application-docker-registry.yaml");
        assert!(text.contains(replace), "{replace} is not in the manifest");
        let store = include_str!("../../../fixtures/central-secret-store/stores/github-pat.yaml");
        let all = format!("{}\n---\n{store}", text.replace(replace, by));
        Config::from_manifests(parse_documents(Path::new("a.yaml"), &all).unwrap()).unwrap()
    }

    fn findings(config: &Config) -> Vec<Finding> {
        let model = Model::derive(config);
        lint::check(&Context { config, model: &model, control_plane: &[] })
    }

    fn lint(replace: &str, by: &str) -> Vec<String> {
        findings(&config(replace, by)).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn the_reference_manifest_has_no_finding() {
        assert_eq!(lint("refreshInterval: 5m", "refreshInterval: 5m"), Vec::<String>::new());
    }

    #[test]
    fn an_interval_of_zero_is_found() {
        let found = lint("refreshInterval: 5m", "refreshInterval: 0s");
        assert!(found[0].contains("never arrive: refreshInterval is 0"), "{found:?}");
    }

    #[test]
    fn a_copy_that_would_stay_behind_is_found() {
        let found = lint("creationPolicy: Owner", "creationPolicy: Orphan");
        assert!(found[0].contains("Orphan"), "{found:?}");
    }

    #[test]
    fn notes_alone_are_accepted() {
        let noted = findings(&config("decodingStrategy: None", "decodingStrategy: Auto"));
        assert!(!noted.is_empty());
        assert_eq!(exit_code(&noted), ExitCode::Held);
        assert_eq!(exit_code(&findings(&config("refreshInterval: 5m", "refreshInterval: 0s"))), ExitCode::Violated);
    }

    #[test]
    fn what_no_file_has_as_it_was_rendered_is_in_the_directory_and_on_no_line() {
        let config = config("refreshInterval: 5m", "refreshInterval: 0s");
        let mut found = findings(&config);
        let elsewhere = Finding { file: PathBuf::from("control-plane/audit-policy.yaml"), ..found[0].clone() };
        found.push(elsewhere.clone());
        let traced = found.clone();
        name_the_directory(&mut found, &config, Some(Path::new("my/config")), Path::new("my/config"));
        assert_eq!(found, traced);
        name_the_directory(&mut found, &config, None, Path::new("my/config"));
        assert_eq!((found[0].file.as_path(), found[0].line), (Path::new("my/config"), None));
        assert_eq!(found[1], elsewhere);
    }

    #[test]
    fn files_for_the_api_server_are_those_given_then_those_of_the_configuration() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        let broken = fixtures.join("broken/audit-without-secrets");
        let file = |files: Result<Vec<Manifest>, RunError>| files.unwrap().first().map(|one| one.file.clone());
        let own = broken.join(CONTROL_PLANE).join(ControlPlaneFiles::AUDIT_POLICY);
        assert_eq!(file(control_plane(Some(&broken), None)), Some(own));
        let given = fixtures.join("central-secret-store").join(CONTROL_PLANE);
        let expected = given.join(ControlPlaneFiles::AUDIT_POLICY);
        assert_eq!(file(control_plane(Some(&broken), Some(&given))), Some(expected));
        assert_eq!(file(control_plane(Some(&fixtures), None)), None);
        assert_eq!(control_plane(None, None).unwrap().len(), 2);
    }
}
