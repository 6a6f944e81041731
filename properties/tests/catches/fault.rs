//! A fault of a configuration, the properties that must find it, and the routes by which they do.

use credence_core::consumer::Consumer;
use credence_core::formats::BACKSTAGE;

/// A fault of a configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// Its directory in `fixtures/broken`.
    pub(crate) name: &'static str,
    /// Part of the configuration that is at fault. Two faults of one kind test one and the same thing of a property.
    pub(crate) kind: &'static str,
    /// Properties that must find it.
    pub(crate) found_by: &'static [Found],
    /// True if its case is made smaller and replayed by day, which shows that this works.
    pub(crate) is_shrunk: bool,
    /// Enough cases that some case meets it, whatever the seed. The first that does is the last that begins.
    pub(crate) cases: u32,
    /// A property that runs on the same cluster, which the fault does not concern and which must hold, where one is that can tell.
    pub(crate) beside: Option<&'static str>,
    /// The directory in `fixtures/consumers` with what uses the copies.
    pub(crate) consumers: &'static str,
}

/// A property that must find a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) property: &'static str,
    pub(crate) by: Route,
    pub(crate) when: When,
}

/// The route by which a fault must be found. Each violation of the property must be by it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Route {
    /// The reason of the violation has one of these texts, of each the parts between `…` in this order.
    Reason(&'static [&'static str]),
    /// This consumer says so, and perhaps Backstage, which uses several copies.
    Consumer(Consumer),
}

/// Times at which a fault is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// At every push.
    Day,
    /// At night, so that all tests have their time by day: the same property finds a fault by day, too.
    Night,
}

pub(crate) const fn day(property: &'static str, texts: &'static [&'static str]) -> Found {
    Found { property, by: Route::Reason(texts), when: When::Day }
}

pub(crate) const fn night(property: &'static str, texts: &'static [&'static str]) -> Found {
    Found { property, by: Route::Reason(texts), when: When::Night }
}

pub(crate) const fn fault(name: &'static str, kind: &'static str, found_by: &'static [Found]) -> Fault {
    Fault { name, kind, found_by, is_shrunk: false, cases: 100, beside: None, consumers: "manifests" }
}

impl Fault {
    pub(crate) const fn shrunk(self) -> Self {
        Self { is_shrunk: true, ..self }
    }

    pub(crate) const fn in_cases(self, cases: u32) -> Self {
        Self { cases, ..self }
    }

    pub(crate) const fn used_by(self, consumers: &'static str) -> Self {
        Self { consumers, ..self }
    }

    pub(crate) const fn beside(self, property: &'static str) -> Self {
        Self { beside: Some(property), ..self }
    }
}

pub(crate) const fn by_consumer(consumer: Consumer, when: When) -> Found {
    Found { property: "p07", by: Route::Consumer(consumer), when }
}

impl Route {
    /// True if a violation with this reason is by it.
    pub(crate) fn is_of(self, reason: &str) -> bool {
        match self {
            Self::Reason(texts) => texts.iter().any(|text| has(reason, text)),
            Self::Consumer(consumer) => reason.starts_with(consumer.operation()),
        }
    }

    /// True if a violation with this reason may be there beside one by it.
    pub(crate) fn tolerates(self, reason: &str) -> bool {
        let by_backstage = matches!(self, Self::Consumer(_)) && reason.starts_with(BACKSTAGE.operation());
        self.is_of(reason) || by_backstage
    }

    /// Text that a reason has to have.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Reason(texts) => texts.join(" | "),
            Self::Consumer(consumer) => format!("{}…", consumer.operation()),
        }
    }
}

/// True if the parts of `text` between `…` are in `reason`, in this order.
fn has(reason: &str, text: &str) -> bool {
    text.split('…').try_fold(reason, |rest, part| rest.find(part).map(|at| &rest[at + part.len()..])).is_some()
}
