//! Selects the proxy to the API server as kubectl does: from the cluster in the kubeconfig, else from the environment.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use kube::config::Kubeconfig;
use vault_api::Proxies;

/// Returns the proxy to `server`, if there is one. `cluster_proxy` is that of the kubeconfig.
pub(super) fn proxy_for(
    server: &Uri,
    cluster_proxy: Option<&str>,
    environment: &Proxies,
) -> Option<Intercept> {
    let from_environment = || environment.proxy_for(server.scheme_str()?, server.host()?, server.port_u16());
    let url = match cluster_proxy {
        Some(url) => url,
        None => from_environment()?.expose(),
    };
    Matcher::builder().all(url).build().intercept(server)
}

/// Returns the `proxy-url` of the cluster of a context, or of the current context.
pub(super) fn kubeconfig_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let context = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster)?;
    cluster.cluster.as_ref()?.proxy_url.clone().filter(|url| !url.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(server: &str, cluster_proxy: Option<&str>, variables: &[(&str, &str)], expected: Option<&str>) {
        let variable =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        let environment = Proxies::from_env(&variable);
        let found = proxy_for(&server.parse().expect("an address"), cluster_proxy, &environment);
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
        check("https://api.example.com:6443", None, &[https, ("NO_PROXY", "*.example.com")], None);
        check("https://api.example.com:6443", None, &[https, ("NO_PROXY", "api.example.com:6443")], None);
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
        let found =
            proxy_for(&server, Some("http://me:hunter2@proxy:3128"), &Proxies::default()).expect("a proxy");
        assert!(!found.uri().to_string().contains("hunter2"));
        assert!(found.basic_auth().is_some());
    }
}
