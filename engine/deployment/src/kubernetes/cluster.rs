//! The API server: what is asked of it is asked again while it cannot answer, within bounds.

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
use tokio::time::Instant;
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
    /// Whether it has ever answered.
    has_answered: Arc<AtomicBool>,
}

/// Which cluster, and which of its namespaces. What is missing is as in the kubeconfig, or in the pod this runs in.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// Path of a kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it.
    pub context: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
}

/// How long an API server may be away: one that is restarted comes back sooner.
const API_SERVER_TIMEOUT: Duration = Duration::from_secs(45);

/// The same of one that has never answered: more likely its address is wrong.
const FIRST_CONTACT_TIMEOUT: Duration = Duration::from_secs(5);

const INITIAL_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// A server that is there answers the first packet at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one request may take. A connection that is open on this side alone, as after a firewall has forgotten it, never
/// answers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a connection may be silent before the kernel asks whether the other side is still there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);

impl Cluster {
    pub(super) async fn connect(choice: &ClusterOptions) -> Result<Self, KubernetesError> {
        let unusable = |error| KubernetesError::Kubeconfig(Box::new(error));
        let (mut config, of_cluster) = match (&choice.kubeconfig, &choice.context) {
            (None, None) => {
                let config = Config::infer()
                    .await
                    .map_err(|error| KubernetesError::Config(Box::new(kube::Error::InferConfig(error))))?;
                // In a pod there is none to be read.
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
                let of_cluster = proxy::kubeconfig_proxy(&kubeconfig, context.as_deref());
                let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
                (Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable)?, of_cluster)
            }
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let environment = Proxies::from_env(&|name: &str| std::env::var(name).ok());
        let proxy = proxy::proxy_for(&config.cluster_url, of_cluster.as_deref(), &environment);
        let namespace = choice.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let server = config.cluster_url.to_string();
        let client = build_client(config, proxy).map_err(|error| KubernetesError::Config(Box::new(error)))?;
        Ok(Self { client, api_server: server, namespace, has_answered: Arc::default() })
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
        let chosen = ListParams::default().labels(selector);
        Ok(self.retry(ApiRequest::LIST_PODS, || api.list(&chosen)).await?.items)
    }

    /// Asks until there is an answer. Only for what may be asked twice.
    pub(super) async fn retry<T, Answer>(
        &self,
        asked: ApiRequest,
        ask: impl Fn() -> Answer,
    ) -> Result<T, KubernetesError>
    where
        Answer: Future<Output = Result<T, kube::Error>>,
    {
        let met = self.has_answered.load(Ordering::Relaxed);
        let until = Instant::now() + if met { API_SERVER_TIMEOUT } else { FIRST_CONTACT_TIMEOUT };
        let mut pause = INITIAL_BACKOFF;
        loop {
            let answer = with_timeout(REQUEST_TIMEOUT, ask()).await;
            if !matches!(&answer, Err(error) if is_unavailable(error)) {
                self.has_answered.store(true, Ordering::Relaxed);
            }
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if is_unavailable(&error) && Instant::now() < until => {
                    tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
                    pause = (pause * 2).min(MAX_BACKOFF);
                }
                Err(error) => {
                    return Err(KubernetesError::from_kube(asked, &self.api_server, &self.namespace, error));
                }
            }
        }
    }
}

/// What a request comes to within a time limit. One that is given up takes its connection with it.
pub(super) async fn with_timeout<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    let silent =
        || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs()));
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(kube::Error::Service(silent().into())))
}

/// As kube makes one, but for the delay of small packets: without `TCP_NODELAY` every call waits some 40 ms for the server's
/// acknowledgement, and what is streamed goes in steps of that. And but for the proxy, of which kube knows neither that this machine
/// needs none nor that `NO_PROXY` is about the API server.
fn build_client(config: Config, proxy: Option<Intercept>) -> Result<Client, kube::Error> {
    // The first one that is installed stays, and any will do.
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

/// Whether nobody answered, or somebody who asks for patience. A server that is starting knows no rules yet, and says 403
/// with words of its own about that.
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

/// A certificate that is not trusted is no better a moment later.
fn is_network_error(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, PermissionDenied};
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    let mut of_io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).peekable();
    of_io.peek().is_none()
        || of_io
            .all(|cause| !matches!(cause.kind(), InvalidData | InvalidInput | NotFound | PermissionDenied))
}
