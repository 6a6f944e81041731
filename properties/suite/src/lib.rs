//! The properties, and what runs them.
//!
//! ```text
//!  run ──▶ session ──▶ testbed                      p01 … p15   claims, in `registry`
//!              └─▶ side_by_side ──▶ driver ──▶ pNN  generate    from seed to case
//!                  schedule                         oracle      copies against sources
//!                  who may run beside whom          file_scan   values where none may be
//!          fixture:  what one property sets up     supplies    what is set up where a property needs it
//!          events: what happens, told while it does observation what a case saw
//!          stop:   the end that a person asks for       coverage     which copies a property judges
//!                                                       options      what a run is asked for
//!          load:   the configuration under test         error        why a run could not be carried out
//!          reports: the files that a run writes        trail        what happened to each case, in a file of its own
//!          faults, specimens: in tests alone, faults of the suite and what they must turn red
//! ```
//!
//! Invariants:
//! - No case depends on another; what they share are the sources, under the leases of [`testbed::sources`], and what their
//!   property says in [`schedule`], which keeps apart those that could disturb each other.
//! - Nothing here sleeps: waits are in [`credence_watch::wait`].

mod coverage;
mod driver;
mod error;
pub mod events;
#[cfg(feature = "faults")]
pub mod faults;
pub mod file_scan;
mod fixture;
mod generate;
pub mod load;
pub mod observation;
pub mod options;
mod oracle;
mod p01_propagation;
mod p02_provisioning;
mod p03_label_distribution;
mod p04_selector_patterns;
mod p05_format;
mod p06_multi_format;
mod p07_credential_types;
mod p08_access_control;
mod p09_audit;
mod p10_policy_update;
mod p11_outage;
mod p12_encryption;
mod p13_manual_copies;
mod p14_transition;
mod p15_extension;
pub mod registry;
pub mod reports;
pub mod run;
mod schedule;
mod session;
mod side_by_side;
#[cfg(feature = "faults")]
pub mod specimens;
mod stop;
mod supplies;
pub mod testbed;
pub mod trail;

pub use p08_access_control::unguarded;
