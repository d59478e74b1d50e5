//! By which proxy the API server is reached, chosen as kubectl chooses it: what the kubeconfig says of the cluster, else the
//! environment, which is never asked about this machine itself.

use std::net::IpAddr;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use kube::config::Kubeconfig;

/// Looks a variable up. An empty one counts as missing.
type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The proxy for `server`, if it is reached by one. `of_cluster` is the kubeconfig's.
pub(super) fn proxy(server: &Uri, of_cluster: Option<&str>, variable: Variable<'_>) -> Option<Intercept> {
    if let Some(url) = of_cluster {
        return Matcher::builder().all(url).build().intercept(server);
    }
    if server.host().is_none_or(is_loopback) {
        return None;
    }
    let value = |name: &str| {
        let lower = || variable(&name.to_lowercase()).filter(|text| !text.is_empty());
        variable(name).filter(|text| !text.is_empty()).or_else(lower).unwrap_or_default()
    };
    let matcher = Matcher::builder().no(value("NO_PROXY"));
    matcher.http(value("HTTP_PROXY")).https(value("HTTPS_PROXY")).build().intercept(server)
}

/// What a kubeconfig says of the cluster of a context, or of the current one.
pub(super) fn of_cluster(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let context = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster)?;
    cluster.cluster.as_ref()?.proxy_url.clone().filter(|url| !url.is_empty())
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(server: &str, of_cluster: Option<&str>, variables: &[(&str, &str)], expected: Option<&str>) {
        let variable =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        let found = proxy(&server.parse().expect("an address"), of_cluster, &variable);
        assert_eq!(found.map(|found| found.uri().to_string()).as_deref(), expected, "{server} {variables:?}");
    }

    #[test]
    fn a_proxy_is_chosen_as_kubectl_chooses_it() {
        let (https, http) = (("HTTPS_PROXY", "http://proxy:3128"), ("HTTP_PROXY", "http://plain:3128"));
        check("https://api.example.com:6443", None, &[https, http], Some("http://proxy:3128/"));
        check("http://api.example.com:8080", None, &[https, http], Some("http://plain:3128/"));
        check("https://api.example.com:6443", None, &[http, ("ALL_PROXY", "http://other:1")], None);
        check(
            "https://api.example.com:6443",
            None,
            &[("https_proxy", "proxy:3128")],
            Some("http://proxy:3128/"),
        );
        check("https://api.example.com:6443", None, &[https, ("no_proxy", ".example.com")], None);
        check("https://10.1.2.3:6443", None, &[https, ("NO_PROXY", "10.0.0.0/8")], None);
        for here in ["https://127.0.0.1:6443", "https://localhost:6443", "https://[::1]:6443"] {
            check(here, None, &[https], None);
            check(
                here,
                Some("socks5://proxy:1080"),
                &[https, ("NO_PROXY", "*")],
                Some("socks5://proxy:1080/"),
            );
        }
        check("https://api.example.com:6443", None, &[], None);
    }

    #[test]
    fn the_password_of_a_proxy_is_in_its_header_only() {
        let server = Uri::from_static("https://api.example.com");
        let found = proxy(&server, Some("http://me:hunter2@proxy:3128"), &|_| None).expect("a proxy");
        assert!(!found.uri().to_string().contains("hunter2"));
        assert!(found.basic_auth().is_some());
    }
}
