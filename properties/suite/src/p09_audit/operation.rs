//! Operations of the people of a case on Secrets, and what the API server answers. Pure.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

/// Names of the Secrets that people make. Two are enough for one to be missing while the other is there.
pub(super) const NAMES: [&str; 2] = ["credence-one", "credence-two"];
const LONGEST: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Actor {
    /// The administrator of the cluster.
    Administrator,
    /// A ServiceAccount with rights in the namespace of the case.
    Tenant,
    /// The administrator in the name of that ServiceAccount, with its rights.
    Impersonator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    Create,
    Get,
    List,
    /// Reads all, and what becomes of them.
    Watch,
    /// Replaces one as a whole (PUT).
    Update,
    /// Merges a change into one.
    Patch,
    Delete,
    /// Removes all that the people of the case made.
    DeleteCollection,
}

impl Verb {
    const ALL: [Self; 8] = [
        Self::Create,
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::DeleteCollection,
    ];

    /// Verb in the audit log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// True if Kubernetes logs the name of the object: the URL of these requests has none, and the body of a request that
    /// is refused before it is read is not looked at.
    pub(super) fn tells_name(self, code: u16) -> bool {
        match self {
            Self::List | Self::Watch | Self::DeleteCollection => false,
            Self::Create => code != 403,
            Self::Get | Self::Update | Self::Patch | Self::Delete => true,
        }
    }
}

/// Secret that an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OperationTarget {
    /// To a Secret of the case's namespace.
    Own,
    /// To the source of the case's credential, where the administrator alone has rights.
    Source,
}

/// One operation of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation {
    pub actor: Actor,
    pub verb: Verb,
    pub place: OperationTarget,
    /// One of the [`NAMES`]; of no account where there is one Secret.
    pub name: &'static str,
}

/// Verbs that change nothing.
const READS: [Verb; 3] = [Verb::Get, Verb::List, Verb::Watch];

/// Some operations, in order. The administrator only reads the source: what else it may do would change it.
pub(super) fn operations() -> BoxedStrategy<Vec<Operation>> {
    let actor = select(&[Actor::Administrator, Actor::Tenant, Actor::Impersonator][..]);
    let own = (actor, select(&Verb::ALL[..]), select(&NAMES[..]));
    let own = own.prop_map(|(actor, verb, name)| Operation { actor, verb, place: OperationTarget::Own, name });
    let of_source = |(actor, verb)| Operation { actor, verb, place: OperationTarget::Source, name: NAMES[0] };
    let refused = (select(&[Actor::Tenant, Actor::Impersonator][..]), select(&Verb::ALL[..])).prop_map(of_source);
    let read = (Just(Actor::Administrator), select(&READS[..])).prop_map(of_source);
    vec(prop_oneof![4 => own, 1 => refused, 1 => read], 1..=LONGEST).boxed()
}

/// The Secrets that people have made in the case's namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct Made(BTreeSet<&'static str>);

impl Made {
    /// The status code of the answer to `operation`, which is carried out.
    pub(super) fn answer(&mut self, operation: Operation) -> u16 {
        if operation.place == OperationTarget::Source {
            return if operation.actor == Actor::Administrator { 200 } else { 403 };
        }
        let there = self.0.contains(operation.name);
        match operation.verb {
            Verb::List | Verb::Watch => 200,
            Verb::DeleteCollection => {
                self.0.clear();
                200
            }
            Verb::Create if there => 409,
            Verb::Create => {
                self.0.insert(operation.name);
                201
            }
            _ if !there => 404,
            Verb::Delete => {
                self.0.remove(operation.name);
                200
            }
            Verb::Get | Verb::Update | Verb::Patch => 200,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;
    use rstest::rstest;

    use super::*;

    fn own(verb: Verb, name: &'static str) -> Operation {
        Operation { actor: Actor::Tenant, verb, place: OperationTarget::Own, name }
    }

    #[rstest]
    #[case::missing(&[], Verb::Get, 404)]
    #[case::made(&[Verb::Create], Verb::Get, 200)]
    #[case::made_twice(&[Verb::Create], Verb::Create, 409)]
    #[case::removed(&[Verb::Create, Verb::Delete], Verb::Patch, 404)]
    #[case::all_removed(&[Verb::Create, Verb::DeleteCollection], Verb::Update, 404)]
    #[case::reading_all_needs_nothing(&[], Verb::List, 200)]
    fn the_answer_follows_from_what_was_made(#[case] before: &[Verb], #[case] verb: Verb, #[case] code: u16) {
        let mut made = Made::default();
        for verb in before {
            made.answer(own(*verb, NAMES[0]));
        }
        assert_eq!(made.answer(own(verb, NAMES[0])), code);
    }

    #[rstest]
    #[case::tenant(Actor::Tenant)]
    #[case::somebody_in_its_name(Actor::Impersonator)]
    fn the_source_is_closed_to_the_tenant_whatever_it_tries(#[case] actor: Actor) {
        for verb in Verb::ALL {
            let operation = Operation { actor, place: OperationTarget::Source, ..own(verb, NAMES[0]) };
            assert_eq!(Made::default().answer(operation), 403);
        }
    }

    #[test]
    fn the_administrator_reads_the_source_and_does_nothing_else_to_it() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            let drawn = operations().new_tree(&mut runner).unwrap().current();
            seen.extend(
                drawn.into_iter().filter(|one| one.place == OperationTarget::Source).map(|one| (one.actor, one.verb)),
            );
        }
        let reads: Vec<Verb> =
            seen.iter().filter(|(by, _)| *by == Actor::Administrator).map(|(_, verb)| *verb).collect();
        assert_eq!(reads, READS);
    }
}
