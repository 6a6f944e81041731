//! The architecture: which crate may need which, which libraries stay out of which, no new circles between the files of a
//! crate, and a partner for each property, page, fixture and crate. Each failure says what to change, and where.

use std::collections::BTreeSet;
use std::fmt::Write as _;

#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/circles_tests.rs"]
mod circles_tests;
#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/known_circles.rs"]
mod known_circles;
#[path = "architecture/modules.rs"]
mod modules;
#[path = "architecture/partners.rs"]
mod partners;
#[path = "architecture/workspace.rs"]
mod workspace;

use circles::Circle;
use known_circles::KNOWN_CIRCLES;
use workspace::Workspace;

/// A crate, the crates of the workspace that it may need, and those of them that its tests may need besides, for their
/// features `testing` and `faults`.
const MAY_NEED: &[(&str, &[&str], &[&str])] = &[
    ("credence-core", &[], &[]),
    ("credence-watch", &["credence-core"], &[]),
    ("credence-programs", &["credence-core", "credence-watch"], &[]),
    ("credence-cluster", &["credence-core", "credence-watch", "credence-programs"], &["credence-programs"]),
    (
        "credence-consumers",
        &["credence-core", "credence-watch", "credence-programs", "credence-cluster"],
        &["credence-programs"],
    ),
    ("credence-model", &["credence-core"], &[]),
    ("credence-report", &["credence-core"], &[]),
    ("credence-monitor", &["credence-core", "credence-watch", "credence-model"], &[]),
    (
        "credence-suite",
        &[
            "credence-core",
            "credence-watch",
            "credence-programs",
            "credence-cluster",
            "credence-consumers",
            "credence-model",
            "credence-report",
        ],
        &["credence-model", "credence-report"],
    ),
    (
        "credence",
        &[
            "credence-core",
            "credence-watch",
            "credence-programs",
            "credence-cluster",
            "credence-consumers",
            "credence-model",
            "credence-report",
            "credence-monitor",
            "credence-suite",
        ],
        &["credence-report", "credence-suite"],
    ),
];

/// Libraries for input, output and waits.
const INPUT_AND_OUTPUT: &[&str] =
    &["tokio", "kube", "kube-client", "reqwest", "hyper", "rustls", "axum", "rustix", "mio", "socket2"];

/// Packages that start programs, change a cluster or attack one.
const MEANS_OF_A_RUN: &[&str] = &[
    "credence-programs",
    "credence-cluster",
    "credence-consumers",
    "credence-suite",
    "testcontainers",
    "bollard",
    "oci-client",
];

/// A crate, and packages that must be nowhere in the tree of its dependencies.
const MUST_NOT_LINK: &[(&str, &[&str])] = &[
    ("credence-core", INPUT_AND_OUTPUT),
    ("credence-model", INPUT_AND_OUTPUT),
    ("credence-report", INPUT_AND_OUTPUT),
    ("credence-monitor", MEANS_OF_A_RUN),
];

/// Fails with all faults at once.
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "faults in the architecture, {} in all:\n\n{}\n", faults.len(), faults.join("\n\n"));
}

#[test]
fn a_crate_needs_only_crates_of_the_workspace_that_it_may_need() {
    let workspace = Workspace::get();
    let mut faults = Vec::new();
    for member in &workspace.members {
        let manifest = format!("{}/Cargo.toml", member.directory);
        let Some((_, may_need, tests_may_need)) = MAY_NEED.iter().find(|(name, ..)| *name == member.name) else {
            faults.push(format!(
                "{manifest}: the table MAY_NEED has no row for {}; add one that says where it stands",
                member.name
            ));
            continue;
        };
        for (needed, may_need, section) in [
            (&member.dependencies, may_need, "dependencies"),
            (&member.dev_dependencies, tests_may_need, "dev-dependencies"),
        ] {
            for needed in needed.iter().filter(|needed| !may_need.contains(&needed.as_str())) {
                faults.push(format!(
                    "{manifest}: [{section}] has {needed}, which the row of {} in MAY_NEED does not allow. Take it out, and \
                     move what both need to a crate below them",
                    member.name
                ));
            }
        }
    }
    for (name, ..) in MAY_NEED {
        if !workspace.members.iter().any(|member| member.name == *name) {
            faults.push(format!("MAY_NEED: its row of {name} has no crate in the workspace; strike it"));
        }
    }
    assert_none(&faults);
}

#[test]
fn libraries_that_a_crate_must_not_link_are_nowhere_in_its_tree() {
    let workspace = Workspace::get();
    let mut faults = Vec::new();
    for (name, packages) in MUST_NOT_LINK {
        let member = workspace.members.iter().find(|member| member.name == *name);
        let member = member.unwrap_or_else(|| panic!("MUST_NOT_LINK: there is no crate {name}; strike its row"));
        for package in *packages {
            // A name that nothing has any more would guard against nothing.
            assert!(workspace.knows(package), "MUST_NOT_LINK: no crate needs {package}, so strike it");
            if let Some(chain) = workspace.chain(member, package) {
                faults.push(format!(
                    "{}/Cargo.toml: {name} must not link {package}, but does by {}. Take out the first of these that is not \
                     needed, or the feature that brings the next; see MUST_NOT_LINK",
                    member.directory,
                    chain.join(" → ")
                ));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn the_command_has_no_feature_that_is_for_tests() {
    // What tests alone need is not resolved where no edge of theirs is asked for.
    let tree = workspace::cargo(&["tree", "--frozen", "-p", "credence", "-e", "normal", "-f", "{lib} {f}"]);
    let of_tests = |line: &&str| line.contains("credence_") && (line.contains("faults") || line.contains("testing"));
    assert!(tree.contains("credence_suite"), "{tree}");
    assert_none(&tree.lines().filter(of_tests).map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn circles_between_files_of_a_crate_are_those_known() {
    let workspace = Workspace::get();
    let mut faults = Vec::new();
    for member in &workspace.members {
        let circles = circles::of(&workspace.root.join(&member.directory).join("src"));
        faults.extend(changes(&member.directory, &circles));
    }
    let directories: BTreeSet<&str> = workspace.members.iter().map(|member| &*member.directory).collect();
    for (directory, files) in KNOWN_CIRCLES.iter().filter(|(directory, _)| !directories.contains(directory)) {
        faults.push(format!("KNOWN_CIRCLES: there is no crate in {directory}; strike its row of {}", files.join(", ")));
    }
    assert_none(&faults);
}

/// Differences between the circles of a crate and those that are known of it.
fn changes(directory: &str, circles: &[Circle]) -> Vec<String> {
    let known = || KNOWN_CIRCLES.iter().filter(|(of, _)| *of == directory).map(|(_, files)| *files);
    let mut met = BTreeSet::new();
    let mut faults = Vec::new();
    for circle in circles {
        let is_same = |files: &&[&str]| files.iter().eq(&circle.files);
        let common = |files: &&[&str]| circle.files.iter().filter(|file| files.contains(&file.as_str())).count();
        // A circle within another has a row of its own, so an equal row goes before the one that has most in common.
        let nearest = known().find(is_same).or_else(|| known().max_by_key(common).filter(|files| common(files) > 0));
        let Some(nearest) = nearest else {
            faults.push(format!(
                "{directory}/src: a new circle of {}:{}\nCut one of these uses: move what is used to a file of its own, or \
                 hand it over as an argument. The table KNOWN_CIRCLES takes no new rows",
                circle.files.join(", "),
                uses(circle, |_| true)
            ));
            continue;
        };
        met.insert(nearest);
        let new: Vec<&str> = circle.files.iter().map(String::as_str).filter(|file| !nearest.contains(file)).collect();
        if !new.is_empty() {
            faults.push(format!(
                "{directory}/src: the circle that begins with {} in KNOWN_CIRCLES has grown by {}:{}\nCut one of these uses: \
                 move what is used to a file of its own, or hand it over as an argument",
                nearest[0],
                new.join(", "),
                uses(circle, |file| new.contains(&file))
            ));
        } else if !is_same(&nearest) {
            faults.push(format!(
                "{directory}/src: the circle that begins with {} in KNOWN_CIRCLES is smaller now, well done. Replace its row \
                 by ({directory:?}, &{:?})",
                nearest[0], circle.files
            ));
        }
    }
    for gone in known().filter(|files| !met.contains(files)) {
        faults.push(format!(
            "{directory}/src: the circle of {} in KNOWN_CIRCLES is no more, well done. Strike its row",
            gone.join(", ")
        ));
    }
    faults
}

/// Uses in a circle from or to files that are meant, one a line.
fn uses(circle: &Circle, is_meant: impl Fn(&str) -> bool) -> String {
    let mut lines = String::new();
    for used in circle.uses.iter().filter(|used| is_meant(&used.from) || is_meant(&used.to)) {
        for (line, path) in &used.by {
            write!(lines, "\n  {}:{line} uses {} by {path}", used.from, used.to).expect("a String takes all");
        }
    }
    lines
}
