//! The handshake between host and plugin: the magic cookie, the protocol version, and the handshake line on stdout.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The version of the handshake itself. go-plugin has never changed it.
const CORE_PROTOCOL_VERSION: &str = "1";

/// The minimum length of a certificate field. Older plugins write other values there, which Go hosts ignore too.
const MIN_CERTIFICATE_LENGTH: usize = 50;

/// What a plugin and its host agree on in advance.
#[derive(Clone, Copy, Debug)]
pub struct Handshake {
    /// The environment variable that contains the magic cookie.
    pub cookie_key: &'static str,
    /// The value of the cookie. It is not a secret: it prevents users from running a plugin by hand.
    pub cookie_value: &'static str,
    /// The application protocol versions that this side supports, in any order. Not empty.
    pub protocol_versions: &'static [u32],
}

impl Handshake {
    /// Returns the highest version that both sides support.
    ///
    /// Without a common version it returns our lowest. As in Go, the plugin then starts, and the host reports the mismatch.
    pub(crate) fn negotiate(&self, offered: &[u32]) -> u32 {
        let ours = self.protocol_versions.iter().copied();
        let common = ours.clone().filter(|version| offered.contains(version)).max();
        common.or_else(|| ours.min()).unwrap_or_default()
    }
}

/// The address at which a plugin listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The path of a unix socket.
    Unix(PathBuf),
    /// A TCP address. Go plugins use it on Windows.
    Tcp(SocketAddr),
}

impl Address {
    /// Parses the two fields with which go-plugin encodes an address.
    pub(crate) fn parse(network: &str, address: &str) -> Option<Self> {
        match network {
            "unix" if !address.is_empty() => Some(Self::Unix(PathBuf::from(address))),
            "tcp" => address.parse().ok().map(Self::Tcp),
            _ => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix|{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp|{address}"),
        }
    }
}

/// The line with which a plugin reports its address, version and certificate to its host.
///
/// `Display` writes the line as it is sent on stdout, without the newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeLine {
    /// The application protocol version that the plugin chose.
    pub protocol_version: u32,
    /// The address at which the plugin listens.
    pub address: Address,
    /// The plugin's certificate in DER, if the connection uses mTLS.
    pub certificate: Option<Vec<u8>>,
    /// Whether brokered connections share the main connection.
    pub multiplexed: bool,
}

impl fmt::Display for HandshakeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate =
            self.certificate.as_deref().map(|der| STANDARD_NO_PAD.encode(der)).unwrap_or_default();
        write!(f, "{CORE_PROTOCOL_VERSION}|{}|{}|grpc|{certificate}", self.protocol_version, self.address)?;
        // Hosts before go-plugin 1.6 treat a seventh field as part of the certificate, so it is written only if requested.
        if self.multiplexed { f.write_str("|true") } else { Ok(()) }
    }
}

/// An error from [`parse_handshake_line`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeLineError {
    /// The line is ordinary output: the program is not a plugin, or prints something before the handshake.
    #[error("the line does not have the form `1|version|network|address|grpc|certificate`")]
    NotAHandshake,
    /// The core protocol version is not supported.
    #[error("core protocol version `{0}` instead of `{CORE_PROTOCOL_VERSION}`")]
    CoreProtocol(String),
    /// The application protocol version is not a number.
    #[error("protocol version `{0}` is not a number")]
    ProtocolVersion(String),
    /// The address is neither a unix socket nor a TCP address.
    #[error("unsupported address `{address}` on network `{network}`")]
    Address {
        /// The third field.
        network: String,
        /// The fourth field.
        address: String,
    },
    /// The plugin serves net/rpc or something else that is not gRPC.
    #[error("transport `{0}` instead of `grpc`")]
    Transport(String),
    /// The certificate is not unpadded base64.
    #[error("the certificate is not unpadded base64")]
    Certificate,
    /// The seventh field is not a boolean of Go.
    #[error("multiplexing flag `{0}` is not a boolean")]
    Multiplexing(String),
}

/// The plugin chose a protocol version that the host did not offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin uses protocol version {plugin}, but the host supports {host:?}")]
pub struct UnsupportedVersion {
    /// The version that the plugin chose.
    pub plugin: u32,
    /// The versions that the host offered.
    pub host: &'static [u32],
}

/// Parses a handshake line like a Go host. White space around it is ignored.
///
/// A missing transport means net/rpc, as in Go.
///
/// # Errors
/// Reports the first invalid field.
pub fn parse_handshake_line(line: &str) -> Result<HandshakeLine, HandshakeLineError> {
    let fields: Vec<&str> = line.trim().split('|').collect();
    let [core, version, network, address, rest @ ..] = fields.as_slice() else {
        return Err(HandshakeLineError::NotAHandshake);
    };
    match core.parse::<i64>() {
        Err(_) => return Err(HandshakeLineError::NotAHandshake),
        Ok(_) if *core != CORE_PROTOCOL_VERSION => {
            return Err(HandshakeLineError::CoreProtocol((*core).to_owned()));
        }
        Ok(_) => {}
    }
    let protocol_version =
        version.parse().map_err(|_| HandshakeLineError::ProtocolVersion((*version).to_owned()))?;
    let address = Address::parse(network, address).ok_or_else(|| HandshakeLineError::Address {
        network: (*network).to_owned(),
        address: (*address).to_owned(),
    })?;
    match rest.first() {
        Some(&"grpc") => {}
        transport => {
            return Err(HandshakeLineError::Transport((*transport.unwrap_or(&"netrpc")).to_owned()));
        }
    }
    let certificate = rest
        .get(1)
        .filter(|field| field.len() > MIN_CERTIFICATE_LENGTH)
        .map(|field| STANDARD_NO_PAD.decode(field).map_err(|_| HandshakeLineError::Certificate))
        .transpose()?;
    let multiplexed = match rest.get(2) {
        None => false,
        Some(field) => {
            parse_go_bool(field).ok_or_else(|| HandshakeLineError::Multiplexing((*field).to_owned()))?
        }
    };
    Ok(HandshakeLine { protocol_version, address, certificate, multiplexed })
}

/// Parses a boolean like Go's `strconv.ParseBool`.
pub(crate) fn parse_go_bool(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: [u8; 40] = [7; 40];

    fn line() -> HandshakeLine {
        HandshakeLine {
            protocol_version: 5,
            address: Address::Unix("/tmp/plugin123".into()),
            certificate: None,
            multiplexed: false,
        }
    }

    fn check_refused(line: &str, expected: HandshakeLineError) {
        assert_eq!(parse_handshake_line(line), Err(expected), "{line}");
    }

    #[test]
    fn the_highest_common_version_is_chosen() {
        let handshake = Handshake { cookie_key: "K", cookie_value: "v", protocol_versions: &[4, 5, 3] };
        assert_eq!(handshake.negotiate(&[3, 4]), 4);
        assert_eq!(handshake.negotiate(&[9, 5, 4]), 5);
    }

    #[test]
    fn without_a_common_version_our_lowest_is_chosen() {
        let handshake = Handshake { cookie_key: "K", cookie_value: "v", protocol_versions: &[5, 4] };
        assert_eq!(handshake.negotiate(&[1]), 4);
        assert_eq!(handshake.negotiate(&[]), 4);
    }

    #[test]
    fn a_plain_plugin_leaves_the_certificate_empty() {
        assert_eq!(line().to_string(), "1|5|unix|/tmp/plugin123|grpc|");
    }

    #[test]
    fn the_certificate_is_base64_without_padding() {
        let written = HandshakeLine { certificate: Some(CERTIFICATE.to_vec()), ..line() }.to_string();
        assert!(written.starts_with("1|5|unix|/tmp/plugin123|grpc|BwcH"), "{written}");
        assert!(!written.contains('='), "{written}");
        assert_eq!(written.split('|').count(), 6);
    }

    #[test]
    fn the_seventh_field_is_there_only_when_multiplexed() {
        let written = HandshakeLine { multiplexed: true, ..line() }.to_string();
        assert_eq!(written, "1|5|unix|/tmp/plugin123|grpc||true");
    }

    #[test]
    fn a_line_that_a_plugin_writes_is_parsed_by_a_host() {
        for multiplexed in [false, true] {
            for certificate in [None, Some(CERTIFICATE.to_vec())] {
                for address in
                    [Address::Unix("/tmp/plugin123".into()), Address::Tcp(([127, 0, 0, 1], 10_000).into())]
                {
                    let line = HandshakeLine {
                        certificate: certificate.clone(),
                        multiplexed,
                        address,
                        protocol_version: 5,
                    };
                    assert_eq!(parse_handshake_line(&format!("{line}\r\n")), Ok(line));
                }
            }
        }
    }

    #[test]
    fn a_short_word_in_the_certificate_field_is_ignored() {
        assert_eq!(parse_handshake_line("1|5|unix|/tmp/plugin123|grpc|extra"), Ok(line()));
        assert_eq!(parse_handshake_line("1|5|unix|/tmp/plugin123|grpc"), Ok(line()));
    }

    #[test]
    fn an_invalid_handshake_line_is_reported_with_its_first_invalid_field() {
        check_refused("", HandshakeLineError::NotAHandshake);
        check_refused("Usage: tool [OPTIONS]", HandshakeLineError::NotAHandshake);
        check_refused("name | version | kind | size", HandshakeLineError::NotAHandshake);
        check_refused("2|5|unix|/tmp/p|grpc|", HandshakeLineError::CoreProtocol("2".into()));
        check_refused("1|v5|unix|/tmp/p|grpc|", HandshakeLineError::ProtocolVersion("v5".into()));
        check_refused(
            "1|5|pipe|x|grpc|",
            HandshakeLineError::Address { network: "pipe".into(), address: "x".into() },
        );
        check_refused(
            "1|5|tcp|localhost|grpc|",
            HandshakeLineError::Address { network: "tcp".into(), address: "localhost".into() },
        );
        check_refused("1|5|unix|/tmp/p", HandshakeLineError::Transport("netrpc".into()));
        check_refused("1|5|unix|/tmp/p|netrpc|", HandshakeLineError::Transport("netrpc".into()));
        let padded = format!("1|5|unix|/tmp/p|grpc|{}==", "A".repeat(62));
        check_refused(&padded, HandshakeLineError::Certificate);
        check_refused("1|5|unix|/tmp/p|grpc||yes", HandshakeLineError::Multiplexing("yes".into()));
    }
}
