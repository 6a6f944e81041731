//! Demands of the team's intent on one namespace, judged by the intent and not by the selectors, which may be wrong.
//!
//! A namespace gets the labels of an example, and then a positive control the labels that ask for something: once the
//! control has its copies, ESO was at work after the example had its labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use credence_core::id::{CaseId, agent};
use credence_core::labels::Labels;
use credence_model::model::{Distribution, Example, Model, expected_in};
use credence_report::verdict::{Outcome, Violation};

use crate::observation::Observation;
use crate::oracle::Expected;
use crate::testbed::TestBed;
use crate::testbed::namespaces::{self, NamespaceError};
use crate::testbed::settle::{Past, control_labels, settle};

/// Demand of the intent on one namespace.
#[derive(Debug, Clone)]
pub(super) enum Demand {
    /// It holds what the example says, with the labels of the example.
    Example(Example),
    /// It holds no copy. Only looked at.
    Protected(String),
}

/// Everything that the intent demands and that a run can judge. A protected namespace is not made and not labelled, so that only
/// those are looked at which the configuration makes, and what an example says of one is left to lint.
pub(super) fn demands(model: &Model) -> Vec<Demand> {
    let intended = &model.intended;
    let may_be_touched = |example: &&Example| !example.name.as_ref().is_some_and(|name| model.is_protected(name));
    let examples = intended.examples.iter().filter(may_be_touched).cloned().map(Demand::Example);
    let protected = intended.protected.iter().filter(|name| model.namespaces.contains_key(*name));
    examples.chain(protected.cloned().map(Demand::Protected)).collect()
}

/// Labels the namespace, unless it is protected, and then the control, and judges both.
pub(super) async fn play(
    env: &Arc<TestBed>,
    id: CaseId,
    demand: &Demand,
    control: &Labels,
) -> Result<Observation, NamespaceError> {
    let (client, manager) = (env.client_for(id), agent(id));
    let mut observation = Observation::of(Outcome::Held);
    observation.bound = Some(env.provisioning_bound());
    let lease = match demand {
        Demand::Example(Example { name: Some(name), .. }) => {
            Some(env.namespaces.lease_named(name, &env.observer).await)
        }
        Demand::Example(_) => Some(env.namespaces.lease(&client).await?),
        Demand::Protected(_) => None,
    };
    let (name, expected) = match (demand, &lease) {
        (Demand::Example(example), Some(lease)) => {
            namespaces::set_labels(&client, &manager, &lease.name, &labels_for(&env.model, example)).await?;
            observation.add_context("set labels of an example", 1);
            (lease.name.as_str(), env.model.intended_in(example, &lease.name))
        }
        (Demand::Example(example), None) => (example.name.as_deref().unwrap_or_default(), Expected::new()),
        (Demand::Protected(name), _) => (name.as_str(), Expected::new()),
    };
    let keys: BTreeSet<&str> = env.model.label_vocabulary();
    let (beside, asking) = (env.namespaces.lease(&client).await?, control_labels(&env.model, &keys, control));
    namespaces::set_labels(&client, &manager, &beside.name, &asking).await?;
    observation.add_context("set label", 1);
    let twin_holds = expected_in(&env.model, &beside.name, &asking);
    let worlds = [(name, expected), (beside.name.as_str(), twin_holds)];
    let outcome = settle(env, &worlds, env.provisioning_bound(), Past::Relabelled, &mut observation.latencies).await;
    observation.outcome = explained(demand, outcome);
    for (_, expected) in &worlds {
        observation.settled(expected);
    }
    named(&env.model, demand).into_iter().for_each(|distribution| observation.reach(distribution));
    drop(worlds);
    if let (Some(lease), Demand::Example(example)) = (lease, demand) {
        env.namespaces.give_back(env, lease, labels_for(&env.model, example).into_keys().collect());
    }
    env.namespaces.give_back(env, beside, asking.into_keys().collect());
    Ok(observation)
}

/// The labels that a namespace gets for an example, or loses: one that is selected by its name may have others.
fn labels_for(model: &Model, example: &Example) -> BTreeMap<String, Option<String>> {
    let none = model.label_vocabulary().into_iter().map(|key| (key.to_owned(), None));
    none.chain(example.labels.iter().map(|(key, value)| (key.clone(), Some(value.clone())))).collect()
}

/// The distributions that an example names.
fn named<'a>(model: &'a Model, demand: &Demand) -> Vec<&'a Distribution> {
    let Demand::Example(example) = demand else { return Vec::new() };
    let wanted = example.must_have.iter().chain(&example.must_not_have).flat_map(|wanted| &wanted.distributions);
    let wanted: BTreeSet<&String> = wanted.collect();
    model.distributions.iter().filter(|distribution| wanted.contains(&distribution.name)).collect()
}

/// Says what demanded it before the reason of a violation.
fn explained(demand: &Demand, outcome: Outcome) -> Outcome {
    let Outcome::Violated(Violation { reason, known }) = outcome else { return outcome };
    let reason = match demand {
        Demand::Example(example) => format!("{}, by the intent at {}: {reason}", example.namespace(), example.at),
        Demand::Protected(name) => format!("namespace {name}, which the intent protects: {reason}"),
    };
    Outcome::Violated(Violation { reason, known })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use credence_core::manifest::Location;
    use credence_model::model::testing::reference;
    use credence_model::model::{Intended, Wanted};

    use super::*;

    fn wanted(name: &str) -> Vec<Wanted> {
        let at = Location { file: PathBuf::from("credence.yaml"), line: 3, column: 1 };
        vec![Wanted { at, name: name.to_owned(), distributions: vec![name.to_owned()] }]
    }

    fn example(name: Option<&str>, must_have: Vec<Wanted>, must_not_have: Vec<Wanted>) -> Example {
        let at = Location { file: PathBuf::from("credence.yaml"), line: 3, column: 1 };
        let labels = BTreeMap::from([("secrets/gh-docker-registry".to_owned(), "true".to_owned())]);
        Example { at, name: name.map(str::to_owned), labels, must_have, must_not_have, reason: None }
    }

    #[test]
    fn of_the_copies_that_an_example_names_the_intent_has_the_word() {
        let model = reference();
        let held = |example: &Example| model.intended_in(example, "shop").into_keys().collect::<Vec<_>>();
        assert_eq!(held(&example(None, vec![], vec![])), ["gh-docker-registry"]);
        assert_eq!(held(&example(None, wanted("wildcard-tls"), vec![])), ["gh-docker-registry", "wildcard-tls"]);
        assert_eq!(held(&example(None, vec![], wanted("application-docker-registry"))), Vec::<String>::new());
    }

    #[test]
    fn a_protected_namespace_is_looked_at_if_it_is_there_and_touched_by_no_example() {
        let protected = ["made", "absent"].map(str::to_owned).into();
        let examples = vec![example(Some("made"), vec![], wanted("wildcard-tls")), example(None, vec![], vec![])];
        let mut model = reference().intending(Intended { examples, protected, ..Intended::default() });
        model.namespaces.insert("made".to_owned(), Labels::new());
        let shown = demands(&model).into_iter().map(|demand| match demand {
            Demand::Example(example) => example.namespace(),
            Demand::Protected(name) => name,
        });
        assert_eq!(shown.collect::<Vec<_>>(), ["a namespace with secrets/gh-docker-registry=true", "made"]);
    }

    #[test]
    fn a_violation_names_the_place_of_the_example() {
        let example = example(None, wanted("wildcard-tls"), vec![]);
        let outcome = explained(&Demand::Example(example), credence_report::verdict::violated("it is not there"));
        let Outcome::Violated(violation) = outcome else { panic!("{outcome:?}") };
        assert!(
            violation.reason.contains("by the intent at credence.yaml:3:1: it is not there"),
            "{}",
            violation.reason
        );
    }
}
