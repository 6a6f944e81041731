//! Outages that one client of the cluster sees.

pub mod proxy;
