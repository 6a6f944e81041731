use rstest::rstest;

use super::*;

const OWN: Shares = Shares { cluster: ClusterUse::Own, sources: SourceUse::Exist, policies: PolicyUse::Passed };
const ROTATES: Shares = Shares { sources: SourceUse::Rotated, ..OWN };
const SOME_KEPT: Shares = Shares { sources: SourceUse::SomeKept, ..OWN };
const ALL_KEPT: Shares = Shares { sources: SourceUse::AllKept, ..OWN };
const RELIES: Shares = Shares { policies: PolicyUse::ReliedOn, ..OWN };
const CHANGES: Shares = Shares { policies: PolicyUse::Changed, ..OWN };
const ALL: Shares = Shares { cluster: ClusterUse::All, ..OWN };

fn participant(shares: Shares, namespaces: u32) -> Participant {
    Participant { shares, namespaces, first: false }
}

fn schedule(shares: &[Shares], most: usize) -> Schedule {
    let mut schedule = Schedule::new(shares.iter().map(|shares| participant(*shares, 0)).collect(), most);
    (0..shares.len()).for_each(|number| schedule.is_ready(number));
    schedule
}

fn begun(schedule: &mut Schedule) -> Vec<usize> {
    std::iter::from_fn(|| schedule.next())
        .map(|next| match next {
            Next::Begin(number) | Next::GoOnAlone(number) => number,
        })
        .collect()
}

#[rstest]
#[case::namespaces_of_their_own(OWN, OWN, false)]
#[case::a_rotation_beside_who_needs_no_values(ROTATES, OWN, false)]
#[case::rotations_have_leases(ROTATES, ROTATES, false)]
#[case::so_have_those_who_need_some_values(ROTATES, SOME_KEPT, false)]
#[case::all_values_are_kept_from_rotations(ROTATES, ALL_KEPT, true)]
#[case::several_may_keep_all_values(ALL_KEPT, ALL_KEPT, false)]
#[case::policies_that_are_relied_on_do_not_change(CHANGES, RELIES, true)]
#[case::policies_change_once_at_a_time(CHANGES, CHANGES, true)]
#[case::policies_change_beside_who_does_not_care(CHANGES, OWN, false)]
#[case::the_whole_cluster_has_no_neighbour(ALL, OWN, true)]
fn who_could_falsify_a_claim_is_no_neighbour(#[case] one: Shares, #[case] other: Shares, #[case] conflict: bool) {
    assert_eq!((one.conflict_with(&other), other.conflict_with(&one)), (conflict, conflict));
}

#[test]
fn those_that_conflict_with_nothing_begin_at_once_and_in_order() {
    let mut schedule = schedule(&[ROTATES, OWN, ALL_KEPT, SOME_KEPT, ALL], 10);
    assert_eq!(begun(&mut schedule), [0, 1, 3]);
    schedule.has_ended(0);
    assert_eq!(begun(&mut schedule), [2]);
    [1, 2].iter().for_each(|number| schedule.has_ended(*number));
    assert_eq!(schedule.next(), None, "the last one needs the cluster for itself");
    schedule.has_ended(3);
    assert_eq!(begun(&mut schedule), [4]);
    schedule.has_ended(4);
    assert!(schedule.is_over());
}

#[test]
fn one_that_is_not_ready_holds_nobody_up_and_begins_when_it_is() {
    let participants = [OWN, ROTATES, ALL, OWN].map(|shares| participant(shares, 0));
    let mut schedule = Schedule::new(participants.to_vec(), 10);
    [0, 2, 3].iter().for_each(|number| schedule.is_ready(*number));
    assert_eq!(begun(&mut schedule), [0, 3]);
    [0, 3].iter().for_each(|number| schedule.has_ended(*number));
    assert_eq!(begun(&mut schedule), [2], "what needs the cluster for itself does not wait for it");
    schedule.is_ready(1);
    assert_eq!(schedule.next(), None);
    schedule.has_ended(2);
    assert_eq!(begun(&mut schedule), [1]);
}

#[test]
fn the_end_of_a_property_that_needs_to_be_alone_comes_after_all_that_can_run_beside_others() {
    let mut schedule = schedule(&[OWN, ROTATES, ALL_KEPT], 10);
    assert_eq!(begun(&mut schedule), [0, 1]);
    schedule.waits_alone(0);
    assert!(!schedule.is_alone(0));
    schedule.has_ended(1);
    assert_eq!(schedule.next(), Some(Next::Begin(2)), "it waits, and others begin");
    assert_eq!(schedule.next(), None);
    schedule.has_ended(2);
    assert_eq!(schedule.next(), Some(Next::GoOnAlone(0)));
    assert!(schedule.is_alone(0));
    assert_eq!(schedule.next(), None);
}

#[test]
fn the_longest_begins_first_once_it_is_ready() {
    let long = Participant { first: true, ..participant(ROTATES, 0) };
    let mut schedule = Schedule::new(vec![participant(OWN, 0), participant(ALL_KEPT, 0), long], 10);
    (0..3).for_each(|number| schedule.is_ready(number));
    assert_eq!(begun(&mut schedule), [2, 0]);
    schedule.has_ended(2);
    assert_eq!(begun(&mut schedule), [1]);
}

#[test]
fn with_room_for_one_everything_runs_one_after_the_other_in_order() {
    let mut schedule = schedule(&[OWN, ROTATES, OWN], 1);
    for number in 0..3 {
        assert_eq!(begun(&mut schedule), [number]);
        schedule.has_ended(number);
    }
    assert!(schedule.is_over());
}

#[test]
fn one_begins_only_when_there_is_room_for_its_namespaces() {
    let participants = [30, 35, 10].map(|namespaces| participant(OWN, namespaces));
    let mut schedule = Schedule::new(participants.to_vec(), 10);
    (0..3).for_each(|number| schedule.is_ready(number));
    assert_eq!(begun(&mut schedule), [0, 2]);
    schedule.has_ended(0);
    assert_eq!(begun(&mut schedule), [1]);
    let too_many = [participant(OWN, 2 * MOST_NAMESPACES), participant(OWN, 1)];
    let mut schedule = Schedule::new(too_many.to_vec(), 10);
    (0..2).for_each(|number| schedule.is_ready(number));
    assert_eq!(begun(&mut schedule), [0], "one that takes more room than there is runs alone");
}

#[test]
fn only_the_slots_that_are_picked_need_the_cluster_for_themselves() {
    let shares = Shares { cluster: ClusterUse::OwnExceptIn(|slot| slot == 2), ..OWN };
    assert!(shares.is_alone(2) && !shares.is_alone(1) && !shares.needs_all());
    assert!(!OWN.is_alone(2) && ALL.needs_all());
}
