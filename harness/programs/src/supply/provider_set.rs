//! The choice of what the operator is built with.

/// Store providers and generators of External Secrets Operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Providers {
    /// The providers that credence needs, which build in a third of the time.
    #[default]
    Used,
    /// All of upstream's, as in its official releases.
    All,
}
