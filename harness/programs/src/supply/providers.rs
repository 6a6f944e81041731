//! Providers that External Secrets Operator is built with: the store providers and generators that are used here, or all.
//!
//! Upstream names them in two files of imports. Builds from a copy of the module in which these files name fewer. From version 1 on
//! upstream has build tags that do the same.

use std::fs;
use std::path::{Path, PathBuf};

use super::assets::module_directory;
use super::cache::{self, Cache, failed};
use super::go::Go;
use super::module::Module;
use super::{ComponentError, reduced_module, vault};
use crate::supply::Providers;

/// Folders of `pkg/provider`. Those of Azure and Google are left out with most of the time that a build takes: their
/// client libraries are as large as the rest together.
const PROVIDERS: [&str; 5] = ["aws", "fake", "kubernetes", "vault", "webhook"];

/// Folders of `pkg/generator`: all but those that bring a provider which is left out, `acr` and `gcr`.
const GENERATORS: [&str; 13] = [
    "cloudsmith",
    "ecr",
    "fake",
    "github",
    "grafana",
    "mfa",
    "password",
    "quay",
    "sshkey",
    "sts",
    "uuid",
    "vault",
    "webhook",
];

/// Directories of the module that are compiled.
const COMPILED: [&str; 6] = ["apis", "cmd", "pkg", "main.go", "go.mod", "go.sum"];

impl Providers {
    /// Name in a report.
    pub fn describe(self) -> String {
        match self {
            Self::Used => PROVIDERS.join(", "),
            Self::All => "all of upstream's".to_owned(),
        }
    }

    /// Suffix that tells programs with fewer providers from whole ones in the cache; nothing for whole ones.
    pub(super) fn suffix(self, module: Module) -> String {
        if module == Module::Vault {
            return vault::suffix();
        }
        if !self.is_reduced(module) {
            return String::new();
        }
        reduced_module::suffix(&registrations().map(|(path, text)| format!("{path}\n{text}")).concat())
    }

    /// True if less of `module` is built than there is.
    pub(super) fn is_reduced(self, module: Module) -> bool {
        module == Module::ExternalSecrets && self == Self::Used
    }
}

/// The two files of imports, each with its path in the module.
fn registrations() -> [(String, String); 2] {
    [("pkg/provider", &PROVIDERS[..]), ("pkg/generator", &GENERATORS)].map(|(folder, names)| {
        let path = format!("{folder}/register/register.go");
        let imports: String =
            names.iter().map(|name| format!("\t_ \"{}/{folder}/{name}\"\n", Module::ExternalSecrets.path())).collect();
        (path, format!("// Package register imports what the operator is built with.\npackage register\n\nimport (\n{imports})\n"))
    })
}

/// The directory in which `go build` finds the pin of External Secrets Operator with fewer providers, made anew each
/// time. The caller holds the lock of the module.
pub(super) async fn sources(go: &Go, cache: &Cache) -> Result<PathBuf, ComponentError> {
    let module = Module::ExternalSecrets;
    let from = module_directory(go, cache, module).await?;
    reduced_module::make(cache, module, move |directory| copy(&from, directory)).await
}

fn copy(from: &Path, directory: &Path) -> Result<(), ComponentError> {
    let source = directory.join("source");
    // What is there may be of a copy that was killed.
    cache::remove(directory)?;
    reduced_module::copy_parts(from, &source, &COMPILED)?;
    for (path, text) in registrations() {
        let path = source.join(path);
        fs::write(&path, text).map_err(failed("write", &path))?;
    }
    let module = Module::ExternalSecrets;
    reduced_module::write_pin(directory, module, &[(module.path(), "source")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_with_fewer_providers_have_a_place_of_their_own() {
        let suffix = Providers::Used.suffix(Module::ExternalSecrets);
        assert_eq!(suffix.len(), 9, "{suffix}");
        assert_eq!(Providers::All.suffix(Module::ExternalSecrets), "");
        assert_eq!(Providers::Used.suffix(Module::Helm), "");
    }

    #[test]
    fn a_registration_imports_each_folder_once_and_nothing_else() {
        let [(path, text), _] = registrations();
        assert_eq!(path, "pkg/provider/register/register.go");
        let imports: Vec<&str> = text.lines().filter(|line| line.starts_with('\t')).collect();
        assert_eq!(imports.len(), PROVIDERS.len());
        assert_eq!(imports[2], "\t_ \"github.com/external-secrets/external-secrets/pkg/provider/kubernetes\"");
    }

    #[test]
    fn a_copy_replaces_the_module_and_names_what_is_built() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("module"), directory.path().join("reduced"));
        for path in ["apis/a.go", "cmd/c.go", "main.go", "go.mod", "go.sum"] {
            let path = from.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "of upstream").unwrap();
        }
        for (path, _) in registrations() {
            let path = from.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "of upstream").unwrap();
        }
        fs::create_dir_all(to.join("source/pkg")).unwrap();
        fs::write(to.join("source/pkg/left.go"), "by a copy that was killed").unwrap();
        copy(&from, &to).unwrap();
        let pin = fs::read_to_string(to.join("go.mod")).unwrap();
        assert!(pin.ends_with("replace github.com/external-secrets/external-secrets => ./source\n"), "{pin}");
        assert_eq!(fs::read_to_string(to.join("source/apis/a.go")).unwrap(), "of upstream");
        assert!(fs::read_to_string(to.join("source").join(&registrations()[0].0)).unwrap().contains("provider/vault"));
        assert!(!to.join("source/pkg/left.go").exists());
    }
}
