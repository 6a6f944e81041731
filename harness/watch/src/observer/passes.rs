//! Time that one pass of the operator takes, measured on the ExternalSecrets that come up by themselves. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Passes that are remembered: those of the last namespaces, however busy the operator was before.
const REMEMBERED: usize = 64;

/// Passes that have begun, and how long the last ones took.
#[derive(Debug, Default)]
pub(super) struct Passes {
    begun: BTreeMap<(String, String), Instant>,
    took: VecDeque<Duration>,
}

impl Passes {
    /// Takes an ExternalSecret as it was seen at `now`. The pass that serves it begins when it comes into sight, and is over when
    /// it first says that it is ready.
    pub(super) fn see(&mut self, (namespace, name): (&str, &str), state: Seen, now: Instant) {
        let key = (namespace.to_owned(), name.to_owned());
        match state {
            Seen::New => drop(self.begun.insert(key, now)),
            Seen::Ready => {
                let Some(begun) = self.begun.remove(&key) else { return };
                self.took.push_back(now.duration_since(begun));
                if self.took.len() > REMEMBERED {
                    self.took.pop_front();
                }
            }
            Seen::Gone => drop(self.begun.remove(&key)),
            Seen::Other => {}
        }
    }

    /// Time that most of the last passes took at most: three of four, so that one that an outage held up does not count.
    pub(super) fn usual(&self) -> Option<Duration> {
        let mut took = Vec::from_iter(self.took.iter().copied());
        took.sort_unstable();
        took.get(took.len() * 3 / 4).copied()
    }
}

/// State of an ExternalSecret, as far as a pass goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was not in sight before, and says nothing yet.
    New,
    /// It says that it is ready.
    Ready,
    Gone,
    /// An object that has no part in a pass.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Usual time after passes of so many milliseconds each.
    fn after(passes: &[u64]) -> Option<Duration> {
        let (mut seen, now) = (Passes::default(), Instant::now());
        for (number, took) in passes.iter().enumerate() {
            let name = number.to_string();
            seen.see(("team", &name), Seen::New, now);
            seen.see(("team", &name), Seen::Other, now);
            seen.see(("team", &name), Seen::Ready, now + Duration::from_millis(*took));
            // Its later refreshes are no passes of their own.
            seen.see(("team", &name), Seen::Ready, now + Duration::from_secs(60));
        }
        seen.usual()
    }

    #[test]
    fn a_pass_lasts_from_when_it_came_into_sight_until_it_is_ready() {
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[80]), Some(Duration::from_millis(80)));
        assert_eq!(after(&[10, 20, 30, 9000]), Some(Duration::from_millis(9000)));
        assert_eq!(after(&[10, 20, 30, 40, 9000]), Some(Duration::from_millis(40)));
    }

    #[test]
    fn what_goes_before_it_is_ready_was_no_pass_and_old_ones_are_forgotten() {
        let (mut seen, now) = (Passes::default(), Instant::now());
        seen.see(("team", "a"), Seen::New, now);
        seen.see(("team", "a"), Seen::Gone, now);
        seen.see(("team", "a"), Seen::Ready, now);
        assert_eq!(seen.usual(), None);
        let passes = [vec![9000; 64], vec![10; 64]].concat();
        assert_eq!(after(&passes), Some(Duration::from_millis(10)));
    }
}
