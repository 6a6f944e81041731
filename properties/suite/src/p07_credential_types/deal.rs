//! Which copy a case uses: they are dealt by number and not drawn, so that a few cases meet every consumer. Pure.

use credence_core::consumer::Consumer;
use credence_core::formats::KUBELET;
use credence_core::id::CaseId;
use credence_model::config::SourceRef;
use credence_model::model::{Model, Target};

use super::CredentialTypes;
use crate::driver::Property;
use crate::testbed::rotation::targets_of;

/// The targets of a source whose copies have a consumer here, or what stands in for it; those for pods, the most common
/// consumers, once more at the end.
pub(super) fn consumed<'a>(model: &'a Model, source: &SourceRef) -> Vec<(&'a Target, Consumer)> {
    let with_consumers = |target: &'a Target| {
        let users = Consumer::users_of(&target.shape(), &model.endpoints).into_iter();
        users.filter_map(move |consumer| Some((target, consumer.among(&model.absent_consumers)?)))
    };
    let mut all: Vec<_> = targets_of(model, source).into_iter().flat_map(with_consumers).collect();
    let pods: Vec<_> = all.iter().copied().filter(|(_, consumer)| *consumer == KUBELET).collect();
    all.extend(pods);
    all
}

/// The targets of the `sources`, each with its consumer and the number of its source.
pub(super) fn choices<'a>(model: &'a Model, sources: &[&SourceRef]) -> Vec<(&'a Target, Consumer, usize)> {
    let of = |(number, source): (usize, &&SourceRef)| {
        consumed(model, source).into_iter().map(move |(target, consumer)| (target, consumer, number))
    };
    sources.iter().enumerate().flat_map(of).collect()
}

/// Whether a case is the first of its slot.
pub(super) fn is_first(case: CaseId) -> bool {
    slot_and_place(case).1 == 0
}

/// The number of a case's slot, and its place in it.
fn slot_and_place(case: CaseId) -> (u32, u32) {
    (case.index / CredentialTypes::CASES_PER_SLOT, case.index % CredentialTypes::CASES_PER_SLOT)
}

/// Which of `choices` is for a case: its slot's begin with another one than those of the slot before.
pub(super) fn turn(case: CaseId, choices: usize) -> Option<usize> {
    let (slot, place) = slot_and_place(case);
    usize::try_from(slot + place).ok()?.checked_rem(choices)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use credence_core::endpoints::Endpoints;
    use credence_core::formats::{ARGO_CD, FLUX_GIT_RULES, FLUX_OCI_RULES};
    use credence_core::manifest::parse_documents;
    use credence_model::model::testing::reference;

    use super::*;
    use crate::p07_credential_types::PortalCopies;

    fn case(index: u32) -> CaseId {
        CaseId { property: CredentialTypes::META.id, seed: 1, index }
    }

    #[test]
    fn three_cases_meet_backstage_the_kubelet_and_argo_cd() {
        let model = reference();
        let (_, mut sources) = PortalCopies::of(&model).unwrap();
        sources.sort();
        let choices = choices(&model, &sources);
        assert!(is_first(case(0)));
        let met = [1, 2].map(|index| choices[turn(case(index), choices.len()).unwrap()].1);
        assert_eq!(met, [KUBELET, ARGO_CD]);
    }

    #[test]
    fn copies_that_sources_of_flux_name_are_dealt_to_flux_too() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/consumers/flux/sources.yaml");
        let manifests = parse_documents(&file, &std::fs::read_to_string(&file).unwrap()).unwrap();
        let (without, mut with) = (reference(), reference());
        with.endpoints = Endpoints::from_manifests(&manifests);
        let dealt = |model: &Model| -> BTreeSet<(String, Consumer)> {
            let all = model.sources.keys().flat_map(|source| consumed(model, source));
            all.map(|(target, consumer)| (target.secret.clone(), consumer)).collect()
        };
        let added: BTreeSet<_> = dealt(&with).difference(&dealt(&without)).cloned().collect();
        let expected = [("kargo-git-credentials", FLUX_GIT_RULES), ("gh-docker-registry", FLUX_OCI_RULES)];
        assert_eq!(added, expected.map(|(secret, consumer)| (secret.to_owned(), consumer)).into());
        assert!(dealt(&without).is_subset(&dealt(&with)));
    }

    #[test]
    fn the_cases_of_a_slot_meet_every_consumer_of_its_source() {
        let model = reference();
        for source in model.sources.keys() {
            let choices = choices(&model, &[source]);
            let all: BTreeSet<Consumer> = choices.iter().map(|(_, consumer, _)| *consumer).collect();
            let cases = (30..40).filter_map(|index| turn(case(index), choices.len()));
            assert_eq!(cases.map(|turn| choices[turn].1).collect::<BTreeSet<_>>(), all, "{source}");
        }
    }
}
