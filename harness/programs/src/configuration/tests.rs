use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use credence_core::text::chain;
use rstest::rstest;

use super::*;
use crate::supply::{Options, Part as Program, PlainProgress};

mod application_set;
mod flux;

const STORE: &str = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: NAME}\n";

/// A helm that shows what it was called with, as an object, and counts its calls.
const HELM: &str = "\
#!/bin/sh
[ \"$1\" = version ] && exit
echo call >> \"$(dirname \"$0\")/calls\"
if [ -f \"$3/fail\" ]; then /bin/cat \"$3/fail\" >&2; exit 1; fi
[ -f \"$3/nothing\" ] && exit 0
echo '---'
echo '# Source: shop/templates/a.yaml'
echo 'apiVersion: v1'
echo 'kind: ConfigMap'
echo \"metadata: {name: $2}\"
echo 'data:'
echo \"  arguments: '$*'\"
for file in \"$3\"/../values-*; do [ -f \"$file\" ] && echo \"  \\\"$(/usr/bin/basename \"$file\")\\\": '$(/bin/cat \"$file\")'\"; done
exit 0
";

struct Tree {
    home: tempfile::TempDir,
    options: Options,
}

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let program = |name: &str, text: &str| {
            let path = home.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let mut options = Options::new(home.path().join("cache"));
        options.overrides.insert(Program::Helm, program("helm", HELM));
        // Shows the directory's own files, as if they were rendered.
        options
            .overrides
            .insert(Program::Kustomize, program("kustomize", "#!/bin/sh\nexec /bin/cat \"$2\"/[!k]*.yaml\n"));
        for (name, text) in files {
            let path = home.path().join("tree").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { home, options }
    }

    fn path(&self, below: &str) -> PathBuf {
        let tree = self.home.path().join("tree");
        if below.is_empty() { tree } else { tree.join(below) }
    }

    async fn load(&self, below: &str, parameters: &Parameters) -> Result<Loaded, ConfigurationError> {
        let progress = PlainProgress::new();
        load(&self.path(below), parameters, Tools { components: &self.options, progress: &progress }).await
    }

    async fn refusal(&self, below: &str, parameters: &Parameters) -> String {
        let shown = chain(&self.load(below, parameters).await.unwrap_err());
        shown.replace(self.home.path().to_str().unwrap(), "HOME")
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.home.path().join("calls")).unwrap_or_default().lines().count()
    }
}

fn names(loaded: &Loaded) -> Vec<String> {
    let mut names: Vec<String> = loaded.manifests.iter().map(Manifest::object_name).collect();
    names.sort();
    names
}

fn store(name: &str) -> String {
    STORE.replace("NAME", name)
}

fn application(name: &str, source: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  source:\n    repoURL: \
         https://bot:hunter2@git.example.org/platform.git\n{source}  destination: {{namespace: central}}\n"
    )
}

const CHART: [(&str, &str); 3] = [
    ("Chart.yaml", "name: shop\n"),
    ("values.yaml", "token: hunter2\n"),
    ("templates/a.yaml", "apiVersion: v1\nkind: ConfigMap\n"),
];

fn values(tree: &Tree, files: &[&str], set: &[&str]) -> Parameters {
    let values = files.iter().map(|file| tree.path(file)).collect();
    Parameters { values, set: set.iter().map(|text| (*text).to_owned()).collect(), ..Parameters::default() }
}

fn substitute(pairs: &[(&str, &str)]) -> Parameters {
    let substitute = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Parameters { substitute, ..Parameters::default() }
}

#[tokio::test]
async fn a_chart_is_rendered_with_values_and_kept_by_all_that_it_is_rendered_from() {
    let tree = Tree::new(&[&CHART[..], &[("prod.yaml", "a: b")]].concat());
    let parameters = values(&tree, &["prod.yaml"], &["c.d=e"]);
    let loaded = tree.load("", &parameters).await.unwrap();
    assert_eq!(names(&loaded), ["ConfigMap shop"]);
    let data = &loaded.manifests[0].object["data"];
    let arguments = data["arguments"].as_str().unwrap();
    assert!(
        arguments.contains("--namespace default --skip-tests") && arguments.ends_with("--set c.d=e"),
        "{arguments}"
    );
    assert_eq!(data["values-0.yaml"], "a: b");
    assert_eq!((&loaded.manifests[0].file, loaded.manifests[0].line), (&tree.path("templates/a.yaml"), 1));

    tree.load("", &parameters).await.unwrap();
    assert_eq!(tree.calls(), 1);
    tree.load("", &values(&tree, &["prod.yaml"], &[])).await.unwrap();
    assert_eq!(tree.calls(), 2);
    fs::write(tree.path("prod.yaml"), "a: c").unwrap();
    let changed = tree.load("", &parameters).await.unwrap();
    assert_eq!((tree.calls(), &changed.manifests[0].object["data"]["values-0.yaml"]), (3, &"a: c".into()));
}

#[rstest]
#[case::nothing("nothing", "", "no object comes of it with these values")]
#[case::failing(
    "fail",
    "WARN token hunter2\nError: template: shop/templates/a.yaml:2:7: executing \"x\" at <.Values.token>: bad hunter2\n",
    "failed to render HOME/tree/templates/a.yaml:2:7 with helm: template: shop/templates/a.yaml:2:7: executing … at \
     <.Values.token>: bad …; correct the template"
)]
#[tokio::test]
async fn a_chart_that_does_not_render_is_refused_without_values(
    #[case] file: &str,
    #[case] text: &str,
    #[case] refusal: &str,
) {
    let tree = Tree::new(&[&CHART[..], &[(file, text)]].concat());
    let shown = tree.refusal("", &Parameters::default()).await;
    assert!(shown.contains(refusal), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn values_that_cannot_be_read_and_values_for_no_chart_are_refused() {
    let tree = Tree::new(&[&CHART[..], &[("bad.yaml", "a: [b\n"), ("plain/a.yaml", &store("a"))]].concat());
    let shown = tree.refusal("", &values(&tree, &["gone.yaml"], &[])).await;
    assert!(shown.starts_with("failed to read the file of values HOME/tree/gone.yaml; correct the path: "), "{shown}");
    let shown = tree.refusal("", &values(&tree, &["bad.yaml"], &[])).await;
    assert!(shown.starts_with("failed to parse YAML at HOME/tree/bad.yaml:2:1"), "{shown}");
    let shown = tree.refusal("plain", &values(&tree, &[], &["token=hunter2"])).await;
    assert!(shown.contains("HOME/tree/plain has no Chart.yaml, and only a chart of Helm takes values"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(tree.calls(), 0);
}

#[tokio::test]
async fn a_kustomization_is_rendered_once_until_one_of_its_files_changes() {
    let kustomize = "#!/bin/sh\n[ \"$1\" = version ] && exit\necho call >> \"$(dirname \"$0\")/calls\"\nexec /bin/cat \"$2\"/a.yaml\n";
    let tree = Tree::new(&[("kustomization.yaml", "resources: [a.yaml]\nnamespace: x\n"), ("a.yaml", &store("a"))]);
    fs::write(tree.home.path().join("kustomize"), kustomize).unwrap();
    for _ in 0..2 {
        assert_eq!(names(&tree.load("", &Parameters::default()).await.unwrap()), ["ClusterSecretStore a"]);
    }
    assert_eq!(tree.calls(), 1);
    fs::write(tree.path("a.yaml"), store("b")).unwrap();
    assert_eq!(names(&tree.load("", &Parameters::default()).await.unwrap()), ["ClusterSecretStore b"]);
    assert_eq!(tree.calls(), 2);
}

#[tokio::test]
async fn a_namespace_that_kustomize_stamps_on_a_cluster_scoped_kind_is_dropped() {
    let stamped = store("a").replace("{name: a}", "{name: a, namespace: x}");
    let tree = Tree::new(&[("kustomization.yaml", "namespace: x\nresources: [a.yaml]\n"), ("a.yaml", &stamped)]);
    assert_eq!(names(&tree.load("", &Parameters::default()).await.unwrap()), ["ClusterSecretStore a"]);
}

#[tokio::test]
async fn what_a_kustomization_does_not_name_and_archives_are_no_part_of_a_configuration() {
    let tree = Tree::new(&[
        ("plain/a.yaml", &store("a")),
        ("plain/b.tgz", "archive"),
        ("plain/c.tar.gz", "archive"),
        ("plain/d.zip", "archive"),
    ]);
    assert_eq!(names(&tree.load("plain", &Parameters::default()).await.unwrap()), ["ClusterSecretStore a"]);
}

#[tokio::test]
async fn variables_are_replaced_where_values_are_given_and_must_all_have_one() {
    let tree = Tree::new(&[("a.yaml", "# ${COMMENT}\n"), ("b.yaml", &store("'${TEAM}-store'"))]);
    let loaded = tree.load("", &substitute(&[("TEAM", "shop")])).await.unwrap();
    assert_eq!(names(&loaded), ["ClusterSecretStore shop-store"]);
    assert_eq!(names(&tree.load("", &Parameters::default()).await.unwrap()), ["ClusterSecretStore ${TEAM}-store"]);
    let shown = tree.refusal("", &substitute(&[("OTHER", "hunter2")])).await;
    let expected = "failed to replace the variable of Flux at HOME/tree/b.yaml:3:12: ${TEAM} has no value and no default; pass \
                    --substitute TEAM=VALUE";
    assert!(shown.starts_with(expected), "{shown}");
    let shown = tree.refusal("", &substitute(&[("TEAM", "shop"), ("OTHER", "hunter2")])).await;
    assert!(shown.contains("nothing in HOME/tree has ${OTHER}") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn applications_lead_to_directories_of_the_same_tree_each_read_as_what_it_is() {
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: reader}\n";
    let helm = "    path: charts/shop\n    helm:\n      releaseName: other\n      valueFiles: [prod.yaml]\n      values: \"x: y\"\n      \
                parameters: [{name: a.b, value: \"1,2\"}, {name: c, value: \"3\", forceString: true}]\n";
    let tree = Tree::new(&[
        ("apps/root.yaml", &application("root", "    path: apps\n")),
        ("apps/plain.yaml", &application("plain", "    path: plain\n")),
        ("apps/overlay.yaml", &application("overlay", "    path: overlays/prod\n")),
        ("apps/chart.yaml", &application("chart", helm)),
        ("apps/remote.yaml", &application("remote", "    path: not/here\n")),
        ("apps/package.yaml", &application("package", "    chart: nginx\n")),
        ("plain/a.yaml", &format!("{account}---\n{}", store("a"))),
        ("plain/below/b.yaml", &store("b")),
        ("overlays/prod/kustomization.yaml", "resources: [c.yaml]\n"),
        ("overlays/prod/c.yaml", &store("c")),
        ("overlays/dev/kustomization.yaml", "resources: [d.yaml]\n"),
        ("charts/shop/Chart.yaml", "name: shop\n"),
        ("charts/shop/prod.yaml", "p: q"),
        ("charts/shop/templates/a.yaml", "kind: ConfigMap\n"),
    ]);
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    let names = names(&loaded);
    let expected = [
        "Application chart",
        "Application overlay",
        "Application package",
        "Application plain",
        "Application remote",
        "Application root",
        "ClusterSecretStore a",
        "ClusterSecretStore c",
        "ConfigMap central/other",
        "ServiceAccount central/reader",
    ];
    // What is below a directory of plain manifests is read only where the Application says so.
    assert_eq!(names, expected);
    let map = loaded.manifests.iter().find(|manifest| manifest.kind() == "ConfigMap").unwrap();
    let arguments = map.object["data"]["arguments"].as_str().unwrap();
    assert!(arguments.contains("--namespace central"), "{arguments}");
    assert!(arguments.ends_with(r"--set a.b=1\,2 --set-string c=3"), "{arguments}");
    assert_eq!(
        (&map.object["data"]["values-0.yaml"], &map.object["data"]["values-1.yaml"]),
        (&"p: q".into(), &"x: y".into())
    );
    let notes = loaded.notes.join("\n");
    assert!(notes.contains("Application remote at ") && notes.contains("no directory not/here in the tree"), "{notes}");
    assert!(notes.contains("chart nginx of https://git.example.org/platform.git would be fetched"), "{notes}");
    assert!(notes.contains("overlays/dev, at which nothing in the tree points"), "{notes}");
    assert!(!notes.contains("hunter2"), "{notes}");
}

#[tokio::test]
async fn two_applications_may_install_one_chart_twice() {
    let chart = |name: &str| application(name, "    path: chart\n");
    let tree = Tree::new(&[
        ("a.yaml", &chart("one")),
        ("b.yaml", &chart("two")),
        ("chart/Chart.yaml", "name: shop\n"),
        ("chart/templates/a.yaml", ""),
    ]);
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    assert_eq!(names(&loaded)[2..], ["ConfigMap central/one", "ConfigMap central/two"]);
}

#[tokio::test]
async fn a_file_of_values_that_an_application_names_is_no_manifest_and_needs_no_hidden_name() {
    let application = application("one", "    path: charts/shop\n    helm: {valueFiles: [../../env/prod.yaml]}\n");
    let chart = [("charts/shop/Chart.yaml", "name: shop\n"), ("charts/shop/templates/a.yaml", "")];
    let files = [&[("a.yaml", application.as_str()), ("env/prod.yaml", "p: q\n")], &chart[..]].concat();
    let loaded = Tree::new(&files).load("", &Parameters::default()).await.unwrap();
    let map = loaded.manifests.iter().find(|manifest| manifest.kind() == "ConfigMap").unwrap();
    assert_eq!(map.object["data"]["values-0.yaml"], "p: q");
    // What no Application names is still no manifest.
    let tree = Tree::new(&[&files[..], &[("env/dev.yaml", "p: r\n")]].concat());
    let shown = tree.refusal("", &Parameters::default()).await;
    assert!(shown.starts_with("document at HOME/tree/env/dev.yaml:1:1 is no Kubernetes object"), "{shown}");
}

#[tokio::test]
async fn a_file_of_values_that_an_application_names_and_that_is_not_there_is_refused_with_its_place() {
    let helm = "    path: chart\n    helm: {valueFiles: [gone.yaml]}\n";
    let tree = Tree::new(&[("a.yaml", &application("one", helm)), ("chart/Chart.yaml", "name: shop\n")]);
    let shown = tree.refusal("", &Parameters::default()).await;
    assert!(shown.contains("chart/gone.yaml, which is named at HOME/tree/a.yaml:8:25; correct the path"), "{shown}");
}

#[rstest]
#[case::kustomization(
    "base/kustomization.yaml",
    "HOME/tree has no kustomization, but HOME/tree/base/kustomization.yaml is one"
)]
#[case::chart("base/Chart.yaml", "failed to read HOME/tree/base: it is a chart of Helm, not manifests")]
#[tokio::test]
async fn what_has_to_be_rendered_below_plain_manifests_is_refused_if_nothing_points_at_it(
    #[case] file: &str,
    #[case] refusal: &str,
) {
    let tree = Tree::new(&[("a.yaml", &store("a")), (file, "name: a\n")]);
    let shown = tree.refusal("", &Parameters::default()).await;
    assert!(shown.contains(refusal), "{shown}");
}

#[test]
fn values_are_not_shown_with_parameters() {
    let parameters = Parameters {
        set: vec!["a=hunter2".to_owned()],
        substitute: BTreeMap::from([("A".to_owned(), "hunter2".to_owned())]),
        ..Parameters::default()
    };
    let shown = format!("{parameters:?}");
    assert!(shown.contains("\"a\"") && shown.contains("\"A\"") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_chart_that_a_kustomization_has_beside_it_is_rendered_by_the_helm_that_is_obtained() {
    let tree = Tree::new(&[
        ("kustomization.yaml", "helmCharts: [{name: shop}]\nhelmGlobals: {chartHome: ./own}\n"),
        ("own/shop/Chart.yaml", "name: shop\n"),
        ("own/shop/templates/a.yaml", ""),
    ]);
    let kustomize = "#!/bin/sh\n[ \"$1\" = version ] && exit\necho 'apiVersion: v1'; echo 'kind: ConfigMap'; echo 'metadata: {name: a}'; \
                     echo \"data: {arguments: '$*'}\"\n";
    fs::write(tree.home.path().join("kustomize"), kustomize).unwrap();
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    let arguments = loaded.manifests[0].object["data"]["arguments"].as_str().unwrap();
    let helm = tree.home.path().join("helm");
    assert!(arguments.ends_with(&format!("--enable-helm --helm-command {}", helm.display())), "{arguments}");
    assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
    fs::write(tree.path("own/shop/templates/a.yaml"), "a: b").unwrap();
    fs::write(tree.home.path().join("kustomize"), kustomize.replace("name: a}", "name: b}")).unwrap();
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    assert_eq!(names(&loaded), ["ConfigMap b"], "the chart is a part of what is kept");
}
