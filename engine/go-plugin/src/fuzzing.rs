//! The entry points of the fuzz targets: one function per parser of external input, with its properties.
//!
//! Compiled only for tests and with the feature `fuzzing`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::environment::Environment;
use crate::handshake::{Handshake, parse_handshake_line};
use crate::identity::Identity;
use crate::tls;

pub use crate::host::fuzzing::{executable, log_lines};

const HANDSHAKE: Handshake =
    Handshake { cookie_key: "COOKIE", cookie_value: "v", protocol_versions: &[4, 5] };

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| Identity::host().expect("a key and a certificate"));

/// A handshake line. Property: a parsed line, written and parsed again, is unchanged.
pub fn handshake_line(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(line) = parse_handshake_line(text) {
        assert_eq!(parse_handshake_line(&line.to_string()), Ok(line));
    }
}

/// The environment, `NAME=value` separated by zero bytes. Property: a supported version is chosen, and there is a socket directory.
pub fn environment(bytes: &[u8]) {
    let variables = bytes.split(|byte| *byte == 0).filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        Some((OsStr::from_bytes(&pair[..at]), OsStr::from_bytes(&pair[at + 1..])))
    });
    let environment: Environment = variables.collect();
    let chosen = HANDSHAKE.negotiate(&environment.offered_versions());
    assert!(HANDSHAKE.protocol_versions.contains(&chosen));
    assert!(!environment.socket_directory().0.as_os_str().is_empty());
    assert!(environment.socket_group().is_none_or(|group| !group.is_empty()));
    environment.has_cookie(HANDSHAKE.cookie_key, HANDSHAKE.cookie_value);
    environment.multiplex();
    environment.client_certificate().map(|pem| CertificateDer::from_pem_slice(pem.as_encoded_bytes()));
}

/// The certificate of the peer, in PEM as a host sends it and in DER as a plugin sends it. Property: both TLS roles accept or
/// reject it alike.
pub fn certificate(bytes: &[u8]) {
    let peer = CertificateDer::from_pem_slice(bytes).unwrap_or_else(|_| CertificateDer::from(bytes.to_vec()));
    // rustls rejects an invalid certificate in the handshake only; here it is pinned, and no peer presents it.
    let (acceptor, connector) = (tls::acceptor(&IDENTITY, peer.clone()), tls::connector(&IDENTITY, peer));
    assert_eq!(acceptor.is_ok(), connector.is_ok());
}

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn no_input_of_a_host_or_a_plugin_breaks_its_parser() {
        replay("handshake_line", handshake_line);
        replay("environment", environment);
        replay("certificate", certificate);
        replay("log_lines", log_lines);
        replay("executable", executable);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
