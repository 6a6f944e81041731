//! Directories of the same tree that Kustomizations and HelmReleases of Flux deploy.

use super::*;

#[tokio::test]
async fn a_kustomization_of_flux_says_what_is_replaced_where_it_points() {
    let flux = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: stores, namespace: flux}\nspec:\n  \
                path: ./stores\n  postBuild:\n    substitute: {TEAM: shop, AREA: eu}\n    substituteFrom: [{kind: ConfigMap, name: vars}]\n";
    let tree = Tree::new(&[
        ("flux.yaml", flux),
        ("stores/a.yaml", &store("'${TEAM}-${AREA}'")),
        ("stores/b/b.yaml", &store("b")),
        ("other/c.yaml", &store("'${TEAM}'")),
    ]);
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    let stores = ["ClusterSecretStore ${TEAM}", "ClusterSecretStore b", "ClusterSecretStore shop-eu"];
    assert_eq!(names(&loaded)[..3], stores);
    assert!(
        loaded.notes[0].ends_with("ConfigMap vars is not in the tree; pass what it has with --substitute"),
        "{:?}",
        loaded.notes
    );
    // What the user gives wins, and then everything that Flux applies must have a value.
    fs::remove_file(tree.path("other/c.yaml")).unwrap();
    let loaded = tree.load("", &substitute(&[("AREA", "us")])).await.unwrap();
    assert_eq!(names(&loaded)[..2], ["ClusterSecretStore b", "ClusterSecretStore shop-us"]);
}

fn kustomization(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux}}\nspec: {spec}\n"
    )
}

#[tokio::test]
async fn values_of_a_config_map_are_taken_wherever_in_the_tree_it_is_read() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vars, namespace: flux}\ndata: {TEAM: '${AREA}-shop', AREA: eu}\n";
    // Read before what has the ConfigMap, by their names.
    let stores =
        "{path: ./stores, postBuild: {substitute: {AREA: us}, substituteFrom: [{kind: ConfigMap, name: vars}]}}";
    let tree = Tree::new(&[
        ("flux/a.yaml", &kustomization("a", stores)),
        ("flux/b.yaml", &kustomization("b", "{path: ./vars, postBuild: {substitute: {AREA: west}}}")),
        ("stores/a.yaml", &store("'${TEAM}-${AREA}'")),
        ("vars/vars.yaml", map),
    ]);
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    assert_eq!(names(&loaded)[0], "ClusterSecretStore west-shop-us");
    assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
    fs::write(tree.path("vars/vars.yaml"), map.replace("TEAM: ", "a-b: ")).unwrap();
    let shown = tree.refusal("", &Parameters::default()).await;
    assert!(shown.contains("vars/vars.yaml:4:8: a-b is no name of a variable") && !shown.contains("west"), "{shown}");
}

#[tokio::test]
async fn two_kustomizations_of_one_directory_apply_it_twice() {
    let one =
        |name: &str| kustomization(name, &format!("{{path: ./store, postBuild: {{substitute: {{TEAM: {name}}}}}}}"));
    let tree = Tree::new(&[
        ("flux/a.yaml", &one("a")),
        ("flux/b.yaml", &one("b")),
        ("store/kustomization.yaml", "resources: [a.yaml]\n"),
        ("store/a.yaml", &store("'${TEAM}'")),
    ]);
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    assert_eq!(names(&loaded)[..2], ["ClusterSecretStore a", "ClusterSecretStore b"]);
}

#[tokio::test]
async fn a_component_of_a_kustomization_that_is_pointed_at_is_not_left_out() {
    let flux = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps}\nspec: {path: ./apps}\n";
    let tree = Tree::new(&[
        ("flux/ks.yaml", flux),
        ("apps/kustomization.yaml", "components: [../common]\nresources: [./a.yaml]\n"),
        ("apps/a.yaml", &store("a")),
        ("common/kustomization.yaml", "kind: Component\nresources: [./b.yaml]\n"),
        ("common/b.yaml", &store("b")),
        ("unused/kustomization.yaml", "resources: []\n"),
    ]);
    let kustomize = "#!/bin/sh\n[ \"$1\" = version ] && exit\n/bin/cat \"$2\"/a.yaml; echo ---; exec /bin/cat \"$2\"/../common/b.yaml\n";
    fs::write(tree.home.path().join("kustomize"), kustomize).unwrap();
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    let places: Vec<_> = loaded.manifests[1..].iter().map(|manifest| manifest.file.clone()).collect();
    assert_eq!(places, [tree.path("apps/a.yaml"), tree.path("common/b.yaml")]);
    assert_eq!(loaded.notes.len(), 1, "{:?}", loaded.notes);
    assert!(loaded.notes[0].ends_with("unused, at which nothing in the tree points"), "{:?}", loaded.notes);
}

#[tokio::test]
async fn a_helm_release_installs_a_chart_of_the_tree_with_the_values_that_it_names() {
    let release = |spec: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: shop, namespace: flux}}\nspec:\n  \
             targetNamespace: central\n{spec}"
        )
    };
    let source =
        |kind: &str| format!("  chart: {{spec: {{chart: ./charts/shop, sourceRef: {{kind: {kind}, name: flux}}}}}}\n");
    let values = "  values: {a: b}\n  valuesFrom: [{kind: ConfigMap, name: base}, {kind: ConfigMap, name: none, optional: true}]\n";
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base, namespace: flux}\ndata: {values.yaml: 'p: q'}\n";
    let file = |text: &str| release(&(source("GitRepository") + text));
    let tree = Tree::new(&[
        ("release.yaml", &file(values)),
        ("map.yaml", map),
        ("charts/shop/Chart.yaml", "name: shop\n"),
        ("charts/shop/templates/a.yaml", ""),
    ]);
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    let rendered = loaded.manifests.iter().find(|manifest| manifest.name() == "central-shop").unwrap();
    assert_eq!(rendered.namespace(), Some("central"));
    let data = &rendered.object["data"];
    assert_eq!((&data["values-0.yaml"], &data["values-1.yaml"]), (&"p: q".into(), &"{\"a\":\"b\"}".into()));
    assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
    let refused = [
        (release(&source("HelmRepository")), "chart ./charts/shop of HelmRepository flux would be fetched"),
        (
            file("  valuesFrom: [{kind: Secret, name: keys}]\n"),
            "Secret keys is not read, as values of Secrets never are",
        ),
        (
            file("  valuesFrom: [{kind: ConfigMap, name: none}]\n"),
            "there is no values.yaml of ConfigMap none beside it",
        ),
        (file("  postRenderers: [{kustomize: {}}]\n"), "postRenderers changes what is rendered"),
        (release("  chartRef: {kind: OCIRepository, name: a}\n"), "its chart would be fetched"),
    ];
    fs::remove_dir_all(tree.path("charts/shop/templates")).unwrap();
    fs::rename(tree.path("charts"), tree.home.path().join("charts")).unwrap();
    fs::create_dir_all(tree.home.path().join(".git")).unwrap();
    for (text, expected) in refused {
        fs::write(tree.path("release.yaml"), text).unwrap();
        let loaded = tree.load("", &Parameters::default()).await.unwrap();
        assert!(loaded.notes.len() == 1 && loaded.notes[0].contains(expected), "{:?}", loaded.notes);
    }
}

#[tokio::test]
async fn a_part_of_a_repository_leads_to_directories_beside_it() {
    let tree = Tree::new(&[
        (".git/HEAD", ""),
        ("clusters/prod/apps.yaml", &kustomization("apps", "{path: ./apps/prod}")),
        ("clusters/dev/apps.yaml", &kustomization("apps", "{path: ./apps/dev}")),
        ("apps/prod/a.yaml", &store("a")),
        ("apps/dev/b.yaml", &store("b")),
    ]);
    let loaded = tree.load("clusters/prod", &Parameters::default()).await.unwrap();
    assert_eq!(names(&loaded), ["ClusterSecretStore a", "Kustomization flux/apps"]);
    let shown = tree.refusal("", &Parameters::default()).await;
    assert!(shown.contains("is written twice") && shown.contains("give the directory of one of them alone"), "{shown}");
}

#[tokio::test]
async fn kustomizations_below_a_directory_that_flux_applies_are_a_part_of_it() {
    let tree = Tree::new(&[
        ("flux/a.yaml", &kustomization("a", "{path: ./apps, targetNamespace: shop, postBuild: {substitute: {A: b}}}")),
        ("apps/plain.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '${A}'}\n"),
        ("apps/one/kustomization.yaml", "resources: [map.yaml]\n"),
        ("apps/one/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'one-${A}'}\n"),
        ("other/kustomization.yaml", "resources: []\n"),
    ]);
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    assert_eq!(names(&loaded), ["ConfigMap shop/b", "ConfigMap shop/one-b", "Kustomization flux/a"]);
    assert!(loaded.notes.len() == 1 && loaded.notes[0].contains("other, at which nothing"), "{:?}", loaded.notes);
}

#[rstest]
#[case::of_what_leads_there(
    "flux/root.yaml",
    "{path: ./clusters/prod, postBuild: {substitute: {CLUSTER: prod, TEAM: shop}}}"
)]
#[case::of_what_is_beside_it(
    "clusters/prod/flux/sync.yaml",
    "{path: ./clusters/prod, postBuild: {substitute: {CLUSTER: prod, TEAM: shop}}}"
)]
#[tokio::test]
async fn variables_in_the_path_and_the_values_of_a_nested_kustomization_are_replaced(
    #[case] file: &str,
    #[case] spec: &str,
) {
    let nested =
        kustomization("apps", "{path: './apps/${CLUSTER}', postBuild: {substitute: {NAME: '${TEAM}-${CLUSTER}'}}}");
    let tree = Tree::new(&[
        (file, &kustomization("root", spec)),
        ("clusters/prod/apps.yaml", &nested),
        ("apps/prod/a.yaml", &store("'${NAME}'")),
    ]);
    let loaded = tree.load("", &Parameters::default()).await.unwrap();
    assert_eq!(names(&loaded)[0], "ClusterSecretStore shop-prod");
    assert_eq!((names(&loaded).len(), loaded.notes.len()), (3, 0), "{:?}", loaded.notes);
}
