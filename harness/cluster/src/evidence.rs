//! Evidence of a cluster beside its API: the audit log, etcd, packets on the wire, and what a client was asked for.

pub mod audit;
pub mod capture;
pub mod etcd;
pub mod sink;
