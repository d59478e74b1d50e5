//! The cryptography that certificates and TLS share.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// Returns aws-lc-rs: ring does not support P-521, which Go's hosts sign with.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
