//! Time that it takes to explain what has to be rendered first, and what has not. helm and kustomize are those of the cache, where they
//! are there; else they are obtained before time is taken.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Objects of each configuration beside its store.
const OBJECTS: usize = 200;

/// Times that each is tried, of which the shortest counts: what is beyond it is other work on the machine.
const TRIED: usize = 10;

const STORE: &str = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: central}\nspec: {provider: {kubernetes: \
                     {remoteNamespace: central}}}\n";

/// A ClusterExternalSecret whose name and selector are `name`, as it is written or as a template.
fn distribution(name: &str) -> String {
    format!(
        "---\napiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {{name: {name}}}\nspec:\n  namespaceSelectors: \
         [{{matchLabels: {{team: {name}}}}}]\n  externalSecretSpec:\n    secretStoreRef: {{kind: ClusterSecretStore, name: central}}\n    \
         data: [{{secretKey: a, remoteRef: {{key: source, property: a}}}}]\n"
    )
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The shortest time of `credence explain` for a configuration that `make` writes, another one each time, so that nothing that was
/// rendered is in the cache.
fn shortest(make: impl Fn(&Path, usize)) -> Duration {
    let times = (0..=TRIED).map(|number| {
        let directory = tempfile::tempdir().unwrap();
        make(directory.path(), number);
        let begun = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_credence"));
        let output = command.args(["explain", "--config"]).arg(directory.path()).output().unwrap();
        let took = begun.elapsed();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(said.matches("  makes ").count(), OBJECTS, "{said}");
        took
    });
    // The first may have obtained the program.
    times.skip(1).min().unwrap()
}

/// Texts that differ from one process, and from one configuration, to another.
fn stamp(number: usize) -> String {
    format!("p{}-{number}", std::process::id())
}

#[test]
fn two_hundred_manifests_are_explained_in_three_tenths_of_a_second() {
    let took = shortest(|directory, number| {
        let all: String = (0..OBJECTS).map(|object| distribution(&format!("{}-{object}", stamp(number)))).collect();
        write(directory, "all.yaml", &(STORE.to_owned() + &all));
    });
    println!("{OBJECTS} manifests: explained in {took:?}");
    assert!(took < Duration::from_millis(300), "{took:?}");
}

#[test]
fn a_chart_of_two_hundred_objects_is_rendered_in_a_second_and_a_half() {
    let took = shortest(|directory, number| {
        write(directory, "Chart.yaml", &format!("apiVersion: v2\nname: a\nversion: 0.1.{number}\n"));
        write(directory, "values.yaml", &format!("stamp: {}\n", stamp(number)));
        write(directory, "templates/store.yaml", STORE);
        let each = distribution("{{ $.Values.stamp }}-{{ . }}");
        write(directory, "templates/all.yaml", &format!("{{{{ range until {OBJECTS} }}}}\n{each}{{{{ end }}}}"));
    });
    println!("chart of {OBJECTS} objects: explained in {took:?}");
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

#[test]
fn an_overlay_of_two_hundred_objects_is_rendered_in_a_second_and_a_half() {
    let took = shortest(|directory, number| {
        let mut listed = String::from("resources: [store.yaml");
        write(directory, "base/store.yaml", STORE);
        for object in 0..OBJECTS {
            write(directory, &format!("base/{object}.yaml"), &distribution(&format!("a-{object}")));
            write!(listed, ", {object}.yaml").unwrap();
        }
        write(directory, "base/kustomization.yaml", &format!("{listed}]\n"));
        let overlay = format!("resources: [base]\nnamePrefix: {}-\n", stamp(number));
        let patch = "replacements:\n- source: {kind: ClusterSecretStore, fieldPath: metadata.name}\n  targets:\n  - select: {kind: \
                     ClusterExternalSecret}\n    fieldPaths: [spec.externalSecretSpec.secretStoreRef.name]\n";
        write(directory, "kustomization.yaml", &(overlay + patch));
    });
    println!("overlay of {OBJECTS} objects: explained in {took:?}");
    assert!(took < Duration::from_millis(1500), "{took:?}");
}
