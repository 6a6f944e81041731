//! A Secret beside the target that it is, or should be, a copy for.

use credence_model::config::CreationPolicy;
use credence_model::model::{ExpectedKeys, Target};
use jiff::Timestamp;

use super::marks::{Controller, Marks};

/// A Secret that has to do with the distribution.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) marks: Marks,
    /// The credentials all of whose labels it carries.
    pub(super) like: Vec<usize>,
    /// The first credential whose consumer finds it by its label.
    pub(super) found_as: Option<usize>,
    /// Since when its data is what the operator last wrote, by this process' clock.
    pub(super) since: Timestamp,
}

impl Secret {
    /// Whether the operator made it, or took it over, for `target`.
    pub(super) fn is_copy_of(&self, target: &Target) -> bool {
        match (&self.marks.controller, target.creation_policy) {
            (Some(Controller::ExternalSecret(name)), _) => **name == *target.external_secret,
            (_, CreationPolicy::Owner) => false,
            // With the other policies the operator leaves no owner, only its label and its hash.
            _ => self.marks.is_managed && self.marks.hash.is_some(),
        }
    }

    /// A number that stands for what others than the operator did to a Secret and is still in place; zero for nothing.
    pub(super) fn interference(&self, credential: usize, target: &Target) -> u64 {
        if !self.is_copy_of(target) {
            return 1;
        }
        let has_writes = self.has_foreign_data(target) || self.has_foreign_hash();
        let writes = self.marks.foreign_writes.filter(|_| has_writes).unwrap_or_default();
        let others = [self.marks.hash.is_none(), self.has_foreign_labels(credential, target)];
        others.into_iter().fold(writes, |all, other| all.wrapping_mul(2).wrapping_add(other.into()))
    }

    /// Whether a copy's labels are not those that its target asks for, or not the operator's.
    pub(super) fn has_foreign_labels(&self, credential: usize, target: &Target) -> bool {
        !self.marks.is_managed || (!target.labels.is_empty() && !self.like.contains(&credential))
    }

    /// Whether the hash of a copy is gone, or somebody else wrote it.
    pub(super) fn has_foreign_hash(&self) -> bool {
        self.marks.hash.is_none() || self.marks.has_foreign_hash
    }

    /// Whether somebody else wrote one of the values that are the operator's to write.
    pub(super) fn has_foreign_data(&self, target: &Target) -> bool {
        self.marks.foreign_keys.iter().any(|key| match (&target.keys, target.creation_policy) {
            // Others have keys of their own in a Secret that the operator only adds to.
            (ExpectedKeys::Exactly(keys), CreationPolicy::Merge) => keys.contains(&**key),
            (_, CreationPolicy::Merge) => false,
            _ => true,
        })
    }
}
