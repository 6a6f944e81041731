//! Partners of properties, fixtures and crates: none is without, and none is left over.

use std::collections::BTreeSet;

use credence_report::report::REQUIREMENTS;
use credence_report::unknown::Cause;
use credence_suite::registry::PROPERTIES;

use crate::assert_none;
use crate::workspace::Workspace;

/// Faults where two sets that belong together differ.
fn unpaired(there: &BTreeSet<String>, wanted: &BTreeSet<String>, lacks: &str, left_over: &str) -> Vec<String> {
    let lacking = wanted.difference(there).map(|name| lacks.replace("{}", name));
    lacking.chain(there.difference(wanted).map(|name| left_over.replace("{}", name))).collect()
}

fn property_ids() -> BTreeSet<String> {
    PROPERTIES.iter().map(|property| property.meta().id.to_string()).collect()
}

fn names_in(workspace: &Workspace, directory: &str) -> Vec<String> {
    let path = workspace.root.join(directory);
    let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.map(|entry| entry.expect("can be listed").file_name().to_string_lossy().into_owned()).collect()
}

fn first_word(text: &str) -> Option<&str> {
    text.split(|character: char| !character.is_ascii_alphanumeric()).find(|word| !word.is_empty())
}

/// True for text like p03.
fn is_property_id(text: &str) -> bool {
    matches!(text.as_bytes(), [b'p', tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit())
}

#[test]
fn each_property_has_a_row_in_the_readme() {
    let readme = Workspace::get().text("README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix('|'));
    // The first word of a row is what it is about, be it a link or not.
    let rows = rows.filter_map(first_word).filter(|word| is_property_id(word)).map(str::to_owned).collect();
    assert_none(&unpaired(
        &rows,
        &property_ids(),
        "README.md: no row of a table begins with {}; add it to the properties that are proved",
        "README.md: a row begins with {}, which credence_suite::registry::PROPERTIES does not have; strike it",
    ));
}

#[test]
fn each_property_has_a_page() {
    let workspace = Workspace::get();
    let mut ids = BTreeSet::new();
    for name in names_in(workspace, "properties/docs") {
        ids.extend(name.strip_suffix(".md").filter(|id| is_property_id(id)).map(str::to_owned));
    }
    assert_none(&unpaired(
        &ids,
        &property_ids(),
        "properties/docs/{}.md: missing; write the page of {}",
        "properties/docs/{}.md: credence_suite::registry::PROPERTIES has no {}; remove the page",
    ));
}

#[test]
fn each_cause_of_an_unknown_case_has_a_row_with_its_next_step_in_the_page_of_reports() {
    let page = Workspace::get().text("properties/docs/reports.md");
    let has_row = |cause: &Cause| {
        let (begin, end) = (format!("| `{}` |", cause.name()), format!("| {} |", cause.next_step()));
        page.lines().any(|line| line.starts_with(&begin) && line.ends_with(&end))
    };
    let lacking = Cause::ALL.iter().filter(|cause| !has_row(cause));
    let faults = lacking.map(|cause| {
        let next = cause.next_step();
        format!(
            "properties/docs/reports.md: no row has the cause {} with the next step \"{next}\"; add it",
            cause.name()
        )
    });
    assert_none(&faults.collect::<Vec<_>>());
}

#[test]
fn the_page_and_the_row_of_a_property_state_its_claims() {
    let workspace = Workspace::get();
    let readme = workspace.text("README.md");
    let mut faults = Vec::new();
    for property in PROPERTIES {
        let meta = property.meta();
        let page = format!("properties/docs/{}.md", meta.id);
        let text = workspace.text(&page);
        let title = |id| REQUIREMENTS.iter().find(|(other, _)| *other == id).map_or("", |(_, title)| *title);
        let rows: Vec<String> = meta
            .claims
            .iter()
            .map(|claim| format!("| {} | {} | {} |", claim.requirement, title(claim.requirement), claim.proof))
            .collect();
        let is_number = |cell: &str| cell.starts_with(|first: char| first.is_ascii_digit());
        let is_row = |line: &&str| line.strip_prefix("| ").is_some_and(is_number);
        if text.lines().filter(is_row).ne(rows.iter()) {
            faults.push(format!("{page}: the rows of its requirements differ from its claims: {rows:#?}"));
        }
        let ids: Vec<String> = meta.claims.iter().map(|claim| claim.requirement.to_string()).collect();
        let end = format!("| {} |", ids.join(" "));
        let of_it = |line: &&str| line.starts_with(&format!("| [{}]", meta.id));
        if !readme.lines().filter(of_it).any(|line| line.ends_with(&end)) {
            faults.push(format!("README.md: the row of {} does not end with {end}", meta.id));
        }
    }
    assert_none(&faults);
}

#[test]
fn each_property_has_a_file() {
    let workspace = Workspace::get();
    let names = names_in(workspace, "properties/suite/src");
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for name in &names {
        let Some((id, _)) = name.split_once('_').filter(|(id, _)| is_property_id(id)) else { continue };
        if name.ends_with(".rs") {
            if !ids.insert(id.to_owned()) {
                faults
                    .push(format!("properties/suite/src/{name}: {id} has another file; it may have one, and a folder"));
            }
        } else if !names.contains(&format!("{name}.rs")) {
            faults.push(format!("properties/suite/src/{name}: no file {name}.rs is beside this folder; remove it"));
        }
    }
    faults.extend(unpaired(
        &ids,
        &property_ids(),
        "properties/suite/src/{}_….rs: missing; write the property, or strike it in registry.rs",
        "properties/suite/src/{}_….rs: registry.rs has no {}; add it to PROPERTIES, or remove the file",
    ));
    assert_none(&faults);
}

#[test]
fn each_broken_configuration_has_a_property_that_must_find_it() {
    let workspace = Workspace::get();
    let directories = names_in(workspace, "fixtures/broken").into_iter().collect();
    // A row begins with the name of a fault, by itself or as the first argument of what makes the row; one table has names alone.
    let text = ["faults", "faults_of_vault", "told"]
        .map(|table| workspace.text(&format!("properties/tests/catches/{table}.rs")))
        .concat();
    let made = text.split("fault(").skip(1).map(str::trim_start);
    let listed = text.lines().filter_map(|line| line.trim().strip_prefix('('));
    let read =
        text.split_once("READ: &[&str] = &[").and_then(|(_, table)| table.split_once(']')).map(|(names, _)| names);
    let read = read.into_iter().flat_map(|names| names.split(',')).map(str::trim);
    let names = made.chain(listed).chain(read).filter_map(|row| row.strip_prefix('"')?.split_once('"'));
    let rows: BTreeSet<String> = names.map(|(name, _)| name.to_owned()).collect();
    let faults = unpaired(
        &rows,
        &directories,
        "fixtures/broken/{}: no row of the tables in properties/tests/catches says who must find it; add one",
        "properties/tests/catches: its row of {} has no directory in fixtures/broken; strike it",
    );
    assert_none(&faults);
}

#[test]
fn each_crate_is_on_the_page_of_the_architecture() {
    let workspace = Workspace::get();
    let text = workspace.text("properties/docs/architecture.md");
    let is_of_a_name = |character: char| character.is_ascii_alphanumeric() || "-_/".contains(character);
    let words: BTreeSet<&str> = text.split(|character| !is_of_a_name(character)).collect();
    let is_named = |name: &str| words.iter().any(|word| word.trim_end_matches('/') == name);
    let missing = workspace.members.iter().filter(|member| !is_named(&member.name) && !is_named(&member.directory));
    let faults = missing.map(|member| {
        let (name, directory) = (&member.name, &member.directory);
        format!("properties/docs/architecture.md: names neither {name} nor {directory}; say what the crate is for")
    });
    assert_none(&faults.collect::<Vec<_>>());
}

#[test]
fn the_map_of_each_crate_names_its_modules() {
    let workspace = Workspace::get();
    let mut faults = Vec::new();
    for member in &workspace.members {
        let path = format!("{}/src/lib.rs", member.directory);
        let text = workspace.text(&path);
        let map: String =
            text.lines().filter_map(|line| line.strip_prefix("//!")).flat_map(|line| [line, "\n"]).collect();
        let named = words_of_map(&map);
        for module in text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
            // The module of a property has its id on the map.
            let name = module.split_once('_').map_or(module, |(id, _)| if is_property_id(id) { id } else { module });
            if !named.contains(name) {
                faults
                    .push(format!("{path}: the map in its `//!` does not name {module}; put {name} where it belongs"));
            }
        }
    }
    assert_none(&faults);
}

/// Words of a map, and all properties between those that `…` joins.
fn words_of_map(map: &str) -> BTreeSet<String> {
    let is_of_a_name = |character: char| character.is_ascii_alphanumeric() || "_…".contains(character);
    let words: Vec<&str> = map.split(|character| !is_of_a_name(character)).filter(|word| !word.is_empty()).collect();
    let mut all: BTreeSet<String> = words.iter().map(|word| (*word).to_owned()).collect();
    for joined in words.windows(3).filter(|joined| joined[1] == "…") {
        all.extend(property_ids().into_iter().filter(|id| (joined[0]..=joined[2]).contains(&id.as_str())));
    }
    all
}
