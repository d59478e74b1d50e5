//! Selects the proxy of a request. `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` follow the rules of Go's
//! `golang.org/x/net/http/httpproxy`, as in `vault`, `bao`, `kubectl` and plugins in Go. An explicit proxy takes precedence over them.
//!
//!
//! Rust libraries follow the rules of curl instead. The difference is relevant for security: a server that `NO_PROXY` names for
//! `vault` would be reached through the proxy, which can read the token if the server speaks plain HTTP.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use zeroize::Zeroizing;

/// The address of a proxy: a URL, or `HOST:PORT` of an HTTP proxy. It may contain a password, so `Debug` hides it.
#[derive(Clone)]
pub struct ProxyUrl(Zeroizing<String>);

impl ProxyUrl {
    fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the address as it was configured.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the address as a URL if it is an HTTP proxy.
    pub fn expose_http_url(&self) -> Option<Zeroizing<String>> {
        match self.0.split_once("://") {
            None => Some(Zeroizing::new(format!("http://{}", self.expose()))),
            Some((scheme, _)) => {
                let is_http = ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http));
                is_http.then(|| self.0.clone())
            }
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyUrl(hidden)")
    }
}

/// The proxies of an environment, and the hosts that are reached without them. The default has no proxies.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<ProxyUrl>,
    https: Option<ProxyUrl>,
    no_proxy: Vec<NoProxyRule>,
    /// Set by [`Proxies::explicit`].
    is_explicit: bool,
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug)]
enum NoProxyRule {
    Everything,
    Network(IpNet),
    Address { address: IpAddr, port: Option<String> },
    Domain { name: String, names: DomainMatch, port: Option<String> },
}

/// Which names a domain of `NO_PROXY` matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DomainMatch {
    /// `example.com`.
    NameAndSubdomains,
    /// `.example.com` and `*.example.com`.
    SubdomainsOnly,
}

impl Proxies {
    /// Reads the variables. The upper-case name takes precedence, and an empty variable counts as unset. `ALL_PROXY` is ignored, as
    /// in Go. In a CGI program `HTTP_PROXY` is ignored, because a client can set it with a request header.
    pub fn from_env(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|text| !text.is_empty());
        let value = |name: &str| set(name).or_else(|| set(&name.to_lowercase()));
        let is_cgi = set("REQUEST_METHOD").is_some();
        Self {
            http: value("HTTP_PROXY").filter(|_| !is_cgi).map(ProxyUrl::new),
            https: value("HTTPS_PROXY").map(ProxyUrl::new),
            no_proxy: value("NO_PROXY")
                .unwrap_or_default()
                .split(',')
                .filter_map(NoProxyRule::parse)
                .collect(),
            is_explicit: false,
        }
    }

    /// One proxy for all requests of any scheme and host, as in `VAULT_PROXY_ADDR`. `address` is a URL, or `HOST:PORT` of an HTTP
    /// proxy. Unlike Vault's client, this one never sends requests to the local machine through it.
    pub fn explicit(address: &str) -> Self {
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let proxy = Some(ProxyUrl::new(address));
        Self { http: proxy.clone(), https: proxy, no_proxy: Vec::new(), is_explicit: true }
    }

    /// Returns the explicit proxy for all requests, if there is one.
    pub fn explicit_address(&self) -> Option<&ProxyUrl> {
        self.http.as_ref().filter(|_| self.is_explicit)
    }

    /// Returns the address of the proxy of a scheme, for any host.
    pub fn for_scheme(&self, scheme: &str) -> Option<&ProxyUrl> {
        match scheme {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        }
    }

    /// Returns the address of the proxy for a request, or `None` if the request goes directly to the server. `host` and `port` are those of
    /// the request URL. The local machine is never reached through a proxy.
    pub fn proxy_for(&self, scheme: &str, host: &str, port: Option<u16>) -> Option<&ProxyUrl> {
        let proxy = self.for_scheme(scheme)?;
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let is_this_machine = match address {
            Some(address) => address.is_loopback(),
            None => host.trim_end_matches('.') == "localhost",
        };
        let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 }).to_string();
        let bypassed =
            is_this_machine || self.no_proxy.iter().any(|entry| entry.matches(&host, address, &port));
        (!bypassed).then_some(proxy)
    }

    /// Returns the value of `NO_PROXY` for a library that follows the rules of curl: the local machine, and the entries that such a list can
    /// express. It omits entries with a port, so [`Proxies::proxy_for`] must decide about the host of the request.
    pub fn curl_no_proxy(&self) -> String {
        let rules = self.no_proxy.iter().filter_map(NoProxyRule::for_curl);
        let this_machine = ["localhost", "127.0.0.0/8", "::1"].map(str::to_owned);
        this_machine.into_iter().chain(rules).collect::<Vec<_>>().join(",")
    }
}

impl NoProxyRule {
    /// The entry in the syntax of curl, which has no ports.
    fn for_curl(&self) -> Option<String> {
        match self {
            Self::Everything => Some("*,0.0.0.0/0,::/0".to_owned()),
            Self::Network(network) => Some(network.to_string()),
            Self::Address { address, port: None } => Some(address.to_string()),
            Self::Domain { name, names: DomainMatch::NameAndSubdomains, port: None } => Some(name.clone()),
            Self::Domain { name, names: DomainMatch::SubdomainsOnly, port: None } => Some(format!(".{name}")),
            Self::Address { port: Some(_), .. } | Self::Domain { port: Some(_), .. } => None,
        }
    }

    /// Parses an entry. Invalid entries are ignored, as in Go.
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_lowercase();
        if entry == "*" {
            return Some(Self::Everything);
        }
        if let Some(network) = parse_network(&entry) {
            return Some(Self::Network(network));
        }
        let (host, port) = match split_host_port(&entry) {
            Some((host, port)) => (host, Some(port.to_owned()).filter(|port| !port.is_empty())),
            None => (entry.as_str(), None),
        };
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self::Address { address: address.to_canonical(), port });
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let (name, names) = match host.strip_prefix('.') {
            Some(name) => (name, DomainMatch::SubdomainsOnly),
            None => (host, DomainMatch::NameAndSubdomains),
        };
        // A URL contains the ASCII form of an internationalized name.
        let name = idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_owned());
        (!host.is_empty()).then_some(Self::Domain { name, names, port })
    }

    fn matches(&self, host: &str, host_address: Option<IpAddr>, host_port: &str) -> bool {
        let is_at = |port: &Option<String>| port.as_deref().is_none_or(|port| port == host_port);
        match (self, host_address) {
            (Self::Everything, _) => true,
            (Self::Network(network), Some(host)) => network.contains(&host),
            (Self::Address { address, port }, Some(host)) => *address == host && is_at(port),
            (Self::Domain { name, names, port }, None) => {
                let matches = match host.strip_suffix(name.as_str()) {
                    Some("") => *names == DomainMatch::NameAndSubdomains,
                    Some(subdomain) => subdomain.ends_with('.'),
                    None => false,
                };
                matches && is_at(port)
            }
            (Self::Network(_) | Self::Address { .. }, None) | (Self::Domain { .. }, Some(_)) => false,
        }
    }
}

/// `ADDRESS/BITS` by the rules of Go's `net.ParseCIDR`. The parser of `IpNet` would also accept `010.0.0.0/8`, which some
/// programs read as octal.
fn parse_network(entry: &str) -> Option<IpNet> {
    let (address, prefix) = entry.split_once('/')?;
    let is_number = prefix.bytes().all(|digit| digit.is_ascii_digit());
    let prefix: u8 = prefix.parse().ok().filter(|_| is_number)?;
    let network = IpNet::new(address.parse().ok()?, prefix).ok()?;
    // An IPv4-mapped IPv6 address is compared as IPv4, by its last 32 bits.
    match (network, network.addr().to_canonical()) {
        (IpNet::V6(_), address @ IpAddr::V4(_)) if prefix >= 96 => IpNet::new(address, prefix - 96).ok(),
        _ => Some(network),
    }
}

/// Splits `HOST:PORT` or `[ADDRESS]:PORT` like Go's `net.SplitHostPort`, which rejects a second colon outside of brackets.
fn split_host_port(entry: &str) -> Option<(&str, &str)> {
    let (host, port) = entry.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').map(|address| (address, port)),
        None => (!host.contains([':', '[', ']'])).then_some((host, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_env(&|name| {
            let found = variables.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn selected_proxy<'a>(
        proxies: &'a Proxies,
        scheme: &str,
        host: &str,
        port: Option<u16>,
    ) -> Option<&'a str> {
        proxies.proxy_for(scheme, host, port).map(ProxyUrl::expose)
    }

    /// The cases of `UseProxyTests` in Go's `proxy_test.go`.
    #[test]
    fn no_proxy_matches_the_same_hosts_as_in_go() {
        let no_proxy = "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, \
                        2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, 2002:db8:a::45/64";
        let listed = proxies(&[("HTTP_PROXY", "proxy"), ("NO_PROXY", no_proxy)]);
        let everything = proxies(&[("HTTP_PROXY", "proxy"), ("NO_PROXY", "other.com, * ")]);
        for (host, is_proxied) in [
            ("localhost", false),
            ("127.0.0.1", false),
            ("127.0.0.2", false),
            ("[::1]", false),
            ("[::2]", true),
            ("192.168.1.1", false),
            ("192.168.1.2", true),
            ("192.168.1.3", false),
            ("192.168.1.4", true),
            ("10.0.0.2", false),
            ("[2001:db8::52:0:1]", false),
            ("[2001:db8::52:0:2]", true),
            ("[2001:db8::52:0:3]", false),
            ("[2002:db8:a::123]", false),
            ("[fe80::424b:c8be:1643:a1b6]", true),
            ("barbaz.net", true),
            ("www.barbaz.net", false),
            ("foobar.com", false),
            ("www.foobar.com", false),
            ("foofoobar.com", true),
            ("baz.com", true),
            ("localhost.net", true),
            ("local.localhost", true),
            ("barbarbaz.net", true),
            ("wildcard.io", true),
            ("nested.wildcard.io", false),
            ("awildcard.io", true),
            // These cases are not in Go's table.
            ("FooBar.com", false),
            ("[::ffff:192.168.1.1]", false),
            ("[::ffff:127.0.0.1]", false),
            ("LOCALHOST.", false),
            ("10.0.0.4", true),
        ] {
            assert_eq!(selected_proxy(&listed, "http", host, None).is_some(), is_proxied, "{host}");
            assert_eq!(selected_proxy(&everything, "http", host, None), None, "{host}");
        }
    }

    #[test]
    fn an_entry_with_a_port_covers_that_port() {
        for (entry, host, port, is_proxied) in [
            ("vault.example.com:8200", "vault.example.com", Some(8200), false),
            ("vault.example.com:8200", "a.vault.example.com", Some(8200), false),
            ("vault.example.com:8200", "vault.example.com", Some(8201), true),
            ("vault.example.com:443", "vault.example.com", None, false),
            ("vault.example.com:80", "vault.example.com", None, true),
            ("*.example.com:8200", "vault.example.com", Some(8200), false),
            ("10.1.2.3:8200", "10.1.2.3", Some(8200), false),
            ("example.com:", "example.com", Some(1), false),
            // Invalid entries are ignored.
            (":1", "example.com", Some(1), true),
            ("", "example.com", None, true),
            (",,", "example.com", None, true),
            ("10.0.0.0/33", "10.0.0.1", None, true),
            ("10.0.0.0/+8", "10.0.0.1", None, true),
            ("*example.com", "example.com", None, true),
            ("0.0.0.0/0", "10.0.0.1", None, false),
            ("0.0.0.0/0", "example.com", None, true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", None, false),
            // The form of www.示例.com in a URL.
            (".示例.com", "www.xn--fsq092h.com", None, false),
            ("xn--fsq092h.com", "www.xn--fsq092h.com", None, false),
        ] {
            let proxies = proxies(&[("HTTPS_PROXY", "proxy"), ("NO_PROXY", entry)]);
            assert_eq!(
                selected_proxy(&proxies, "https", host, port).is_some(),
                is_proxied,
                "{entry} {host} {port:?}"
            );
        }
    }

    #[test]
    fn each_scheme_has_its_variable_and_upper_case_takes_precedence() {
        for (variables, http, https) in [
            (&[][..], None, None),
            (&[("HTTP_PROXY", "a:1")], Some("a:1"), None),
            (&[("HTTPS_PROXY", "http://b:2")], None, Some("http://b:2")),
            (&[("http_proxy", "a"), ("https_proxy", "b")], Some("a"), Some("b")),
            (&[("HTTP_PROXY", "a"), ("http_proxy", "b")], Some("a"), None),
            (&[("HTTP_PROXY", ""), ("http_proxy", "b")], Some("b"), None),
            (&[("ALL_PROXY", "a"), ("all_proxy", "a")], None, None),
            (&[("HTTP_PROXY", "a"), ("HTTPS_PROXY", "b"), ("REQUEST_METHOD", "GET")], None, Some("b")),
            (&[("HTTP_PROXY", "a"), ("NO_PROXY", ""), ("no_proxy", "example.com")], None, None),
            (&[("HTTP_PROXY", "a"), ("NO_PROXY", "other"), ("no_proxy", "example.com")], Some("a"), None),
        ] {
            let proxies = proxies(variables);
            assert_eq!(selected_proxy(&proxies, "http", "example.com", None), http, "{variables:?}");
            assert_eq!(selected_proxy(&proxies, "https", "example.com", None), https, "{variables:?}");
            assert_eq!(selected_proxy(&proxies, "ftp", "example.com", None), None, "{variables:?}");
        }
    }

    #[test]
    fn an_explicit_proxy_serves_every_host_except_the_local_machine() {
        let proxies = Proxies::explicit("proxy:3128");
        for scheme in ["http", "https"] {
            assert_eq!(
                selected_proxy(&proxies, scheme, "vault.example.com", Some(8200)),
                Some("http://proxy:3128")
            );
            assert_eq!(selected_proxy(&proxies, scheme, "10.1.2.3", None), Some("http://proxy:3128"));
            for here in ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
                assert_eq!(selected_proxy(&proxies, scheme, here, Some(8200)), None, "{here}");
            }
        }
        let with_scheme = Proxies::explicit("https://proxy:3129");
        assert_eq!(
            selected_proxy(&with_scheme, "http", "vault.example.com", None),
            Some("https://proxy:3129")
        );
    }

    #[test]
    fn a_proxy_that_speaks_http_has_a_url() {
        for (address, url) in [
            ("proxy:3128", Some("http://proxy:3128")),
            ("http://me:hunter2@proxy:3128", Some("http://me:hunter2@proxy:3128")),
            ("HTTPS://proxy", Some("HTTPS://proxy")),
            ("socks5://proxy:1080", None),
        ] {
            let proxies = proxies(&[("HTTP_PROXY", address)]);
            let proxy = proxies.proxy_for("http", "example.com", None).expect("a proxy");
            assert_eq!(proxy.expose_http_url().as_deref().map(String::as_str), url, "{address}");
        }
    }

    #[test]
    fn a_list_with_the_rules_of_curl_covers_nothing_that_go_sends_to_a_proxy() {
        let no_proxy = "foobar.com,*.wildcard.io,10.0.0.0/8,192.168.1.1,10.1.2.3:80,vault.example.com:8200";
        assert_eq!(
            proxies(&[("NO_PROXY", no_proxy)]).curl_no_proxy(),
            "localhost,127.0.0.0/8,::1,foobar.com,.wildcard.io,10.0.0.0/8,192.168.1.1"
        );
        assert_eq!(
            proxies(&[("NO_PROXY", "*")]).curl_no_proxy(),
            "localhost,127.0.0.0/8,::1,*,0.0.0.0/0,::/0"
        );
    }

    #[test]
    fn the_password_of_a_proxy_is_not_shown() {
        let from_environment = proxies(&[("HTTP_PROXY", "http://me:hunter2@proxy:3128")]);
        for proxies in [from_environment, Proxies::explicit("me:hunter2@proxy:3128")] {
            assert!(!format!("{proxies:?}").contains("hunter2"));
        }
    }
}
