//! Node.js, npm and a compiler: what the machine has to bring.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use credence_programs::process::priority::Priority;
use rustix::fs::Access;
use serde::Deserialize;
use tokio::process::Command;

/// Long-term releases that the pinned packages support: `engines` of the fixture's `package.json`.
const MAJORS: [u32; 3] = [20, 22, 24];
/// Programs that node-gyp compiles with (its README, "Installation", "On Unix").
const COMPILERS: [&str; 3] = ["python3", "make", "g++"];

/// Names or paths of the commands to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// Name or path of Node.js.
    pub node: PathBuf,
    /// Name or path of npm, which belongs to Node.js.
    pub npm: PathBuf,
    /// Share of the processors that installing may take.
    pub priority: Priority,
}

impl Default for Commands {
    /// `node` and `npm` from the `PATH`.
    fn default() -> Self {
        Self { node: "node".into(), npm: "npm".into(), priority: Priority::default() }
    }
}

/// Why Backstage cannot be had on this machine, and what would change that.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum Unsupported {
    #[error("Node.js cannot be run as {command}; install Node.js 22 from https://nodejs.org")]
    NoNode {
        command: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The command is no Node.js.
    #[error("{command} does not answer like Node.js; install Node.js 22 from https://nodejs.org")]
    NotNode { command: PathBuf },
    /// The pinned packages do not support this Node.js.
    #[error("Node.js {found} is not supported by Backstage; install Node.js 20, 22 or 24 from https://nodejs.org")]
    Version { found: String },
    /// Some distributions keep parts of Node.js in files that only it knows, so no image can be made of it.
    #[error("{node} reads parts of itself from other files; install Node.js 22 from https://nodejs.org")]
    Split { node: PathBuf },
    #[error("npm cannot be run as {command}; install Node.js 22 from https://nodejs.org, which brings it")]
    NoNpm { command: PathBuf },
    /// SQLite's package cannot be compiled.
    #[error("{} not found, but needed for better-sqlite3; install python3, make and g++", .missing.join(" and "))]
    NoCompiler {
        /// The commands that are missing.
        missing: Vec<&'static str>,
    },
}

/// A Node.js that Backstage runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// The executable itself, whatever script or link the command is.
    pub(super) executable: PathBuf,
    /// Version, architecture and binary interface in one word: `20.20.2-x64-115`.
    pub(super) identity: String,
    /// The directory with `include/node`, if it is there and of this very Node.js.
    pub(super) headers: Option<PathBuf>,
}

/// Facts that Node.js tells about itself.
#[derive(Deserialize)]
struct Answer {
    path: PathBuf,
    version: String,
    arch: String,
    modules: String,
    /// Modules of its own that are inside the executable, but that a distribution may keep outside.
    inside: usize,
}

const QUESTION: &str = "console.log(JSON.stringify({path: process.execPath, version: process.versions.node, \
    arch: process.arch, modules: process.versions.modules, \
    inside: (process.config.variables.node_builtin_shareable_builtins ?? []).length}))";

impl Node {
    /// Asks `command` what it is, and refuses what Backstage does not run on.
    pub(super) async fn find(command: &Path) -> Result<Self, Unsupported> {
        let output = Command::new(command)
            .args(["--eval", QUESTION])
            // The user's options for Node.js could make it say more.
            .env_remove("NODE_OPTIONS")
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| Unsupported::NoNode { command: command.to_owned(), source })?;
        let answer: Answer =
            serde_json::from_slice(&output.stdout).map_err(|_| Unsupported::NotNode { command: command.to_owned() })?;
        if !is_supported(&answer.version) {
            return Err(Unsupported::Version { found: answer.version });
        }
        if answer.inside == 0 {
            return Err(Unsupported::Split { node: answer.path });
        }
        let headers = headers(&answer.path, &answer.modules);
        let identity = format!("{}-{}-{}", answer.version, answer.arch, answer.modules);
        Ok(Self { executable: answer.path, identity, headers })
    }
}

fn is_supported(version: &str) -> bool {
    version.split('.').next().and_then(|major| major.parse().ok()).is_some_and(|major| MAJORS.contains(&major))
}

/// `PREFIX` of `PREFIX/bin/node`, when the headers in `PREFIX/include/node` have the same binary interface. Official
/// releases bring them, and node-gyp then need not download any.
fn headers(node: &Path, modules: &str) -> Option<PathBuf> {
    let prefix = node.parent()?.parent()?;
    let text = fs::read_to_string(prefix.join("include/node/node_version.h")).ok()?;
    let line = format!("#define NODE_MODULE_VERSION {modules}");
    text.lines().any(|found| found.trim() == line).then(|| prefix.to_owned())
}

/// Refuses a machine that cannot install and compile.
pub(super) fn check_builders(commands: &Commands) -> Result<(), Unsupported> {
    if !is_command(&commands.npm) {
        return Err(Unsupported::NoNpm { command: commands.npm.clone() });
    }
    let missing: Vec<_> = COMPILERS.into_iter().filter(|name| !is_command(Path::new(name))).collect();
    if missing.is_empty() { Ok(()) } else { Err(Unsupported::NoCompiler { missing }) }
}

/// True if a name or path can be executed, looked for as execvp(3) does.
fn is_command(command: &Path) -> bool {
    let is_executable = |path: &Path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    if command.components().count() > 1 {
        return is_executable(command);
    }
    env::split_paths(&search_path()).any(|directory| is_executable(&directory.join(command)))
}

/// The `PATH`, empty if it is not set.
pub(super) fn search_path() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::oldest("20.20.2", true)]
    #[case::long_term("22.1.0", true)]
    #[case::newest("24.0.0", true)]
    #[case::too_old("18.20.4", false)]
    #[case::not_long_term("23.1.0", false)]
    #[case::nothing("", false)]
    fn long_term_releases_are_supported(#[case] version: &str, #[case] supported: bool) {
        assert_eq!(is_supported(version), supported);
    }

    #[tokio::test]
    async fn a_missing_node_is_refused_with_what_to_install() {
        let refused = Node::find(Path::new("/nowhere/node")).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Node.js cannot be run as /nowhere/node; install Node.js 22 from https://nodejs.org"
        );
    }

    #[tokio::test]
    async fn a_command_that_is_something_else_is_refused() {
        let refused = Node::find(Path::new("/bin/echo")).await.unwrap_err();
        assert!(matches!(refused, Unsupported::NotNode { .. }), "{refused}");
    }

    #[test]
    fn a_missing_npm_is_refused_before_the_compilers_are_looked_for() {
        let commands = Commands { npm: "/nowhere/npm".into(), ..Commands::default() };
        let refused = check_builders(&commands).unwrap_err();
        assert!(refused.to_string().starts_with("npm cannot be run as /nowhere/npm"), "{refused}");
    }

    #[test]
    fn missing_compilers_are_all_named() {
        let refused = Unsupported::NoCompiler { missing: vec!["make", "g++"] };
        assert_eq!(
            refused.to_string(),
            "make and g++ not found, but needed for better-sqlite3; install python3, make and g++"
        );
    }

    #[test]
    fn headers_of_another_node_are_not_used() {
        let prefix = tempfile::tempdir().unwrap();
        let include = prefix.path().join("include/node");
        fs::create_dir_all(&include).unwrap();
        fs::write(include.join("node_version.h"), "#if X\n#define NODE_MODULE_VERSION 115\n#endif\n").unwrap();
        let node = prefix.path().join("bin/node");
        assert_eq!(headers(&node, "115").as_deref(), Some(prefix.path()));
        assert_eq!(headers(&node, "127"), None);
    }
}
