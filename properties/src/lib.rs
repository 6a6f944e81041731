//! Conformance suite for Kubernetes secret distribution with External Secrets Operator.
//!
//! ```text
//!  manifests ─▶ bundle ─▶ model ─┬─▶ generate ─▶ driver ─▶ pNN ─▶ verdict ─▶ report ─▶ console
//!  (harness)    typed     pure   │   from seed    lanes    claims             JSON, JUnit, HTML
//!                                └── what must hold
//! ```
//!
//! Read [`run`] for the way through, [`driver`] for what a property is, and any `p01` to `p15` for a claim. Apart from all
//! that, [`monitor`] watches a cluster that is in use.
//!
//! Invariants:
//! - Everything left of the driver, and everything right of the verdict, is pure: no cluster, no clock, no failure.
//! - What a case expects follows from the manifests and from the rules that the specification sets for all of them; no
//!   expectation is written by hand beside a configuration.
//! - No case depends on another; what they share are the sources, under the leases of [`sources`], and what their property
//!   says in [`schedule`], which keeps apart those that could disturb each other.
//! - A case that cannot tell is unknown, and unknown is never green.
//! - Nothing here sleeps: waits are in [`credence_harness::wait`].

pub mod admission;
pub mod bindings;
pub mod bundle;
pub mod canaries;
pub mod cli;
pub mod console;
pub mod consumer;
pub mod consumer_format;
pub mod consumers;
pub mod copies;
pub mod deploy;
pub mod driver;
pub mod endpoints;
pub mod environment;
pub mod events;
pub mod generate;
pub mod id;
pub mod kargo;
pub mod known;
pub mod labels;
pub mod leftovers;
pub mod model;
pub mod monitor;
pub mod namespaces;
pub mod observation;
pub mod operator_sight;
pub mod overlay;
pub mod overlay_field;
pub mod p01_propagation;
pub mod p02_provisioning;
pub mod p03_label_distribution;
pub mod p04_selector_patterns;
pub mod p05_format;
pub mod p06_multi_format;
pub mod p07_credential_types;
pub mod p08_access_control;
pub mod p09_audit;
pub mod p10_policy_update;
pub mod p11_outage;
pub mod p12_encryption;
pub mod p13_manual_copies;
pub mod p14_transition;
pub mod p15_extension;
pub mod registry;
pub mod report;
pub mod rotation;
pub mod run;
pub mod schedule;
pub mod selector;
pub mod session;
pub mod settle;
pub mod side_by_side;
pub mod sources;
pub mod stop;
pub mod tenant;
pub mod text;
pub mod values;
pub mod verdict;
