//! Times of writes and reads: stale copies, and how long an update took.

use super::*;

#[rstest]
#[case::in_time(BOUND, 0, false)]
#[case::beyond_the_bound(BOUND + 1, 0, true)]
#[case::read_since(BOUND + 1, 11, false)]
#[case::read_in_the_same_second_which_may_have_been_before(BOUND + 1, 10, true)]
fn a_copy_is_stale_when_the_bound_has_passed_and_it_was_not_read(
    #[case] after: i64,
    #[case] refreshed: i64,
    #[case] is_stale: bool,
) {
    let mut state = world();
    state.secret(&source("6", 10), true, at(10));
    // Overdue refreshes are another matter, so this one is recent enough for that.
    state.external_secret(&external_secret("one", "pull"), &status(refreshed, "False"), true);
    let stale = wrong(&state, 10 + after).contains(&"pull stale one/pull-copy".to_owned());
    assert_eq!(stale, is_stale);
}

#[test]
fn a_source_without_managed_fields_is_written_whenever_it_changes() {
    let bare = |version: &str| {
        meta(json!({ "namespace": "central", "name": "source", "resourceVersion": version,
                     "creationTimestamp": at(-900).to_string() }))
    };
    let mut state = world();
    state.secret(&bare("6"), true, at(10));
    state.secret(&bare("6"), true, at(20));
    assert_eq!(state.health(at(30)).sources[0].1, Some(at(10)));
    state.secret(&bare("7"), true, at(30));
    assert_eq!(state.health(at(30)).sources[0].1, Some(at(30)));
}

#[test]
fn a_copy_that_the_configuration_never_reads_again_is_stale_after_what_would_hold_without() {
    let mut state = world_of(model("refreshPolicy: CreatedOnce"));
    // Read in the second in which its source was written: there is no later read that could tell.
    state.external_secret(&external_secret("one", "pull"), &status(-600, "True"), true);
    assert_eq!(wrong(&state, 1000), nothing());
    state.secret(&source("6", 10), true, at(10));
    assert_eq!(wrong(&state, 10 + BOUND), nothing());
    assert_eq!(wrong(&state, 10 + BOUND + 1), ["pull stale one/pull-copy"]);
}

#[test]
fn a_refresh_of_an_immutable_copy_reads_nothing() {
    let mut model = model("");
    model.distributions[PULL].immutable = true;
    let mut state = world_of(model);
    state.secret(&source("6", 10), true, at(10));
    state.external_secret(&external_secret("one", "pull"), &status(140, "True"), true);
    assert_eq!(wrong(&state, 10 + BOUND + 1), ["pull stale one/pull-copy"]);
}

#[test]
fn the_time_from_a_write_to_the_change_of_a_copy_is_measured_once() {
    let mut state = world();
    let renewed = |hash: &str| {
        let mut copy = copy("one");
        copy["annotations"]["reconcile.external-secrets.io/data-hash"] = json!(hash);
        meta(copy)
    };
    state.secret(&source("6", 10), true, at(10));
    state.secret(&source("7", 20), true, at(20));
    assert_eq!(state.secret(&meta(copy("one")), true, at(30)), [], "not every change of a copy is an arrival");
    let arrived = [StateEvent::Arrived { credential: PULL, seconds: 25.0 }];
    assert_eq!(state.secret(&renewed("bbbb"), true, at(45)), arrived);
    assert_eq!(state.secret(&renewed("cccc"), true, at(50)), [], "nothing was written since");
}
