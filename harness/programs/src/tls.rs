//! TLS for servers of this process.

pub mod listener;
