//! A Secret beside the distribution that it is, or should be, a copy for.

use credence_model::config::CreationPolicy;
use credence_model::model::{Distribution, ExpectedKeys};
use jiff::Timestamp;

use super::managed_fields::{Controller, ManagedFields};

/// A Secret that has to do with the distribution.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) managed_fields: ManagedFields,
    /// The credentials all of whose labels it carries.
    pub(super) like: Vec<usize>,
    /// The first credential whose consumer finds it by its label.
    pub(super) found_as: Option<usize>,
    /// Since when its data is what the operator last wrote, by this process' clock.
    pub(super) since: Timestamp,
}

impl Secret {
    /// True if the operator made it, or took it over, for `distribution`.
    pub(super) fn is_copy_of(&self, distribution: &Distribution) -> bool {
        match (&self.managed_fields.controller, distribution.creation_policy) {
            (Some(Controller::ExternalSecret(name)), _) => **name == *distribution.external_secret,
            (_, CreationPolicy::Owner) => false,
            // With the other policies the operator leaves no owner, only its label and its hash.
            _ => self.managed_fields.is_managed && self.managed_fields.hash.is_some(),
        }
    }

    /// A number that stands for what others than the operator did to a Secret and is still in place; zero for nothing.
    pub(super) fn interference(&self, credential: usize, distribution: &Distribution) -> u64 {
        if !self.is_copy_of(distribution) {
            return 1;
        }
        let has_writes = self.has_foreign_data(distribution) || self.has_foreign_hash();
        let writes = self.managed_fields.foreign_writes.filter(|_| has_writes).unwrap_or_default();
        let others = [self.managed_fields.hash.is_none(), self.has_foreign_labels(credential, distribution)];
        others.into_iter().fold(writes, |all, other| all.wrapping_mul(2).wrapping_add(other.into()))
    }

    /// True if a copy's labels are not those that its distribution asks for, or not the operator's.
    pub(super) fn has_foreign_labels(&self, credential: usize, distribution: &Distribution) -> bool {
        !self.managed_fields.is_managed || (!distribution.labels.is_empty() && !self.like.contains(&credential))
    }

    /// True if the hash of a copy is gone, or somebody else wrote it.
    pub(super) fn has_foreign_hash(&self) -> bool {
        self.managed_fields.hash.is_none() || self.managed_fields.has_foreign_hash
    }

    /// True if somebody else wrote one of the values that are the operator's to write.
    pub(super) fn has_foreign_data(&self, distribution: &Distribution) -> bool {
        self.managed_fields.foreign_keys.iter().any(|key| match (&distribution.keys, distribution.creation_policy) {
            // Others have keys of their own in a Secret that the operator only adds to.
            (ExpectedKeys::Exactly(keys), policy) if policy.keeps_keys() => keys.contains(&**key),
            (_, policy) => !policy.keeps_keys(),
        })
    }
}
