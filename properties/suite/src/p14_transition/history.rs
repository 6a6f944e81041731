//! Versions of a source that the consumers of a form were served with, one after the other. Pure.

use std::time::Duration;

use credence_core::text::Reason;
use credence_model::values::{Values, mixtures};
use tokio::time::Instant;

/// Versions that the consumers of one form have been served with so far.
pub(super) struct Followed<'a> {
    /// All versions since the source was first written, oldest first.
    versions: Vec<&'a Values>,
    /// The version that they were served with last.
    latest: usize,
    /// Since when they have a half-new one.
    half_new: Option<Instant>,
    /// Time that they may have it: the next refresh must mend it.
    within: Duration,
    /// Number of times that they had one.
    pub(super) half_new_moments: u64,
}

impl<'a> Followed<'a> {
    pub(super) fn new(versions: &[&'a Values], within: Duration) -> Self {
        Self { versions: versions.to_vec(), latest: 0, half_new: None, within, half_new_moments: 0 }
    }

    /// Takes what the copy is from the instant `at`; `served` tells whether that is made of these values.
    ///
    /// It is the version of before or a later one. While the source is written, it may be half of one version and half of the
    /// next, since External Secrets Operator reads one key after the other (`GetSecretMap` alone reads all at once): that
    /// serves nobody, and no later than with the next refresh it must be whole.
    ///
    /// # Errors
    /// What it is otherwise, in words.
    pub(super) fn see(&mut self, at: Instant, served: impl Fn(&Values) -> Result<(), Reason>) -> Result<(), Reason> {
        let mut why = String::new();
        for (number, values) in self.versions.iter().enumerate().skip(self.latest) {
            match served(values) {
                Ok(()) => {
                    self.latest = number;
                    return self.is_whole(at);
                }
                Err(otherwise) => why = otherwise.into(),
            }
        }
        if let Some(older) = self.versions[..self.latest].iter().position(|values| served(values).is_ok()) {
            return Err(format!("they got version {older} of the source after version {}", self.latest).into());
        }
        let half_new = (self.latest + 1..self.versions.len()).find(|next| {
            mixtures(&[self.versions[next - 1], self.versions[*next]]).iter().any(|mixture| served(mixture).is_ok())
        });
        match half_new {
            Some(next) => {
                self.latest = next - 1;
                self.half_new.get_or_insert(at);
                self.half_new_moments += 1;
                Ok(())
            }
            None => Err(why.into()),
        }
    }

    fn is_whole(&mut self, at: Instant) -> Result<(), Reason> {
        match self.half_new.take() {
            Some(since) if at.duration_since(since) > self.within => {
                Err(format!("they got a half-new copy for {:.1?}", at.duration_since(since)).into())
            }
            _ => Ok(()),
        }
    }

    /// The copy is what it is for good.
    ///
    /// # Errors
    /// That it is half new.
    pub(super) fn end(&self) -> Result<(), Reason> {
        match self.half_new {
            Some(_) => Err("they got a half-new copy, which no refresh made whole".into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use credence_core::credential::Credential;
    use rstest::rstest;

    use super::*;

    fn values(user: &str, password: &str) -> Values {
        [("user", user), ("password", password)].map(|(key, value)| (key.to_owned(), Credential::new(value))).into()
    }

    /// Outcome of copies with these users and passwords, each some milliseconds after the one before, of a source that had
    /// three versions.
    fn follow(seen: &[(u64, &str, &str)]) -> Result<u64, Reason> {
        let versions = ["0", "1", "2"].map(|version| values(version, version));
        let versions: Vec<&Values> = versions.iter().collect();
        let mut followed = Followed::new(&versions, Duration::from_secs(3));
        let mut at = Instant::now();
        for (after, user, password) in seen {
            at += Duration::from_millis(*after);
            let copy = values(user, password);
            followed.see(at, |values| if *values == copy { Ok(()) } else { Err("another".into()) })?;
        }
        followed.end().map(|()| followed.half_new_moments)
    }

    #[rstest]
    #[case::every_version(&[(0, "0", "0"), (1, "1", "1"), (1, "2", "2")], Ok(0))]
    #[case::one_left_out(&[(0, "0", "0"), (1, "2", "2")], Ok(0))]
    #[case::the_same_again(&[(0, "1", "1"), (1, "1", "1")], Ok(0))]
    #[case::half_new_until_the_next_refresh(&[(0, "1", "0"), (2000, "1", "1")], Ok(1))]
    #[case::back_to_an_older_one(&[(0, "1", "1"), (1, "0", "0")], Err("version 0 of the source after version 1"))]
    #[case::half_new_for_longer(&[(0, "1", "0"), (3500, "1", "1")], Err("half-new copy for"))]
    #[case::half_new_for_good(&[(0, "0", "0"), (1, "1", "0")], Err("no refresh made whole"))]
    #[case::half_of_two_that_never_followed_each_other(&[(0, "2", "0"), (1, "2", "2")], Err("another"))]
    #[case::half_old(&[(0, "1", "1"), (1, "0", "1"), (1, "1", "1")], Err("another"))]
    #[case::of_no_version(&[(0, "x", "x")], Err("another"))]
    fn only_whole_versions_in_their_order_serve(
        #[case] seen: &[(u64, &str, &str)],
        #[case] expected: Result<u64, &str>,
    ) {
        match (follow(seen), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(expected)) => assert!(found.as_str().contains(expected), "{found}"),
            (found, expected) => panic!("{found:?} and not {expected:?}"),
        }
    }
}
