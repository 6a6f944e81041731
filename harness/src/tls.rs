//! TLS for servers of this process.

pub(crate) mod listener;
