//! Backstage, which reads copies of other consumers' formats.

use super::Format;
use crate::consumer::{Consumer, ConsumerMeta};
use crate::id::Requirement;

/// Backstage, which needs three copies: to be pulled, to sign people in, and to read files. No copy is for it alone.
pub const BACKSTAGE: Consumer = Consumer::new(&Backstage {
    meta: ConsumerMeta {
        id: "Backstage",
        title: "Backstage",
        operation: "pull, sign-in and catalog read by Backstage",
        requirement: Requirement::new(4, 3),
        fallback: None,
        endpoint: None,
        namespace: None,
        denied_logins: &[],
        offers_to_whole_host: false,
    },
});

struct Backstage {
    meta: ConsumerMeta,
}

impl Format for Backstage {
    fn meta(&self) -> &ConsumerMeta {
        &self.meta
    }
}
