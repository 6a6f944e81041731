//! Sources of a build of Vault: copies of three modules without what its stores need not, and with an sdk that it starts with.
//!
//! Vault names an sdk that no proxy serves. The nearest one that compiles with it panics on paths of Vault's own that it takes
//! for mistakes, so that these lines go. The other lines that go name backends, plugins and clouds, whose client libraries
//! are most of what would be compiled.

use std::fs;
use std::path::{Path, PathBuf};

use super::assets::downloaded;
use super::cache::{self, Cache, failed};
use super::go::Go;
use super::module::Module;
use super::{ComponentError, reduced_module};

/// A module that is copied.
#[derive(Debug)]
struct Copied {
    path: &'static str,
    /// Its directory beside the pin.
    directory: &'static str,
    /// Directories of it that are compiled.
    compiled: &'static [&'static str],
    /// Files with lines that go.
    without: &'static [(&'static str, Without)],
}

/// The lines of a file that go.
#[derive(Debug, Clone, Copy)]
enum Without {
    /// Lines with one of these texts.
    Texts(&'static [&'static str]),
    /// Lines with the name of an import that is not [kept](KEPT).
    Imports,
}

/// Imports of plugins and backends that stay, by the names that Vault gives them.
const KEPT: [&str; 8] =
    ["credAppRole", "credKube", "credToken", "credUserpass", "logicalKv", "physFile", "physInmem", "physRaft"];

/// Beginnings of such names: login methods, secret engines, database plugins, storage, and registration at Consul.
const PREFIXES: [&str; 5] = ["cred", "logical", "db", "phys", "csr"];

const COPIED: [Copied; 3] = [
    Copied {
        path: "github.com/hashicorp/vault",
        directory: "vault",
        compiled: &[
            "audit",
            "builtin",
            "command",
            "helper",
            "http",
            "internal",
            "internalshared",
            "physical",
            "plugins",
            "serviceregistration",
            "shamir",
            "vault",
            "version",
            "main.go",
            "go.mod",
            "go.sum",
        ],
        without: &[
            ("command/commands.go", Without::Imports),
            ("helper/builtinplugins/registry.go", Without::Imports),
            ("vault/raft.go", Without::Texts(&["discoverk8s"])),
        ],
    },
    Copied {
        path: "github.com/hashicorp/vault/sdk",
        directory: "sdk",
        compiled: &["database", "framework", "helper", "logical", "physical", "plugin", "queue", "go.mod", "go.sum"],
        without: &[("framework/backend.go", Without::Texts(&["defines a CreateOperation but no ExistenceCheck"]))],
    },
    Copied {
        path: "github.com/hashicorp/go-discover",
        directory: "go-discover",
        compiled: &["config.go", "discover.go", "provider", "go.mod", "go.sum"],
        without: &[("discover.go", Without::Texts(&["go-discover/provider/", ".Provider{}"]))],
    },
];

/// Suffix that tells programs of other lines apart in the cache.
pub(super) fn suffix() -> String {
    reduced_module::suffix(&format!("{COPIED:?}{KEPT:?}{PREFIXES:?}"))
}

/// The directory in which `go build` finds the pin and the copies, made anew each time. The caller holds the lock of the module.
pub(super) async fn sources(go: &Go, cache: &Cache) -> Result<PathBuf, ComponentError> {
    let mut modules = Vec::new();
    for copied in &COPIED {
        modules.push((copied, downloaded(go, cache, Module::Vault, copied.path).await?));
    }
    reduced_module::make(cache, Module::Vault, move |directory| copy(&modules, directory)).await
}

fn copy(modules: &[(&Copied, PathBuf)], directory: &Path) -> Result<(), ComponentError> {
    // What is there may be of a copy that was killed.
    cache::remove(directory)?;
    for (copied, from) in modules {
        let to = directory.join(copied.directory);
        reduced_module::copy_parts(from, &to, copied.compiled)?;
        for (file, without) in copied.without {
            let path = to.join(file);
            let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
            fs::write(&path, without.of(&text)).map_err(failed("write", &path))?;
        }
    }
    reduced_module::write_pin(directory, Module::Vault, &COPIED.map(|copied| (copied.path, copied.directory)))
}

impl Without {
    /// A text without these lines.
    fn of(self, text: &str) -> String {
        text.split_inclusive('\n').filter(|line| !self.is_of(line)).collect()
    }

    fn is_of(self, line: &str) -> bool {
        match self {
            Self::Texts(texts) => texts.iter().any(|text| line.contains(text)),
            Self::Imports => {
                let imported = line.trim().split_once(" \"").map(|(name, _)| name);
                let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
                let used = words.filter_map(|word| word.split_once('.')).map(|(name, _)| name);
                imported.into_iter().chain(used).any(|name| is_import(name) && !KEPT.contains(&name))
            }
        }
    }
}

/// True if a word is the name of an import of a plugin or a backend: a prefix, and behind it a capital or nothing.
fn is_import(word: &str) -> bool {
    let rest = PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix).map(|rest| (*prefix, rest)));
    rest.is_some_and(|(prefix, rest)| match rest.chars().next() {
        Some(next) => next.is_ascii_uppercase(),
        None => prefix == "csr",
    })
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Writes what is copied of one of the modules, with this text in the files that lose lines.
    fn write(copied: &Copied, module: &Path, text: &str) {
        let put = |name: &str, text: &str| {
            let path = module.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for name in copied.compiled {
            if name.contains('.') { put(name, "of upstream\n") } else { fs::create_dir_all(module.join(name)).unwrap() }
        }
        copied.without.iter().for_each(|(name, _)| put(name, text));
    }

    /// Writes what is copied of all modules into one directory.
    pub(in crate::supply) fn write_all(directory: &Path) {
        COPIED.iter().for_each(|copied| write(copied, directory, "of upstream\n"));
    }

    #[test]
    fn a_copy_replaces_each_module_and_lacks_the_lines() {
        const TEXT: &str =
            "stays\ndiscoverk8s\npanic(\"defines a CreateOperation but no ExistenceCheck\")\n\tphysS3 \"x\"\n";
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("modules"), directory.path().join("reduced"));
        let module = |copied: &'static Copied| (copied, from.join(copied.directory));
        let modules: Vec<(&Copied, PathBuf)> = COPIED.iter().map(module).collect();
        modules.iter().for_each(|(copied, module)| write(copied, module, TEXT));
        copy(&modules, &to).unwrap();
        let read = |file: &str| fs::read_to_string(to.join(file)).unwrap();
        let pin = read("go.mod");
        assert!(pin.contains("\nreplace github.com/hashicorp/vault/sdk => ./sdk\n"), "{pin}");
        assert!(read("vault/vault/raft.go").contains("physS3") && !read("vault/vault/raft.go").contains("discoverk8s"));
        assert!(!read("sdk/framework/backend.go").contains("panic"));
        assert!(!read("vault/command/commands.go").contains("physS3"));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::import_kept("\tcredKube \"github.com/hashicorp/vault-plugin-auth-kubernetes\"\n", false)]
    #[case::import("\tphysS3 \"github.com/hashicorp/vault/physical/s3\"\n", true)]
    #[case::entry_kept("\t\t\t\"kv\": {Factory: logicalKv.Factory},\n", false)]
    #[case::entry("\t\t\"aws\": &credAws.CLIHandler{},\n", true)]
    #[case::registration("\t\t\"consul\": csr.NewServiceRegistration,\n", true)]
    #[case::member("\tlogicalBackends    map[string]logicalBackend\n", false)]
    #[case::fields("\t\tcredentialBackends: map[string]credentialBackend{\n", false)]
    fn a_line_goes_if_it_names_an_import_that_is_not_kept(#[case] line: &str, #[case] goes: bool) {
        assert_eq!(Without::Imports.of(line).is_empty(), goes, "{line}");
    }
}
