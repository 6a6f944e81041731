//! The workspace as Cargo resolves it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    workspace_root: PathBuf,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

/// A crate of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Path below the root of the workspace.
    pub(crate) directory: String,
    /// Crates of the workspace that it needs, also to be built.
    pub(crate) dependencies: BTreeSet<String>,
    /// Crates of the workspace that its tests need.
    pub(crate) dev_dependencies: BTreeSet<String>,
    id: String,
}

/// Members of the workspace, and what their dependencies need in turn.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) members: Vec<Member>,
    names: BTreeMap<String, String>,
    /// Packages that each package needs, by id, without those that only its tests need.
    needs: BTreeMap<String, Vec<String>>,
}

impl Workspace {
    /// The workspace that this test is of, which Cargo is asked for once.
    pub(crate) fn get() -> &'static Self {
        static WORKSPACE: LazyLock<Workspace> = LazyLock::new(Workspace::read);
        &WORKSPACE
    }

    /// Asks Cargo, which fetches and changes nothing. Features are those of the whole workspace, so that the trees hold
    /// whatever any build of it could link.
    fn read() -> Self {
        let host = cargo(&["-vV"]);
        let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("Cargo names its host").to_owned();
        // Crates for other systems alone are not downloaded, so that Cargo could not read them.
        let metadata = cargo(&["metadata", "--frozen", "--format-version", "1", "--filter-platform", &host]);
        let metadata: Metadata = serde_json::from_str(&metadata).expect("the format is version 1");
        let is_member = |package: &&Package| metadata.workspace_members.contains(&package.id);
        let members: Vec<&Package> = metadata.packages.iter().filter(is_member).collect();
        let names: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let members = members.iter().map(|member| {
            let needs = |of_tests: bool| {
                let those = member.dependencies.iter().filter(|needed| names.contains(needed.name.as_str()));
                let those = those.filter(|needed| (needed.kind.as_deref() == Some("dev")) == of_tests);
                those.map(|needed| needed.name.clone()).collect()
            };
            let directory = member.manifest_path.parent().expect("a manifest is in a directory");
            let directory = directory.strip_prefix(&metadata.workspace_root).expect("members are below the root");
            Member {
                name: member.name.clone(),
                directory: directory.to_string_lossy().into_owned(),
                dependencies: needs(false),
                dev_dependencies: needs(true),
                id: member.id.clone(),
            }
        });
        let members = members.collect();
        let needs = |node: Node| {
            let needed = node.deps.into_iter().filter(|edge| !edge.dep_kinds.iter().all(EdgeKind::is_of_tests));
            (node.id, needed.map(|edge| edge.pkg).collect())
        };
        Self {
            members,
            names: metadata.packages.into_iter().map(|package| (package.id, package.name)).collect(),
            needs: metadata.resolve.nodes.into_iter().map(needs).collect(),
            root: metadata.workspace_root,
        }
    }

    /// Chain of dependencies from a member to the first package of this name, by their names; none if it needs no such.
    pub(crate) fn chain<'a>(&'a self, member: &'a Member, to: &str) -> Option<Vec<&'a str>> {
        let mut chains: BTreeMap<&str, Vec<&str>> = BTreeMap::from([(&*member.id, vec![&*member.name])]);
        let mut next = VecDeque::from([&*member.id]);
        while let Some(id) = next.pop_front() {
            let chain = chains[id].clone();
            if self.names[id] == to {
                return Some(chain);
            }
            for needed in &self.needs[id] {
                if !chains.contains_key(&**needed) {
                    let chain = chain.iter().copied().chain([&*self.names[needed]]).collect();
                    chains.insert(needed, chain);
                    next.push_back(needed);
                }
            }
        }
        None
    }

    /// True if any member needs a package of this name, directly or not.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.names.values().any(|known| known == name)
    }

    /// Text of a file below the root.
    pub(crate) fn text(&self, path: &str) -> String {
        read(&self.root.join(path))
    }
}

impl EdgeKind {
    fn is_of_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Output of a command of Cargo.
pub(crate) fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("Cargo starts");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("Cargo writes UTF-8")
}
