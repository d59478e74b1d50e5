//! The normalized address of a token service.

use std::fmt;
use std::net::IpAddr;
use std::sync::LazyLock;

use http_proxy::{Proxies, ProxyUrl};
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// An absolute `http` or `https` URL without a trailing slash, user, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Endpoint(Url);

/// An invalid address. The messages do not contain the text, which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("api_endpoint must be an absolute URL such as https://tokens.example.com/api")]
    NotAbsolute,
    #[error("api_endpoint must begin with http:// or https://")]
    Scheme,
    #[error("api_endpoint must not hold a user or password; the service's key goes into api_key")]
    UserInfo,
    #[error(
        "api_endpoint must not hold a query (?…) or fragment (#…); paths such as /tokens are added to it"
    )]
    QueryOrFragment,
}

impl Endpoint {
    /// Parses an address that a user has entered.
    pub(crate) fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        let mut url = Url::parse(text.trim()).map_err(|_| EndpointError::NotAbsolute)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::QueryOrFragment);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Endpoint(url))
    }

    /// Returns a path below the endpoint, with each segment percent-encoded.
    ///
    /// A segment must not be `.` or `..`, which a URL resolves.
    pub(crate) fn relative_path(segments: &[&str]) -> String {
        // Most ids need no encoding.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if segments.iter().all(|segment| !segment.is_empty() && segment.bytes().all(is_plain)) {
            return segments.join("/");
        }
        static ROOT: LazyLock<Url> = LazyLock::new(|| Url::parse("http://localhost").expect("a constant"));
        let mut url = ROOT.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url.path().trim_start_matches('/').to_owned()
    }

    /// Returns the URL of a path with a query, or `None` if it is not below the endpoint.
    pub(crate) fn join_target(&self, target: &str) -> Option<Url> {
        if target.len() < 2 || !target.starts_with('/') {
            return None;
        }
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        // Scheme, host and port are those of the endpoint, whatever the target is.
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.set_query(query);
        // A target with dot segments, a fragment or unescaped characters is normalized, and so differs from the URL.
        (url.as_str().strip_prefix(self.0.as_str().trim_end_matches('/')) == Some(target)).then_some(url)
    }

    /// Returns whether connections are encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns whether the service is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
    }

    /// Returns the proxy of the endpoint, if there is one.
    pub(crate) fn proxy<'a>(&self, proxies: &'a Proxies) -> Option<&'a ProxyUrl> {
        proxies.proxy_for(self.0.scheme(), self.0.host_str().unwrap_or_default(), self.0.port())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL without a path ends in a slash.
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Endpoint, EndpointError> {
        Endpoint::parse(&text)
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        endpoint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, EndpointError>) {
        let parsed = Endpoint::parse(text).map(|endpoint| endpoint.to_string());
        assert_eq!(parsed.as_deref().map_err(|error| *error), expected, "{text}");
    }

    #[test]
    fn an_address_is_normalized() {
        check("https://tokens.example.com", Ok("https://tokens.example.com"));
        check("https://tokens.example.com/", Ok("https://tokens.example.com"));
        check(" HTTPS://Tokens.Example.com:443/api// ", Ok("https://tokens.example.com/api"));
        check("http://127.0.0.1:8080/v1/", Ok("http://127.0.0.1:8080/v1"));
        check("http://[::1]:8080", Ok("http://[::1]:8080"));
    }

    #[test]
    fn an_address_on_this_machine_is_recognized() {
        let is_loopback = |text| Endpoint::parse(text).expect("an address").is_loopback();
        assert!(
            ["http://127.0.0.1:8080", "https://[::1]", "http://LocalHost:1"].into_iter().all(is_loopback)
        );
        assert!(!["https://tokens.example.com", "http://10.0.0.1"].into_iter().any(is_loopback));
    }

    #[test]
    fn an_address_is_reached_by_the_proxy_that_go_would_choose() {
        let proxy = |endpoint: &str, no_proxy: &str| {
            let proxies = Proxies::from_env(&|name| match name {
                "HTTP_PROXY" => Some("http://plain:3128".to_owned()),
                "HTTPS_PROXY" => Some("http://proxy:3128".to_owned()),
                "NO_PROXY" => Some(no_proxy.to_owned()),
                "ALL_PROXY" => Some("http://never:1".to_owned()),
                _ => None,
            });
            let endpoint = Endpoint::parse(endpoint).expect("an address");
            endpoint.proxy(&proxies).map(|proxy| proxy.expose().to_owned())
        };
        assert_eq!(proxy("http://tokens.example.com", ""), Some("http://plain:3128".into()));
        assert_eq!(proxy("https://tokens.example.com", "other.com"), Some("http://proxy:3128".into()));
        for direct in ["*.example.com", "tokens.example.com:443", "example.com", "*"] {
            assert_eq!(proxy("https://tokens.example.com/api", direct), None, "{direct}");
        }
        for here in
            ["http://127.0.0.1:8080", "https://[::1]", "http://localhost:1", "http://[::ffff:127.0.0.1]"]
        {
            assert_eq!(proxy(here, ""), None, "{here}");
        }
    }

    #[test]
    fn an_invalid_address_is_rejected_with_the_reason() {
        for text in ["", "tokens", "/tokens", "https://", "http://:80"] {
            check(text, Err(EndpointError::NotAbsolute));
        }
        check("tokens.example.com:443", Err(EndpointError::Scheme));
        check("ftp://tokens.example.com", Err(EndpointError::Scheme));
        check("https://admin:hunter2@tokens.example.com", Err(EndpointError::UserInfo));
        check("https://tokens.example.com/?v=1", Err(EndpointError::QueryOrFragment));
        check("https://tokens.example.com/#top", Err(EndpointError::QueryOrFragment));
    }

    #[test]
    fn an_id_with_slashes_stays_one_segment() {
        assert_eq!(Endpoint::relative_path(&["tokens", "a/b c?d%é"]), "tokens/a%2Fb%20c%3Fd%25%C3%A9");
    }

    proptest::proptest! {
        #[test]
        fn every_segment_is_encoded_like_that_of_a_url(segments in proptest::collection::vec("[a-zA-Z0-9_-]{0,4}[ -~\u{e4}]{0,2}", 1..4)) {
            let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
            proptest::prop_assume!(!segments.iter().any(|segment| [".", ".."].contains(segment)));
            let mut url = Url::parse("http://h").unwrap();
            url.path_segments_mut().unwrap().pop_if_empty().extend(&segments);
            proptest::prop_assert_eq!(Endpoint::relative_path(&segments), url.path().trim_start_matches('/'));
        }

        /// For all targets, the URL is that of the endpoint and the target as one text, unless parsing that text would change it.
        #[test]
        fn a_joined_target_is_parsed_like_the_whole_text(target in "/[ -~\t\n\u{e4}]{0,24}", path in "(/[a-z]{1,4}){0,2}") {
            let text = format!("http://h{path}{target}");
            let parsed = Url::parse(&text).ok().filter(|url| url.as_str() == text && url.fragment().is_none());
            let joined = Endpoint::parse(&format!("http://h{path}")).unwrap().join_target(&target);
            proptest::prop_assert_eq!(joined, parsed.filter(|_| target.len() > 1));
        }
    }

    #[test]
    fn a_target_is_always_below_the_endpoint() {
        let endpoint = Endpoint::parse("http://h/api").unwrap();
        let joined = |target| endpoint.join_target(target).map(String::from);
        assert_eq!(joined("/tokens/a%2Fb").as_deref(), Some("http://h/api/tokens/a%2Fb"));
        assert_eq!(joined("/tokens?page=1").as_deref(), Some("http://h/api/tokens?page=1"));
        for target in [
            "",
            "/",
            "..",
            "/..",
            "/../admin",
            "/tokens/../../admin",
            "/tokens/%2e%2e/x",
            "/tokens#all",
            "/tokens?a=1#all",
            "/tokens?a b",
            "/tokens\\x",
            "/tok\tens",
            "//example.com/../..",
            "/a b",
            "\\h",
            "@example.com/x",
            ".example.com/x",
        ] {
            assert_eq!(joined(target), None, "{target}");
        }
    }
}
