//! Statements of a property on the copies that it judges, and how a distribution is named in a report.

use std::collections::BTreeMap;

use credence_core::consumer::Consumer;
use credence_core::text::Reason;
use credence_model::config::SourceRef;
use credence_model::model::{Distribution, Model};
use credence_report::copy::{CopyName, Declared, Scope};

/// Why no property judges the copies of a distribution that gives them to nobody.
pub(crate) const NOBODY: &str = "no namespace gets it: it selects none that its stores admit";
/// Why a property that labels namespaces of its own does not judge a copy.
pub(crate) const BY_NAME_ALONE: &str =
    "the name of a namespace decides who gets it, and its cases label namespaces of their own";

/// Why a property about selections does not judge a copy.
pub(crate) const FIXED: &str = "no ClusterExternalSecret makes it, and so nothing selects its namespace";

/// Judgement of a property on the copies of a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judges {
    /// Its cases can have them before them. Which did, they say by [`reach`](crate::observation::Observation::reach).
    Copies,
    /// It judges what each of these consumers makes of them, or why that one cannot be tried here.
    Logins(BTreeMap<Consumer, Result<(), Reason>>),
    /// It would, but cannot here, for this reason.
    NotHere(String),
    /// It has nothing to do with them, for this reason.
    NotApplicable(String),
}

impl Judges {
    /// Judges the copies that namespaces of any name get by their labels.
    pub fn by_labels(distribution: &Distribution) -> Self {
        match (distribution.namespace(), distribution.opt_in_labels().is_empty()) {
            (Some(_), _) => Self::NotApplicable(FIXED.to_owned()),
            (None, true) => Self::NotApplicable(BY_NAME_ALONE.to_owned()),
            (None, false) => Self::Copies,
        }
    }

    /// The same, and those of the namespaces in which the configuration itself has an ExternalSecret.
    pub(crate) fn by_askers(distribution: &Distribution) -> Self {
        if distribution.namespace().is_some() { Self::Copies } else { Self::by_labels(distribution) }
    }

    /// Judges the copies that are made of a source whose values can be generated.
    pub fn of_sources(model: &Model, distribution: &Distribution) -> Self {
        let sources = distribution.sources();
        if sources.is_empty() {
            return Self::NotApplicable("it is made of no source".to_owned());
        }
        let is_known = |source: &&SourceRef| model.sources.get(*source).is_some_and(|about| !about.keys.is_empty());
        if sources.iter().any(is_known) {
            Self::Copies
        } else {
            Self::NotHere("the keys of its source are not known, so that it cannot be given values".to_owned())
        }
    }

    /// The same copies, if they tell which values of their sources they were made of.
    pub(crate) fn of_values(model: &Model, distribution: &Distribution) -> Self {
        match (Self::of_sources(model, distribution), distribution.tells_values()) {
            (Self::Copies, Err(why)) => {
                Self::NotHere(format!("no key of it tells which values of its source it was made of: {why}"))
            }
            (judges, _) => judges,
        }
    }

    fn of(self, copy: CopyName) -> Vec<Declared> {
        let all = |scope| vec![Declared { copy: copy.clone(), consumer: None, scope }];
        match self {
            Self::Copies => all(Scope::Within),
            Self::NotHere(reason) => all(Scope::NotHere(reason)),
            Self::NotApplicable(reason) => all(Scope::NotApplicable(reason)),
            Self::Logins(consumers) => {
                let one = |(consumer, can): (Consumer, Result<(), Reason>)| Declared {
                    copy: copy.clone(),
                    consumer: Some(consumer),
                    scope: can.err().map_or(Scope::Within, |why| Scope::NotHere(why.into())),
                };
                consumers.into_iter().map(one).collect()
            }
        }
    }
}

/// Relation of a property that says `judges` of each distribution to the copies of a configuration.
pub(crate) fn declared(model: &Model, judges: impl Fn(&Distribution) -> Judges) -> Vec<Declared> {
    let of = |distribution: &Distribution| {
        if distribution.can_be_selected() {
            judges(distribution).of(name_of(distribution))
        } else {
            Judges::NotApplicable(NOBODY.to_owned()).of(name_of(distribution))
        }
    };
    model.distributions.iter().flat_map(of).collect()
}

/// The copies of a configuration.
pub(crate) fn copies(model: &Model) -> Vec<CopyName> {
    model.distributions.iter().map(name_of).collect()
}

/// The copies of a distribution, as a report names them.
pub(crate) fn name_of(distribution: &Distribution) -> CopyName {
    CopyName { object: format!("{} {}", distribution.kind(), distribution.name), secret: distribution.secret.clone() }
}
