//! Client of the API server. Retries requests while the API server is unavailable, up to a timeout.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rollout::Poll;
use tower::{BoxError, Service, ServiceBuilder};
use vault_api::Proxies;

use super::error::{ApiRequest, KubernetesError, budget_refusal};
use super::proxy;

/// A namespace of a cluster.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    /// Address of the API server.
    api_server: String,
    pub(super) namespace: String,
    /// Whether the API server has ever responded.
    has_responded: Arc<AtomicBool>,
}

/// Which cluster and namespace. Missing values are taken from the kubeconfig, or from the pod in which this program runs.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// Path of a kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig.
    pub context: Option<String>,
    /// Namespace of the servers.
    pub namespace: Option<String>,
}

/// How long an API server may be unavailable: a restart takes less.
const API_SERVER_TIMEOUT: Duration = Duration::from_secs(45);

/// The same for an API server that has never responded, whose address is probably wrong.
const FIRST_CONTACT_TIMEOUT: Duration = Duration::from_secs(5);

const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// Timeout of a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout of one request. A half-open connection, for example after a restart of a firewall, never responds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Idle time after which the kernel probes a connection.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);

impl Cluster {
    pub(super) async fn connect(options: &ClusterOptions) -> Result<Self, KubernetesError> {
        let unusable = |error| KubernetesError::Kubeconfig(Box::new(error));
        let (mut config, cluster_proxy) = match (&options.kubeconfig, &options.context) {
            (None, None) => {
                let config = Config::infer()
                    .await
                    .map_err(|error| KubernetesError::Config(Box::new(kube::Error::InferConfig(error))))?;
                // In a pod there is no kubeconfig.
                (
                    config,
                    Kubeconfig::read().ok().and_then(|kubeconfig| proxy::kubeconfig_proxy(&kubeconfig, None)),
                )
            }
            (path, context) => {
                let kubeconfig = match path {
                    Some(path) => Kubeconfig::read_from(path).map_err(unusable)?,
                    None => Kubeconfig::read().map_err(unusable)?,
                };
                let cluster_proxy = proxy::kubeconfig_proxy(&kubeconfig, context.as_deref());
                let selection =
                    KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
                (
                    Config::from_custom_kubeconfig(kubeconfig, &selection).await.map_err(unusable)?,
                    cluster_proxy,
                )
            }
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let environment = Proxies::from_env(&|name: &str| std::env::var(name).ok());
        let proxy = proxy::proxy_for(&config.cluster_url, cluster_proxy.as_deref(), &environment);
        let namespace = options.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let server = config.cluster_url.to_string();
        let client = build_client(config, proxy).map_err(|error| KubernetesError::Config(Box::new(error)))?;
        Ok(Self { client, api_server: server, namespace, has_responded: Arc::default() })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) fn statefulsets(&self) -> Api<StatefulSet> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) async fn statefulset(&self, name: &str) -> Result<Option<StatefulSet>, KubernetesError> {
        let api = self.statefulsets();
        self.retry(ApiRequest::GET_STATEFULSET, || api.get_opt(name)).await
    }

    pub(super) async fn all_statefulsets(&self) -> Result<Vec<StatefulSet>, KubernetesError> {
        let api = self.statefulsets();
        let all = ListParams::default();
        Ok(self.retry(ApiRequest::LIST_STATEFULSETS, || api.list(&all)).await?.items)
    }

    pub(super) async fn pod(&self, name: &str) -> Result<Option<Pod>, KubernetesError> {
        let api = self.pods();
        self.retry(ApiRequest::GET_POD, || api.get_opt(name)).await
    }

    pub(super) async fn pods_with(&self, selector: &str) -> Result<Vec<Pod>, KubernetesError> {
        let api = self.pods();
        let params = ListParams::default().labels(selector);
        Ok(self.retry(ApiRequest::LIST_PODS, || api.list(&params)).await?.items)
    }

    /// Sends a request, and repeats it while the API server is unavailable. Only for idempotent requests.
    pub(super) async fn retry<T, Response>(
        &self,
        request: ApiRequest,
        send: impl Fn() -> Response,
    ) -> Result<T, KubernetesError>
    where
        Response: Future<Output = Result<T, kube::Error>>,
    {
        let is_known = self.has_responded.load(Ordering::Relaxed);
        let timeout = if is_known { API_SERVER_TIMEOUT } else { FIRST_CONTACT_TIMEOUT };
        let mut poll = Poll::with_backoff(MIN_BACKOFF, MAX_BACKOFF, timeout);
        loop {
            let response = with_timeout(REQUEST_TIMEOUT, send()).await;
            if !matches!(&response, Err(error) if is_unavailable(error)) {
                self.has_responded.store(true, Ordering::Relaxed);
            }
            match response {
                Ok(response) => return Ok(response),
                Err(error) if is_unavailable(&error) && !poll.timed_out() => poll.pause().await,
                Err(error) => {
                    return Err(KubernetesError::from_kube(
                        request,
                        &self.api_server,
                        &self.namespace,
                        error,
                    ));
                }
            }
        }
    }
}

/// Limits the time of a request. Closes the connection of a request that takes longer.
pub(super) async fn with_timeout<T>(
    limit: Duration,
    response: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    let timeout =
        || io::Error::new(io::ErrorKind::TimedOut, format!("no response within {} s", limit.as_secs()));
    tokio::time::timeout(limit, response)
        .await
        .unwrap_or_else(|_| Err(kube::Error::Service(timeout().into())))
}

/// Builds a client as kube does, with two differences. It sets `TCP_NODELAY`: without it, each request and each part of a stream waits about
/// 40 ms for an acknowledgement. And its proxy respects `NO_PROXY`, and is not used for loopback addresses.
fn build_client(config: Config, proxy: Option<Intercept>) -> Result<Client, kube::Error> {
    // Fails if a provider is installed already, which is fine.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(TCP_KEEPALIVE));
    tcp.set_keepalive_interval(Some(TCP_KEEPALIVE / 3));
    tcp.set_keepalive_retries(Some(3));
    let Some(proxy) = proxy else { return client_over(tcp, config) };
    let address = proxy.uri().clone();
    match address.scheme_str() {
        Some("http") => {
            let tunnel = Tunnel::new(address, tcp);
            let tunnel = match proxy.basic_auth() {
                Some(header) => tunnel.with_auth(header.clone()),
                None => tunnel,
            };
            client_over(tunnel, config)
        }
        Some("socks5" | "socks5h") => {
            let tunnel = SocksV5::new(address, tcp);
            let tunnel = match proxy.raw_auth() {
                Some((user, password)) => tunnel.with_auth(user.to_owned(), password.to_owned()),
                None => tunnel,
            };
            client_over(tunnel, config)
        }
        _ => Err(kube::Error::ProxyProtocolUnsupported { proxy_url: Box::new(address) }),
    }
}

fn client_over<C>(connector: C, config: Config) -> Result<Client, kube::Error>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin,
    C::Future: Send,
    C::Error: Into<BoxError>,
{
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(connector)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Whether the API server did not respond, or asked to retry. While it starts, it does not have its RBAC rules yet and returns 403 with a
/// specific message.
fn is_unavailable(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => {
            (matches!(status.code, 429 | 502 | 503 | 504) && budget_refusal(status).is_none())
                || (status.is_forbidden() && status.message.contains("not yet synced"))
        }
        kube::Error::HyperError(_) => true,
        kube::Error::Service(cause) => is_network_error(&**cause),
        _ => false,
    }
}

/// Whether an error is of the network, and can disappear. An untrusted certificate is not.
fn is_network_error(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, PermissionDenied};
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    let mut io_errors = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).peekable();
    io_errors.peek().is_none()
        || io_errors
            .all(|cause| !matches!(cause.kind(), InvalidData | InvalidInput | NotFound | PermissionDenied))
}
