//! Clusters to test on, the operator in them, and the evidence they give.
//!
//! ```text
//!  cluster ──▶ provider ──▶ embedded, kind         operator     External Secrets Operator
//!  apply       objects      control_plane_files    reference    the configuration that is shipped
//!  evidence    audit log, etcd, packets, sink      faults       outages, seen from a client
//!  outage      of a component                      kubeconfig   for one of its clients
//! ```

pub mod apply;
pub mod cluster;
pub mod control_plane_files;
pub mod embedded;
pub mod evidence;
pub mod faults;
pub mod kind;
pub mod kubeconfig;
pub mod operator;
pub mod outage;
pub mod provider;
pub mod reference;
