//! Labels that are switches, and labels whose values are names.

use super::*;

#[test]
fn any_value_asks_an_existence_selector_where_labels_are_no_switches() {
    let exists = distributed("docker", "open", TOKEN)
        .replace("{matchLabels: {docker: 'true'}}", "{matchExpressions: [{key: docker, operator: Exists}]}");
    let alone = model(std::slice::from_ref(&exists));
    assert!(!alone.is_switch("docker"));
    assert_eq!(copies(&alone, "a: docker=billing, b: docker=false"), ["a/docker by docker", "b/docker by docker"]);
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {docker: billing}}\n";
    let beside_switches = model(&[exists, distributed("git", "open", TOKEN), namespace.to_owned()]);
    assert!(!beside_switches.is_switch("docker"), "a namespace of the configuration has a name for its value");
    assert_eq!(beside_switches.opt_in_values("docker"), ["billing"].into());
    assert_eq!(beside_switches.opt_in_values("git"), ["true"].into());
}

#[test]
fn label_value_false_asks_for_nothing_even_of_an_existence_selector() {
    let exists = distributed("docker", "open", TOKEN)
        .replace("{matchLabels: {docker: 'true'}}", "{matchExpressions: [{key: docker, operator: Exists}]}");
    // Another label that has to be true says that labels are switches here.
    let model = model(&[exists, distributed("git", "open", TOKEN)]);
    assert_eq!(
        copies(&model, "a: docker=true, b: docker=false, c: docker=TRUE, d: docker=, e:"),
        ["a/docker by docker"]
    );
    assert_eq!(
        conflicts(&model, "b: docker=false"),
        [r#"docker selects namespace b, which declines: label docker is "false", and only "true" asks"#]
    );
}
