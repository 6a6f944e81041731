//! Properties that may run at the same time, and which begins next. Pure; [`crate::side_by_side`] carries it out.
//!
//! Each property declares what its cases need of what they share with the cases of others, and what they do to it. Those
//! that do not disturb each other run side by side and begin in the order of the registry. Whoever needs the cluster for
//! itself begins when nothing else runs and nothing else can begin.

/// Parts that the cases of a property share with those of other properties. There is no default: a claim that a neighbour could
/// falsify, or explain falsely, has to be declared.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// The cluster as a whole.
    pub cluster: ClusterUse,
    /// The values of the sources.
    pub sources: SourceUse,
    /// The admission policies of the configuration.
    pub policies: PolicyUse,
}

/// Part of the cluster that a property sees or changes.
#[derive(Debug, Clone, Copy)]
pub enum ClusterUse {
    /// Namespaces and objects of its own, and what concerns them alone.
    Own,
    /// The same, but for the slots that this picks by their number: those see or change all of it.
    OwnExceptIn(fn(u32) -> bool),
    /// All of it: it stops programs, takes sources away, or looks at everything that is stored or sent.
    All,
}

/// Needs of a property of the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceUse {
    /// They are there. It looks at names and types of copies, or knows every value that a source had.
    Exist,
    /// Those which a case looks at keep their values meanwhile, for which the case has shared leases.
    SomeKept,
    /// All of them keep values which can be searched for.
    AllKept,
    /// Each slot writes some of them, under exclusive leases.
    Rotated,
}

/// Needs of a property of the admission policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyUse {
    /// Nothing that they refuse is a part of its claim.
    Passed,
    /// Refusals by them are evidence.
    ReliedOn,
    /// It changes them, so that no property beside it can rely on their refusals.
    Changed,
}

impl Shares {
    /// True if two properties could falsify, or explain falsely, what the other one claims.
    fn conflict_with(&self, other: &Self) -> bool {
        let either = |test: fn(&Self, &Self) -> bool| test(self, other) || test(other, self);
        either(|one, _| matches!(one.cluster, ClusterUse::All))
            || either(|one, other| one.policies == PolicyUse::Changed && other.policies != PolicyUse::Passed)
            || either(|one, other| one.sources == SourceUse::AllKept && other.sources == SourceUse::Rotated)
    }

    /// True if a slot sees or changes more of the cluster than the others of its property.
    pub(crate) fn is_alone(&self, slot: u32) -> bool {
        matches!(self.cluster, ClusterUse::OwnExceptIn(picks) if picks(slot))
    }

    /// True if none of its slots can have neighbours.
    pub(crate) fn needs_all(&self) -> bool {
        matches!(self.cluster, ClusterUse::All)
    }
}

/// The namespaces of `slots` with so many `each`.
pub(crate) fn product(slots: usize, each: u32) -> u32 {
    u32::try_from(slots).unwrap_or(u32::MAX).saturating_mul(each)
}

/// A property, as far as others are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Participant {
    /// Parts of the test bed that it uses, and how.
    pub shares: Shares,
    /// Its namespaces that change at once at most, of all its lanes.
    pub namespaces: u32,
    /// True if it begins before all others that could begin as well.
    pub first: bool,
}

impl Participant {
    /// True if it can run beside these: it conflicts with none, and there is room for it.
    fn fits_beside<'a>(&self, others: impl Iterator<Item = &'a Self>) -> bool {
        let mut namespaces = 0_u32;
        for other in others {
            if self.shares.conflict_with(&other.shares) {
                return false;
            }
            namespaces = namespaces.saturating_add(other.namespaces);
        }
        namespaces == 0 || namespaces.saturating_add(self.namespaces) <= MOST_NAMESPACES
    }
}

/// Namespaces of properties that run side by side, at most: what every bound allows for. Their copies are refreshed all the
/// time, and the operator has a pace of its own: with 90 of them on two processors, it took half a minute to come to the
/// first copies of a namespace.
pub(crate) const MOST_NAMESPACES: u32 = 48;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not begun, and something that it needs is not there yet.
    Unready,
    /// All that it needs is there.
    Ready,
    Running,
    /// It has done what it can do beside others and holds nothing until it is alone.
    WaitsAlone,
    /// It runs and nothing else may.
    Alone,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Begin(usize),
    /// This one, which has begun before, is alone from now on.
    GoOnAlone(usize),
}

/// The properties of a run, in their order, and where each of them is.
#[derive(Debug)]
pub(crate) struct Schedule {
    all: Vec<(Participant, State)>,
    most: usize,
}

impl Schedule {
    /// None has begun, and none is ready. At most `most` run at once.
    pub(crate) fn new(participants: Vec<Participant>, most: usize) -> Self {
        Self { all: participants.into_iter().map(|one| (one, State::Unready)).collect(), most: most.max(1) }
    }

    /// Notes that the supplies of this one are there.
    pub(crate) fn is_ready(&mut self, number: usize) {
        self.become_if(number, State::Unready, State::Ready);
    }

    /// This one goes on only when it is alone.
    pub(crate) fn waits_alone(&mut self, number: usize) {
        self.become_if(number, State::Running, State::WaitsAlone);
    }

    pub(crate) fn has_ended(&mut self, number: usize) {
        self.all[number].1 = State::Ended;
    }

    /// True if all are over.
    pub(crate) fn is_over(&self) -> bool {
        self.all.iter().all(|(_, state)| *state == State::Ended)
    }

    /// True if this one may do now what needs the cluster for itself.
    pub(crate) fn is_alone(&self, number: usize) -> bool {
        self.all[number].1 == State::Alone
    }

    /// Next act; it counts as done. None as long as nothing changes.
    pub(crate) fn next(&mut self) -> Option<Next> {
        if self.all.iter().any(|(_, state)| *state == State::Alone) {
            return None;
        }
        let running = || self.all.iter().filter(|(_, state)| *state == State::Running);
        let beside = |(one, state): &(Participant, State)| {
            *state == State::Ready && !one.shares.needs_all() && one.fits_beside(running().map(|(other, _)| other))
        };
        let (numbers, first) = (|| 0..self.all.len(), |number: &usize| self.all[*number].0.first);
        let mut in_order = numbers().filter(first).chain(numbers().filter(|number| !first(number)));
        if running().count() < self.most
            && let Some(number) = in_order.find(|number| beside(&self.all[*number]))
        {
            self.all[number].1 = State::Running;
            return Some(Next::Begin(number));
        }
        if running().next().is_some() {
            return None;
        }
        let alone = |(one, state): &(Participant, State)| {
            *state == State::WaitsAlone || (*state == State::Ready && one.shares.needs_all())
        };
        let number = self.all.iter().position(alone)?;
        let begins = self.all[number].1 == State::Ready;
        self.all[number].1 = State::Alone;
        Some(if begins { Next::Begin(number) } else { Next::GoOnAlone(number) })
    }

    fn become_if(&mut self, number: usize, before: State, after: State) {
        let state = &mut self.all[number].1;
        if *state == before {
            *state = after;
        }
    }
}

#[cfg(test)]
mod tests;
