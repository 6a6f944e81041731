//! Bounds of propagation and provisioning.

use std::num::NonZero;

use super::*;
use crate::model::bound::PROVISIONING_SLACK;

const FOUR: NonZero<u32> = NonZero::new(4).unwrap();

#[rstest]
#[case::interval("    refreshInterval: 5m\n", 300)]
#[case::default_interval("", 3600)]
#[case::periodic("    refreshPolicy: Periodic\n    refreshInterval: 10s\n", 10)]
fn propagation_takes_the_interval_and_the_queue(#[case] spec: &str, #[case] seconds: u64) {
    let model = model(&[distributed("docker", "open", &format!("{TOKEN}{spec}"))]);
    let bound = model.propagation_bound(&model.distributions[0], 200, FOUR);
    // 200 refreshes of 100 ms by four workers.
    let expected = Duration::from_secs(seconds + 5) + PROPAGATION_SLACK;
    assert_eq!(bound, Bound::Within(expected));
    assert_eq!(bound.limit(), expected);
}

#[rstest]
#[case::interval_zero("    refreshInterval: 0s\n", "refreshInterval is 0", [2, 120])]
#[case::negative_interval("    refreshInterval: -1h\n", "refreshInterval is 0", [2, 120])]
#[case::created_once("    refreshInterval: 1m\n    refreshPolicy: CreatedOnce\n", "refreshPolicy is CreatedOnce", [60, 60])]
#[case::on_change("    refreshInterval: 1m\n    refreshPolicy: OnChange\n", "refreshPolicy is OnChange", [60, 60])]
#[case::immutable("    refreshInterval: 1m\n    target: {immutable: true}\n", "target.immutable is true", [60, 60])]
fn updates_that_never_arrive_are_still_due(
    #[case] spec: &str,
    #[case] why: &'static str,
    #[case] alone_and_among_others: [u64; 2],
) {
    let never = distributed("docker", "open", &format!("{TOKEN}{spec}"));
    let alone = model(std::slice::from_ref(&never));
    let among = model(&[
        never,
        distributed("fast", "open", &format!("{TOKEN}    refreshInterval: 1m\n")),
        distributed("slow", "open", &format!("{TOKEN}    refreshInterval: 2m\n")),
    ]);
    for (model, seconds) in [alone, among].iter().zip(alone_and_among_others) {
        let bound = model.propagation_bound(&model.distributions[0], 0, FOUR);
        let assumed = Duration::from_secs(seconds) + PROPAGATION_SLACK;
        assert_eq!(bound, Bound::Never { why, assumed });
        assert_eq!(bound.limit(), assumed);
    }
}

#[test]
fn provisioning_takes_a_visit_for_each_namespace() {
    assert_eq!(Model::provisioning_bound(0), PROVISIONING_SLACK);
    assert_eq!(Model::provisioning_bound(70), PROVISIONING_SLACK + Duration::from_secs(10));
}
