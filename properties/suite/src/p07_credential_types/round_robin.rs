//! Copies that cases use: they are dealt by number and not drawn, so that a few cases meet every consumer. Pure.

use std::collections::{BTreeMap, BTreeSet};

use credence_core::consumer::Consumer;
use credence_core::formats::BACKSTAGE;
use credence_core::id::CaseId;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model};

use super::backstage_copies::BackstageCopies;
use super::judged::{Choice, NotJudged, consumed, judged};
use super::{CredentialTypes, PORTAL_SLOT, SLOTS_PER_PORTAL};
use crate::driver::Property;

/// The copies that cases use, and their order.
pub(super) struct Deal<'a> {
    consumed: BTreeMap<&'a SourceRef, Vec<Choice<'a>>>,
    turns: Vec<&'a SourceRef>,
    /// The sources of a slot that begins with a case of Backstage.
    backstage: Option<[&'a SourceRef; 2]>,
}

impl<'a> Deal<'a> {
    /// The deal of a configuration.
    pub(super) fn of(model: &'a Model) -> Self {
        let consumed: BTreeMap<&SourceRef, Vec<Choice<'a>>> =
            model.sources.keys().map(|source| (source, consumed(model, source))).collect();
        let turns = turns(&consumed);
        Self { consumed, turns, backstage: BackstageCopies::of(model).map(|(_, sources)| sources) }
    }

    /// The source whose turn it is in a slot without a case of Backstage.
    pub(super) fn turn_in(&self, slot: u32) -> Option<&'a SourceRef> {
        let turn = usize::try_from(slot).ok()?.checked_rem(self.turns.len())?;
        Some(self.turns[turn])
    }

    /// The sources of a slot, in their order.
    pub(super) fn sources_of(&self, slot: u32) -> Vec<&'a SourceRef> {
        match self.backstage.filter(|_| slot % SLOTS_PER_PORTAL == PORTAL_SLOT) {
            Some(mut sources) => {
                sources.sort();
                sources.to_vec()
            }
            None => self.turn_in(slot).into_iter().collect(),
        }
    }

    /// The copy that a case uses, in a slot with these sources.
    pub(super) fn choice(&self, case: CaseId, sources: &[&SourceRef]) -> Option<Choice<'a>> {
        let of = |(number, source): (usize, &&SourceRef)| {
            let consumed = self.consumed.get(*source).into_iter().flatten();
            consumed.map(move |choice| Choice { source: number, ..choice.clone() }).collect::<Vec<_>>()
        };
        let choices: Vec<Choice<'a>> = sources.iter().enumerate().flat_map(of).collect();
        let (slot, place) = slot_and_place(case);
        // Where a slot has too few cases for all of them, those of the next one with these sources begin where they end;
        // else with another one than those of the slot before.
        let begin = if choices.len() > cases_per_slot() {
            (0..slot).filter(|earlier| self.sources_of(*earlier) == sources).count() * cases_per_slot()
        } else {
            usize::try_from(slot).ok()?
        };
        let turn = (begin + usize::try_from(place).ok()?).checked_rem(choices.len())?;
        choices.into_iter().nth(turn)
    }
}

/// The sources in the order of their turns, which begins again after the last. First as often as it takes until each copy has
/// had a case, one source after the other; and then until a source has had as many turns as it has copies, so that each
/// format gets about as many cases.
fn turns<'a>(consumed: &BTreeMap<&'a SourceRef, Vec<Choice<'a>>>) -> Vec<&'a SourceRef> {
    let rounds = |count: &dyn Fn(usize) -> usize| -> Vec<&'a SourceRef> {
        let longest = consumed.values().map(|copies| count(copies.len())).max().unwrap_or_default();
        let round = |number: usize| {
            let in_it = consumed.iter().filter(move |(_, copies)| count(copies.len()) > number);
            in_it.map(|(source, _)| *source)
        };
        (0..longest).flat_map(round).collect()
    };
    let needed = |copies: usize| copies.div_ceil(cases_per_slot());
    let mut turns = rounds(&needed);
    turns.extend(rounds(&|copies| copies - needed(copies)));
    turns
}

fn cases_per_slot() -> usize {
    // It fits, wherever a pointer has more than 16 bits.
    usize::try_from(CredentialTypes::CASES_PER_SLOT).unwrap_or(usize::MAX)
}

/// True if a case is the first of its slot.
pub(super) fn is_first(case: CaseId) -> bool {
    slot_and_place(case).1 == 0
}

/// The number of a case's slot, and its place in it.
fn slot_and_place(case: CaseId) -> (u32, u32) {
    (case.index / CredentialTypes::CASES_PER_SLOT, case.index % CredentialTypes::CASES_PER_SLOT)
}

/// The copies that no case uses, each with the reasons.
pub(super) fn not_judged(model: &Model) -> BTreeMap<String, String> {
    let reasons = |distribution: &Distribution| -> Option<BTreeSet<String>> {
        let sources = distribution.sources();
        let of_each: Vec<Vec<NotJudged>> =
            sources.iter().map(|source| judged(model, distribution, source).err()).collect::<Option<_>>()?;
        let mut all: BTreeSet<String> = of_each.iter().flatten().map(ToString::to_string).collect();
        if sources.is_empty() {
            all.insert(NotJudged::NoSource.to_string());
        }
        Some(all)
    };
    let distributions =
        model.distributions.iter().filter_map(|distribution| Some((distribution, reasons(distribution)?)));
    let mut all: BTreeMap<String, String> = distributions
        .map(|(distribution, reasons)| (login_with(distribution), Vec::from_iter(reasons).join("; ")))
        .collect();
    if !model.absent_consumers.contains_key(&BACKSTAGE) && BackstageCopies::of(model).is_none() {
        all.insert(BACKSTAGE.operation().to_owned(), NO_PORTAL.to_owned());
    }
    all
}

/// Why no case is one of Backstage where it could run.
const NO_PORTAL: &str =
    "the configuration lacks an OAuth client, or one source with both a pull secret and a Git token of Kargo";

fn login_with(distribution: &Distribution) -> String {
    format!("login with copy {} of {}", distribution.secret, distribution.name)
}

/// The copies whose turn does not come in so many cases.
pub(super) fn not_reached(model: &Model, cases: u32) -> BTreeMap<String, String> {
    let named = |choice: &Choice<'_>| (login_with(choice.distribution), choice.consumer);
    let round_robin = Deal::of(model);
    let dealt = |index| {
        let case = CaseId { property: CredentialTypes::META.id, seed: 0, index };
        round_robin.choice(case, &round_robin.sources_of(slot_and_place(case).0))
    };
    let reached: BTreeSet<(String, Consumer)> = (0..cases).filter_map(dealt).map(|choice| named(&choice)).collect();
    let all = round_robin.consumed.values().flatten();
    let missed = all.map(named).filter(|choice| !reached.contains(choice));
    let why = format!("no turn of it comes in {cases} cases; more of them have one");
    missed.map(|(login, consumer)| (format!("{}: {login}", consumer.operation()), why.clone())).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credence_core::endpoints::Endpoints;
    use credence_core::formats::{ARGO_CD, FLUX_GIT, FLUX_GIT_RULES, FLUX_OCI, FLUX_OCI_RULES, KUBELET};
    use credence_core::manifest::parse_documents;
    use credence_model::config::Config;
    use credence_model::model::testing::reference;

    use super::*;

    fn case(index: u32) -> CaseId {
        CaseId { property: CredentialTypes::META.id, seed: 1, index }
    }

    /// A configuration with `logins` sources, each with `copies` pull secrets of its own registry.
    fn many(logins: usize, copies: usize) -> Model {
        let mut text = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: store}\n\
                        spec: {provider: {kubernetes: {remoteNamespace: central}}}\n"
            .to_owned();
        for login in 0..logins {
            for copy in 0..copies {
                text.push_str(&format!(
                    "---\napiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\n\
                     metadata: {{name: pull-{login}-{copy}}}\nspec:\n  \
                     namespaceSelectors: [{{matchLabels: {{pull: 'true'}}}}]\n  externalSecretSpec:\n    \
                     secretStoreRef: {{kind: ClusterSecretStore, name: store}}\n    \
                     target: {{template: {{type: kubernetes.io/tls}}}}\n    data:\n    \
                     - {{secretKey: tls.crt, remoteRef: {{key: login-{login}, property: tls.crt}}}}\n    \
                     - {{secretKey: tls.key, remoteRef: {{key: login-{login}, property: tls.key}}}}\n"
                ));
            }
        }
        Model::derive(&Config::from_manifests(parse_documents(Path::new("a.yaml"), &text).unwrap()).unwrap())
    }

    #[test]
    fn three_cases_meet_backstage_the_kubelet_and_argo_cd() {
        let model = reference();
        let round_robin = Deal::of(&model);
        let sources = round_robin.sources_of(0);
        assert_eq!(sources.len(), 2);
        assert!(is_first(case(0)));
        let met = [1, 2].map(|index| round_robin.choice(case(index), &sources).unwrap().consumer);
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
            all.map(|choice| (choice.distribution.secret.clone(), choice.consumer)).collect()
        };
        let added = |with: &Model| -> BTreeSet<_> { dealt(with).difference(&dealt(&without)).cloned().collect() };
        let expected = |git: Consumer, oci: Consumer| -> BTreeSet<(String, Consumer)> {
            [("kargo-git-credentials", git), ("gh-docker-registry", oci)]
                .map(|(secret, consumer)| (secret.to_owned(), consumer))
                .into()
        };
        assert_eq!(added(&with), expected(FLUX_GIT, FLUX_OCI));
        assert!(dealt(&without).is_subset(&dealt(&with)));
        with.absent_consumers = [FLUX_GIT, FLUX_OCI].map(|absent| (absent, "no Go".to_owned())).into();
        assert_eq!(added(&with), expected(FLUX_GIT_RULES, FLUX_OCI_RULES));
    }

    #[test]
    fn the_cases_of_a_slot_meet_every_consumer_of_its_source() {
        let model = reference();
        let round_robin = Deal::of(&model);
        for source in model.sources.keys() {
            let all: BTreeSet<Consumer> = consumed(&model, source).iter().map(|choice| choice.consumer).collect();
            let cases = (30..40).filter_map(|index| round_robin.choice(case(index), &[source]));
            assert_eq!(cases.map(|choice| choice.consumer).collect::<BTreeSet<_>>(), all, "{source}");
        }
    }

    #[test]
    fn every_copy_has_a_turn_before_any_source_has_a_second_one_that_it_does_not_need() {
        let (few, many_copies) = (many(12, 3), many(3, 25));
        assert_eq!(Deal::of(&few).turns.len(), 36);
        assert_eq!(not_reached(&few, 120), BTreeMap::new());
        assert_eq!(not_reached(&few, 100).len(), 2 * 3);
        assert_eq!(not_reached(&many_copies, 90), BTreeMap::new());
        let missed = not_reached(&many_copies, 30);
        assert_eq!(missed.len(), 3 * 15);
        assert!(missed.contains_key("TLS handshake: login with copy pull-2-24 of pull-2-24"), "{missed:?}");
    }

    #[test]
    fn every_copy_of_the_reference_is_judged_and_reached() {
        let model = reference();
        assert_eq!(not_judged(&model), BTreeMap::new());
        assert_eq!(not_reached(&model, 40), BTreeMap::new());
    }
}
