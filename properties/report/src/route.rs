//! Routes by which somebody could come by what is not its own, and what came of trying them.

use serde::{Deserialize, Serialize};

/// Outcome of trying a route once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteEnd {
    /// Evidence that would show that it worked was seen.
    Worked,
    /// The authoriser refused it, since nobody gave the right.
    RefusedByRights,
    /// An admission policy, or a webhook, refused it.
    RefusedByAdmission,
    /// The operator refused it, for a reason that is known.
    RefusedByOperator,
    /// It was let through, and came to nothing that is not the actor's own.
    WithoutEffect,
    /// Its outcome could not be told.
    NotTold,
    /// There was nothing to try it on.
    NothingToTry,
}

impl RouteEnd {
    /// All ends, in the order of the columns of a table.
    pub const ALL: [Self; 7] = [
        Self::Worked,
        Self::RefusedByRights,
        Self::RefusedByAdmission,
        Self::RefusedByOperator,
        Self::WithoutEffect,
        Self::NotTold,
        Self::NothingToTry,
    ];

    /// A few words for the head of a column.
    pub fn title(self) -> &'static str {
        match self {
            Self::Worked => "worked",
            Self::RefusedByRights => "refused by RBAC",
            Self::RefusedByAdmission => "by admission",
            Self::RefusedByOperator => "by the operator",
            Self::WithoutEffect => "without effect",
            Self::NotTold => "not told",
            Self::NothingToTry => "nothing to try",
        }
    }

    /// True if it says anything of the route.
    pub fn is_told(self) -> bool {
        !matches!(self, Self::NotTold | Self::NothingToTry)
    }
}

/// A route that a property knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredRoute {
    /// Name of the route, in words that tell it from all others.
    pub name: String,
    /// Why it cannot be seen to work, or is not tried at all, if that is so.
    pub remark: Option<String>,
}
