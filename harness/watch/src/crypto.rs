//! The provider of cryptography for TLS, the same for all clients of this process.

use std::sync::Once;

/// Makes ring the provider. Has to come before the first client; any later call does nothing.
pub fn use_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that a program which uses this library has chosen another provider before, which serves as well.
        rustls::crypto::ring::default_provider().install_default().ok();
    });
}
