//! What `fuzz` calls: every reader of bytes from outside, with what must hold whatever the bytes are.
//!
//! It is there for tests and with the feature `fuzzing`, which nothing that is shipped has.

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

/// A line of a plugin: what is understood is written and read again as the same.
pub fn handshake_line(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(line) = parse_handshake_line(text) {
        assert_eq!(parse_handshake_line(&line.to_string()), Ok(line));
    }
}

/// What a host sets, `NAME=value` with zeros between: a version of ours is chosen, and there is somewhere to listen.
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

/// The certificate of the other side, in PEM as a host sends it and in DER as a plugin does, up to where it is pinned.
pub fn certificate(bytes: &[u8]) {
    let sent = CertificateDer::from_pem_slice(bytes).unwrap_or_else(|_| CertificateDer::from(bytes.to_vec()));
    // What is no certificate is refused in the handshake, which is rustls's: here it is one that nobody presents.
    let (accepting, connecting) = (tls::acceptor(&IDENTITY, sent.clone()), tls::connector(&IDENTITY, sent));
    assert_eq!(accepting.is_ok(), connecting.is_ok());
}

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn nothing_that_a_host_or_a_plugin_says_breaks_its_reader() {
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
