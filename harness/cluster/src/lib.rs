//! Clusters to test on, the operator in them, and the evidence they give.
//!
//! ```text
//!  providers ──▶ embedded, kind ──▶ cluster         operator     External Secrets Operator
//!                └─▶ provider, provisioned, capability, node, containers: what they have in common, and start_up
//!  apply       objects      control_plane_files    reference    the configuration that is shipped
//!  description where it is  error, api_error       why it could not be had, or a request failed
//!  evidence    audit log, etcd, packets, sink      faults       outages, seen from a client
//!  outage      of a component                      kubeconfig   for one of its clients
//!  stand_in    a server in the place of secret managers elsewhere
//!  vault       HashiCorp Vault, for stores that read from it
//! ```

pub mod api_error;
pub mod apply;
pub mod capability;
pub mod cluster;
pub mod containers;
mod control_plane_files;
mod description;
pub mod embedded;
mod error;
pub mod evidence;
pub mod faults;
pub mod kind;
pub mod kubeconfig;
mod node;
pub mod operator;
mod outage;
mod provider;
pub mod providers;
mod provisioned;
pub mod reference;
pub mod stand_in;
mod start_up;
pub mod vault;
