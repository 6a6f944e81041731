//! Who must hold which copy.

use std::collections::BTreeMap;
use std::fmt;

use credence_core::labels::Labels;

use super::{Model, Target};
use crate::selector::{Refusal, effective_labels, opt_ins, opts_out};

/// A copy: a Secret in a target namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyRef {
    /// The target namespace.
    pub namespace: String,
    /// The Secret's name.
    pub secret: String,
}

impl fmt::Display for CopyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.secret)
    }
}

/// What a set of namespaces must hold, and where the configuration contradicts itself or its purpose.
#[derive(Debug, Clone)]
pub struct Expectation<'a> {
    /// Every copy that must exist, with what it must be; no other copy may.
    pub copies: BTreeMap<CopyRef, &'a Target>,
    /// The namespaces that are selected and still must not hold a copy, and the copies that two targets claim.
    pub conflicts: Vec<Conflict>,
}

/// A contradiction in a configuration, seen at one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// A target selects a namespace that one of its stores does not admit: the copy cannot be made.
    NotAdmitted {
        /// The target's name.
        target: String,
        /// The namespace.
        namespace: String,
        /// The store's name.
        store: String,
    },
    /// A target selects a namespace that declines.
    Declined {
        /// The target's name.
        target: String,
        /// The namespace.
        namespace: String,
        /// The label with which it declines.
        refusal: Refusal,
    },
    /// A target selects a namespace that never asks (see [`Model::is_protected`]).
    Protected {
        /// The target's name.
        target: String,
        /// The namespace.
        namespace: String,
    },
    /// Two targets write the same copy; the first by name is the one that is expected.
    SameCopy {
        /// The copy.
        copy: CopyRef,
        /// The first target's name.
        first: String,
        /// The second target's name.
        second: String,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAdmitted { target, namespace, store } => {
                write!(f, "{target} selects namespace {namespace}, which store {store} does not admit")
            }
            Self::Declined { target, namespace, refusal } => {
                write!(f, "{target} selects namespace {namespace}, which declines: {refusal}")
            }
            Self::Protected { target, namespace } => {
                write!(f, "{target} selects namespace {namespace}, which never asks")
            }
            Self::SameCopy { copy, first, second } => write!(f, "{first} and {second} both write {copy}"),
        }
    }
}

impl Model {
    /// Who must hold which copy, when these are all namespaces, with the labels they were given.
    ///
    /// A namespace must hold a copy if it is selected, does not decline (see [`opts_out`]), is not protected, and is
    /// admitted by every store that the target reads through. An ExternalSecret that the configuration puts into a namespace is
    /// asked for there, whatever else that holds.
    pub fn expectation(&self, namespaces: &BTreeMap<String, Labels>) -> Expectation<'_> {
        let mut expectation = Expectation { copies: BTreeMap::new(), conflicts: Vec::new() };
        for (namespace, labels) in namespaces {
            let labels = effective_labels(namespace, labels);
            for target in &self.targets {
                if !target.selection.matches(&labels) {
                    continue;
                }
                if let Some(conflict) = self.obstacle(target, namespace, &labels) {
                    expectation.conflicts.push(conflict);
                    continue;
                }
                let copy = CopyRef { namespace: namespace.clone(), secret: target.secret.clone() };
                if let Some(first) = expectation.copies.get(&copy) {
                    expectation.conflicts.push(Conflict::SameCopy {
                        copy,
                        first: first.name.clone(),
                        second: target.name.clone(),
                    });
                } else {
                    expectation.copies.insert(copy, target);
                }
            }
        }
        expectation
    }

    /// The copies of [`Model::expectation`].
    pub fn expected(&self, namespaces: &BTreeMap<String, Labels>) -> BTreeMap<CopyRef, &Target> {
        self.expectation(namespaces).copies
    }

    /// Why a selected namespace must not hold a copy, if it must not.
    fn obstacle(&self, target: &Target, namespace: &str, labels: &Labels) -> Option<Conflict> {
        let (name, namespace) = (target.name.clone(), namespace.to_owned());
        if target.namespace().is_none() && self.is_protected(&namespace) {
            return Some(Conflict::Protected { target: name, namespace });
        }
        if let Some(refusal) = opts_out(&target.selection, labels, |key| self.is_switch(key)) {
            return Some(Conflict::Declined { target: name, namespace, refusal });
        }
        let store = target.stores.iter().find(|store| !store.admits(labels))?;
        Some(Conflict::NotAdmitted { target: name, namespace, store: store.name.clone() })
    }
}

/// The targets whose copies a namespace must hold, given its labels, by Secret name.
pub fn expected_in<'a>(model: &'a Model, namespace: &str, labels: &Labels) -> BTreeMap<String, &'a Target> {
    let one = BTreeMap::from([(namespace.to_owned(), labels.clone())]);
    model.expected(&one).into_iter().map(|(copy, target)| (copy.secret, target)).collect()
}

/// The label maps with which `target` selects a namespace of any name, whether its stores admit it or not.
pub fn selecting_labels(target: &Target) -> Vec<Labels> {
    opt_ins(&target.selection).into_iter().filter(|way| way.names.is_none()).map(|way| way.labels).collect()
}
