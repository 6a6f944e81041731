//! Inputs of a session from its options, and from the files that they name.

use std::borrow::Cow;
use std::path::Path;

use credence_cluster::cluster::ControlPlaneFiles;
use credence_cluster::{providers, reference};
use credence_core::endpoints::Endpoints;
use credence_core::file_error::FileError;
use credence_core::manifest::{self, Manifest};
use credence_model::overlay::Time;
use credence_programs::external_secrets::Operator;
use credence_programs::supply::{Providers, UserKargo};

use crate::error::RunError;
use crate::options::Options;

/// Audit policy and encryption of the configuration under test; none if it does not say.
pub(super) fn control_plane(options: &Options) -> Result<Option<ControlPlaneFiles>, FileError> {
    match (&options.control_plane, &options.config) {
        (Some(given), _) => ControlPlaneFiles::read(given).map(Some),
        (None, None) => Ok(Some(ControlPlaneFiles::reference())),
        (None, Some(config)) => {
            let beside = config.join(manifest::CONTROL_PLANE);
            if beside.is_dir() { ControlPlaneFiles::read(&beside).map(Some) } else { Ok(None) }
        }
    }
}

/// Places at which the credentials are used: given, or built in beside the reference configuration.
pub(super) async fn endpoints(options: &Options, scratch: &Path) -> Result<Endpoints, RunError> {
    let directory = match (&options.consumers, &options.config) {
        (Some(given), _) => given.clone(),
        (None, None) => reference::write_consumers(scratch).map_err(RunError::unpacking(scratch))?,
        (None, Some(_)) => return Ok(Endpoints::default()),
    };
    Ok(Endpoints::from_manifests(&credence_programs::kustomize::load_directory(&directory, None).await?))
}

/// First notes of a run on an operator of the user's own.
pub(super) fn notes_of(operator: &Operator) -> Vec<String> {
    let Operator { program, chart, esoctl } = operator;
    let mut notes = vec![format!("External Secrets Operator {program} is given, with its chart of {chart}")];
    if esoctl != chart {
        notes.push(format!(
            "esoctl is of version {esoctl}, and so are the templates that copies are compared with; put the esoctl of {chart} \
             beside the program, or name it by --program esoctl=PATH"
        ));
    }
    notes
}

/// Digest of a configuration, of its objects and not of their files.
pub(super) fn digest(manifests: &[Manifest]) -> String {
    let mut hasher = blake3::Hasher::new();
    for manifest in manifests {
        hasher.update(manifest.object.to_string().as_bytes());
    }
    format!("blake3:{}", hasher.finalize().to_hex())
}

/// Flags that `credence replay` needs beside the case to test the same configuration, as a shell takes them.
pub(super) fn replay_flags(options: &Options) -> String {
    let mut words = Vec::new();
    let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
    let path = |path: &Path| path.display().to_string();
    let named = [
        ("--config", &options.config),
        ("--intent", &options.intent),
        ("--control-plane", &options.control_plane),
        ("--consumers", &options.consumers),
    ];
    for (name, given) in named {
        given.iter().for_each(|given| flag(name, path(given)));
    }
    for values in &options.parameters.values {
        flag("--values", path(values));
    }
    for set in &options.parameters.set {
        flag("--set", set.clone());
    }
    for (name, value) in &options.parameters.substitute {
        flag("--substitute", format!("{name}={value}"));
    }
    for variables in &options.parameters.substitute_from {
        flag("--substitute-from", path(variables));
    }
    if let Some(UserKargo { program, chart }) = &options.components.kargo {
        flag("--kargo", path(program));
        flag("--kargo-chart", path(chart));
    }
    for kind in &options.also_apply {
        flag("--also-apply", kind.clone());
    }
    if let Some(provider) = options.cluster.filter(|provider| provider.id() != providers::DEFAULT.id()) {
        flag("--cluster", provider.id().to_owned());
    }
    for image in &options.images {
        flag("--image", format!("{}={}", image.of, image.name));
    }
    if let Some(image) = &options.components.operator_image {
        flag("--external-secrets-image", image.clone());
    }
    if let Some(chart) = &options.components.operator_chart {
        flag("--external-secrets-chart", path(chart));
    }
    for (part, given) in &options.components.overrides {
        flag("--program", format!("{part}={}", given.display()));
    }
    if options.components.providers == Providers::All {
        flag("--external-secrets-providers", "all".to_owned());
    }
    if options.time == Time::AsIs {
        flag("--time", "as-is".to_owned());
    }
    words.iter().map(|word| format!(" {}", quoted(word))).collect()
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> Cow<'_, str> {
    // Only a NUL cannot be quoted, and no path or argument of a program can hold one.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use credence_cluster::kind::Kind;
    use credence_programs::configuration::Parameters;
    use credence_programs::supply::{self, Part};

    use super::*;
    use crate::options::testing::options;

    #[test]
    fn a_shell_reads_back_the_paths_of_a_replay_line() {
        let mut components = supply::Options::new(PathBuf::from("cache"));
        components.overrides.insert(Part::Etcd, "/opt/my etcd".into());
        components.operator_image = Some("ghcr.io/eso:v2.9.0".to_owned());
        components.operator_chart = Some("eso chart".into());
        let odd = "it's $HOME/`a`";
        let options = Options {
            config: Some("my config".into()),
            consumers: Some(odd.into()),
            parameters: Parameters {
                values: vec!["prod values.yaml".into()],
                set: vec!["a={b,c}".to_owned()],
                substitute: [("TEAM".to_owned(), "a b".to_owned())].into(),
                substitute_from: vec!["vars.yaml".into()],
            },
            cluster: Some(&Kind),
            time: Time::AsIs,
            components,
            ..options("out".into())
        };
        let flags = replay_flags(&options);
        assert!(flags.starts_with(" --config 'my config' --consumers "), "{flags}");
        let expected = [
            "--config",
            "my config",
            "--consumers",
            odd,
            "--values",
            "prod values.yaml",
            "--set",
            "a={b,c}",
            "--substitute",
            "TEAM=a b",
            "--substitute-from",
            "vars.yaml",
            "--cluster",
            "kind",
            "--external-secrets-image",
            "ghcr.io/eso:v2.9.0",
            "--external-secrets-chart",
            "eso chart",
            "--program",
            "etcd=/opt/my etcd",
            "--time",
            "as-is",
        ];
        assert_eq!(shlex::split(&flags).unwrap(), expected);
    }

    #[test]
    fn templates_of_another_version_than_the_operator_are_told() {
        let operator =
            |esoctl: &str| Operator { program: "unknown".into(), chart: "2.9.0".into(), esoctl: esoctl.into() };
        assert_eq!(
            notes_of(&operator("2.9.0")),
            ["External Secrets Operator unknown is given, with its chart of 2.9.0"]
        );
        assert!(notes_of(&operator("0.20.4"))[1].contains("esoctl is of version 0.20.4"));
    }

    #[test]
    fn a_run_of_the_reference_needs_nothing_beside_the_case() {
        assert_eq!(replay_flags(&options("out".into())), "");
    }
}
