//! Copies that examples of an intent ask for.

use super::*;

/// The names of the copies that a namespace of the only example must hold.
fn intended(example: &str) -> Vec<String> {
    let model = model(&format!("examples: [{example}]")).unwrap();
    model.intended_in(&model.intended.examples[0], "shop").into_keys().collect()
}

#[rstest]
#[case::as_the_manifests_say("{namespace: {labels: {a: 'true', b: 'true'}}, mustHave: [search]}", &["search-api"])]
#[case::unlike_the_manifests("{namespace: {labels: {a: 'true'}}, mustHave: [search]}", &["search-api"])]
#[case::not_at_all("{namespace: {labels: {a: 'true', b: 'true'}}, mustNotHave: [search]}", &[])]
#[case::nothing_to_begin_with("{namespace: {labels: {a: 'true'}}, mustNotHave: [search]}", &[])]
fn an_example_has_the_word_on_the_copies_that_it_names(#[case] example: &str, #[case] expected: &[&str]) {
    assert_eq!(intended(example), expected);
}

#[rstest]
#[case::the_administrators("breakGlass: {groups: [others, 'system:masters']}", true)]
#[case::a_user_of_that_name("breakGlass: {users: ['system:masters']}", false)]
#[case::another_group("breakGlass: {groups: [others]}", false)]
#[case::the_platform("platformGroups: ['system:masters']", false)]
fn the_administrator_breaks_glass_if_the_intent_lets_that_group(#[case] identities: &str, #[case] expected: bool) {
    let model = model(&format!("identities: {{{identities}}}")).unwrap();
    assert_eq!(model.administrator_breaks_glass(), expected);
}

#[test]
fn identities_are_named_in_any_list() {
    let text = "identities: {operator: eso, platformGroups: [p], breakGlass: {users: [u], groups: [g]}}";
    let identities = model(text).unwrap().intended.identities;
    for name in ["eso", "p", "u", "g"] {
        assert!(identities.name(name), "{name}");
    }
    assert!(!identities.name("x") && !crate::model::Identities::default().name("eso"));
}
