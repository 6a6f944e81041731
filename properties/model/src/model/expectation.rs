//! The copies that each namespace must hold.

use std::collections::BTreeMap;
use std::fmt;

use credence_core::labels::Labels;

use super::{Distribution, Model};
use crate::selector::{OptOut, effective_labels, opt_ins, opts_out};

/// A copy: a Secret in a distribution namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyRef {
    /// Namespace that the copy is distributed to.
    pub namespace: String,
    /// Name of the Secret there.
    pub secret: String,
}

impl fmt::Display for CopyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.secret)
    }
}

/// Copies that a set of namespaces must hold, and where the configuration contradicts itself or its purpose.
#[derive(Debug, Clone)]
pub struct Expectation<'a> {
    /// Every copy that must exist, with what it must be; no other copy may.
    pub copies: BTreeMap<CopyRef, &'a Distribution>,
    /// The namespaces that are selected and still must not hold a copy, and the copies that two distributions claim.
    pub conflicts: Vec<Conflict>,
}

/// A contradiction in a configuration, seen at one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the doc of each variant says what its fields are")]
pub enum Conflict {
    /// A distribution selects a namespace that one of its stores does not admit: the copy cannot be made.
    NotAdmitted { distribution: String, namespace: String, store: String },
    /// A distribution selects a namespace that declines.
    Declined {
        distribution: String,
        namespace: String,
        /// The label with which it declines.
        opt_out: OptOut,
    },
    /// A distribution selects a namespace that never asks (see [`Model::is_protected`]).
    Protected { distribution: String, namespace: String },
    /// Two distributions write the same copy; the first by name is the one that is expected.
    SameCopy { copy: CopyRef, first: String, second: String },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAdmitted { distribution, namespace, store } => {
                write!(f, "{distribution} selects namespace {namespace}, which store {store} does not admit")
            }
            Self::Declined { distribution, namespace, opt_out } => {
                write!(f, "{distribution} selects namespace {namespace}, which declines: {opt_out}")
            }
            Self::Protected { distribution, namespace } => {
                write!(f, "{distribution} selects namespace {namespace}, which never asks")
            }
            Self::SameCopy { copy, first, second } => write!(f, "{first} and {second} both write {copy}"),
        }
    }
}

impl Model {
    /// The copies that each namespace must hold, when these are all namespaces, with the labels they were given.
    ///
    /// A namespace must hold a copy if it is selected, does not decline (see [`opts_out`]), is not protected, and is
    /// admitted by every store that the distribution reads through. An ExternalSecret that the configuration puts into
    /// a namespace is asked for there, whatever else that holds.
    pub fn expectation(&self, namespaces: &BTreeMap<String, Labels>) -> Expectation<'_> {
        let mut expectation = Expectation { copies: BTreeMap::new(), conflicts: Vec::new() };
        for (namespace, labels) in namespaces {
            let labels = effective_labels(namespace, labels);
            for distribution in &self.distributions {
                if !distribution.selection.matches(&labels) {
                    continue;
                }
                if let Some(conflict) = self.obstacle(distribution, namespace, &labels) {
                    expectation.conflicts.push(conflict);
                    continue;
                }
                let copy = CopyRef { namespace: namespace.clone(), secret: distribution.secret.clone() };
                if let Some(first) = expectation.copies.get(&copy) {
                    expectation.conflicts.push(Conflict::SameCopy {
                        copy,
                        first: first.name.clone(),
                        second: distribution.name.clone(),
                    });
                } else {
                    expectation.copies.insert(copy, distribution);
                }
            }
        }
        expectation
    }

    /// The copies of [`Model::expectation`], without its conflicts.
    pub fn expected(&self, namespaces: &BTreeMap<String, Labels>) -> BTreeMap<CopyRef, &Distribution> {
        self.expectation(namespaces).copies
    }

    /// Why a selected namespace must not hold a copy, if it must not.
    fn obstacle(&self, distribution: &Distribution, namespace: &str, labels: &Labels) -> Option<Conflict> {
        let (name, namespace) = (distribution.name.clone(), namespace.to_owned());
        if distribution.namespace().is_none() && self.is_protected(&namespace) {
            return Some(Conflict::Protected { distribution: name, namespace });
        }
        if let Some(opt_out) = opts_out(&distribution.selection, labels, |key| self.is_switch(key)) {
            return Some(Conflict::Declined { distribution: name, namespace, opt_out });
        }
        let store = distribution.stores.iter().find(|store| !store.admits(labels))?;
        Some(Conflict::NotAdmitted { distribution: name, namespace, store: store.name.clone() })
    }
}

/// The distributions whose copies a namespace must hold, given its labels, by Secret name.
pub fn expected_in<'a>(model: &'a Model, namespace: &str, labels: &Labels) -> BTreeMap<String, &'a Distribution> {
    let one = BTreeMap::from([(namespace.to_owned(), labels.clone())]);
    model.expected(&one).into_iter().map(|(copy, distribution)| (copy.secret, distribution)).collect()
}

/// The label maps with which `distribution` selects a namespace of any name, whether its stores admit it or not.
pub fn selecting_labels(distribution: &Distribution) -> Vec<Labels> {
    opt_ins(&distribution.selection).into_iter().filter(|way| way.names.is_none()).map(|way| way.labels).collect()
}
