//! Watches the copies of a cluster that is in use, and gives metrics of them. Links nothing that starts programs or
//! changes a cluster.
//!
//! ```text
//!  monitor: watch ──▶ state ──▶ metrics ──▶ server
//! ```

pub mod monitor;
