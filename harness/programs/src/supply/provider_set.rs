//! The choice of what the operator is built with.

/// Store providers and generators of External Secrets Operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Providers {
    /// Those that credence uses, which build in a third of the time.
    #[default]
    Used,
    /// All that upstream has, as in its official releases.
    All,
}
