//! Demands of a configuration, without a cluster and without a clock.
//!
//! ```text
//!  config ──▶ model ──▶ expectation, bounds       selector   which namespaces
//!  typed      pure      what must hold, how soon  overlay    what is changed, so that it can be tested here
//!    │          │                                 values     of a source
//!    │          │                                 applied    which objects a cluster gets at all
//!    └──────────┴─────▶ lint: faults that reading tells        explain: what was understood, in words
//!  template: what the templates of copies read        intent: what the team says of it, in a file beside it
//!  matching: texts that an expression matches
//! ```
//!
//! What a case expects follows from the manifests and from the rules that the specification sets for all of them; by hand, only
//! the examples of a team's intent are written beside a configuration.

pub mod applied;
pub mod config;
pub mod explain;
pub mod intent;
pub mod lint;
mod matching;
pub mod model;
pub mod overlay;
pub mod selector;
mod template;
pub mod values;
