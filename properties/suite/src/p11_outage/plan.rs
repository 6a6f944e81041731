//! Faults that the cases of a slot live through. Pure.

use credence_model::model::{Distribution, Model};

use super::fault::FaultKind;
use super::scope::{Scope, may_go};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) scope: Scope,
    /// True if it is the only slot that runs.
    pub(super) alone: bool,
    pub(super) kinds: Vec<FaultKind>,
    /// The distributions whose copies feel all of them, by name.
    pub(super) distributions: Vec<String>,
}

/// Outages of a slot, one after the other, and of one in which everything fails.
const OUTAGES: (usize, usize) = (2, 4);
/// Every so many slots, one has everything fail.
const PERIOD: usize = 4;
/// Number of that turn among them.
const GLOBAL_TURN: usize = 1;

impl Plan {
    /// The plan of slot number `slot`: the scopes take turns, and so do the kinds of fault.
    pub(super) fn of(model: &Model, slot: u32) -> Option<Self> {
        let slot = usize::try_from(slot).ok()?;
        let round = slot / PERIOD;
        let global = usable(&FaultKind::GLOBAL, model, &Scope::whole(model));
        if slot % PERIOD == GLOBAL_TURN && !global.is_empty() {
            return Self::drawn(model, Scope::whole(model), true, &global, round, OUTAGES.1);
        }
        let scopes = Scope::all(model);
        // Slots before this one that had everything fail.
        let others = if global.is_empty() { 0 } else { (slot + PERIOD - 1 - GLOBAL_TURN) / PERIOD };
        let turn = slot - others;
        let scope = scopes.get(turn.checked_rem(scopes.len())?)?.clone();
        let local = usable(&FaultKind::LOCAL, model, &Scope::whole(model));
        Self::drawn(model, scope, false, &local, turn, OUTAGES.0)
    }

    fn drawn(
        model: &Model,
        scope: Scope,
        alone: bool,
        kinds: &[FaultKind],
        turn: usize,
        outages: usize,
    ) -> Option<Self> {
        let mut distributions = scope.distributions(model);
        // At first all cases of a scope are about copies that may go with their source, where there are some.
        if !alone && turn < Scope::all(model).len() && distributions.iter().any(|one| may_go(one)) {
            distributions.retain(|one| may_go(one));
        }
        let mut chosen = Vec::new();
        for kind in kinds.iter().cycle().skip(turn * outages).take(kinds.len()) {
            let concerned: Vec<&Distribution> =
                distributions.iter().copied().filter(|distribution| kind.concerns(model, distribution)).collect();
            if !concerned.is_empty() && chosen.len() < outages {
                distributions = concerned;
                chosen.push(*kind);
            }
        }
        let distributions: Vec<String> =
            distributions.into_iter().map(|distribution| distribution.name.clone()).collect();
        (!chosen.is_empty()).then_some(Self { scope, alone, kinds: chosen, distributions })
    }
}

/// The kinds that can be made here, and that some distribution feels.
fn usable(kinds: &[FaultKind], model: &Model, scope: &Scope) -> Vec<FaultKind> {
    let felt = |kind: &FaultKind| {
        scope.distributions(model).into_iter().any(|distribution| kind.concerns(model, distribution))
    };
    kinds.iter().copied().filter(|kind| kind.unsupported(model).is_none() && felt(kind)).collect()
}

#[cfg(test)]
mod tests {
    use credence_model::config::DeletionPolicy;
    use credence_model::model::Disturbance;

    use super::super::tests::reference;
    use super::*;

    fn met(model: &Model, slots: u32) -> Vec<FaultKind> {
        (0..slots).filter_map(|slot| Plan::of(model, slot)).flat_map(|plan| plan.kinds).collect()
    }

    #[test]
    fn a_hundred_cases_meet_every_fault_that_the_reference_configuration_can_have() {
        let model = reference();
        let met = met(&model, 10);
        let others = [FaultKind::SourceUntagged, FaultKind::VaultSealed, FaultKind::VaultLoginEnded];
        for kind in FaultKind::LOCAL.iter().chain(&FaultKind::GLOBAL).filter(|kind| !others.contains(kind)) {
            assert!(met.contains(kind), "{kind:?} is not among {met:?}");
        }
        assert!(
            !others.iter().any(|kind| met.contains(kind)),
            "nothing is found by labels, and no store is of Vault: {met:?}"
        );
    }

    #[test]
    fn ten_cases_meet_a_copy_that_may_go_with_its_source_while_that_is_gone() {
        let mut model = reference();
        let name = "application-docker-registry";
        let one = model.distributions.iter_mut().find(|distribution| distribution.name == name).unwrap();
        one.deletion_policy = DeletionPolicy::Delete;
        let plan = Plan::of(&model, 0).unwrap();
        assert!(plan.kinds.contains(&FaultKind::SourceDeleted), "{plan:?}");
        assert_eq!(plan.distributions, [name]);
    }

    #[test]
    fn a_cluster_of_others_meets_no_fault_that_needs_its_programs() {
        let mut model = reference();
        model.outages_unsupported = Some("not ours".into());
        let undisturbed = Disturbance::ALL.map(|disturbance| (disturbance, "not ours".to_owned()));
        model.undisturbed = undisturbed.into();
        let met = met(&model, 10);
        assert!(met.iter().all(|kind| kind.unsupported(&model).is_none()), "{met:?}");
        assert!(met.contains(&FaultKind::Hang) && met.contains(&FaultKind::SourceDeleted));
    }

    #[test]
    fn a_search_by_labels_can_lose_its_source() {
        let mut model = reference();
        let distribution = &mut model.distributions[0];
        distribution.fields.iter_mut().for_each(|field| field.property = None);
        let (name, source) = (distribution.name.clone(), distribution.fields[0].source.clone());
        model.sources.get_mut(&source).unwrap().tags.insert("share".into());
        // Scopes and kinds take turns of different lengths, and so many slots see each with each.
        let plans: Vec<Plan> = (0..50).filter_map(|slot| Plan::of(&model, slot)).collect();
        let untagged: Vec<&Plan> =
            plans.iter().filter(|plan| plan.kinds.contains(&FaultKind::SourceUntagged)).collect();
        assert!(!untagged.is_empty() && untagged.iter().all(|plan| plan.distributions == [name.clone()]), "{plans:?}");
    }
}
