//! Waits, deadlines and watches of a cluster. Starts nothing and changes nothing.
//!
//! ```text
//!  connect ──▶ observer, shared ──▶ wait
//!  a client    what is there now    deadlines, the last thing seen
//!              paused_time: what no deadline counts
//! ```
//!
//! `crypto` is the one provider of cryptography, `own_usage` what this process takes of the machine.
//!
//! Only [`wait`] sleeps.

pub mod connect;
pub mod crypto;
pub mod observer;
pub mod own_usage;
pub mod paused_time;
pub mod shared;
pub mod wait;
