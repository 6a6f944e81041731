//! Obtains, starts, deploys, watches and records the real systems that credence tests. Knows no property.
//!
//! ```text
//!  components ──▶ cluster ──▶ apply ──▶ observe ──▶ wait
//!  programs       processes   objects   one watch   deadlines
//!                                       per kind
//! ```
//!
//! Read [`cluster`] first: it brings the parts together. [`components`] says where programs come from, [`run_dir`] and
//! [`process`] why nothing outlives a run.
//!
//! Invariants:
//! - Only [`wait`] sleeps.
//! - A credential's plain value leaves the process only towards the store or the consumer under test.
//! - What is started is stopped: by its owner, by the kernel when the owner dies, and by the sweep of the next start.

pub mod apply;
pub mod argo_cd;
pub mod audit;
pub mod backstage;
pub mod capture;
pub mod certificates;
pub mod chart;
pub mod cluster;
pub mod components;
pub mod connect;
pub mod credential;
pub mod crypto;
pub mod dirs;
pub mod etcd;
pub mod external_secrets;
pub mod forge;
pub mod gate;
pub mod https;
pub mod image;
pub mod kargo;
pub mod kind;
pub mod kustomize;
pub mod manifest;
pub mod node;
pub mod observe;
pub mod priority;
pub mod process;
pub mod receiver;
pub mod reference;
pub mod refusal;
pub mod run_dir;
mod service;
mod shared_watch;
pub mod standstill;
#[cfg(test)]
mod test_program;
mod tls;
pub mod usage;
pub mod wait;
