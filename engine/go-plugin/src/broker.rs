//! Connections to services that the host serves beside the main connection.
//!
//! The host assigns a number to each service and announces its address on the broker's stream. The number reaches the
//! application in a request of its own, which may arrive before or after the announcement.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::connection::Connection;
use crate::handshake::Address;
use crate::multiplex::StreamOpener;
use crate::tls;
use crate::wire::ConnInfo;
use crate::wire::conn_info::Knock;

/// How long a dialer waits for an announcement, and how long an announcement is kept for its dialer. go-plugin uses the same value.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The interval between knocks. A Go host may receive a knock just before it registers the service, and refuses it.
const KNOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Connects to services of the host.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}

struct Shared {
    announcements: Mutex<HashMap<u32, Announcement>>,
    /// Starts as `Pending`, because the host may send its first request before it opens the stream.
    host_stream: watch::Sender<HostStream>,
    tls: Option<TlsConnector>,
    /// Present if all connections share one socket.
    opener: Option<StreamOpener>,
    /// Serializes dials: the host assigns the next stream to the service of the latest knock.
    dial_lock: tokio::sync::Mutex<()>,
}

/// The sending half of the broker's stream.
pub(crate) type HostSender = mpsc::Sender<Result<ConnInfo, Status>>;

enum HostStream {
    Pending,
    Open(HostSender),
    Closed,
}

enum Announcement {
    Waiting(oneshot::Sender<ConnInfo>),
    Received(ConnInfo, Instant),
}

impl Broker {
    pub(crate) fn new(tls: Option<TlsConnector>, opener: Option<StreamOpener>) -> Self {
        let shared = Shared {
            announcements: Mutex::default(),
            host_stream: watch::Sender::new(HostStream::Pending),
            tls,
            opener,
            dial_lock: tokio::sync::Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Connects to the host's service with this number.
    ///
    /// Waits up to five seconds for its announcement. The TLS roles are reversed: the host is the server. The channel neither
    /// idles nor reconnects. Dropping its last clone closes the connection, which the host waits for.
    ///
    /// # Errors
    /// The host did not announce the service, error the connection, or failed the TLS handshake.
    pub async fn dial(&self, service_id: u32) -> Result<Channel, DialError> {
        match &self.shared.opener {
            None => {
                let info = self.wait_conn_info(service_id).await?;
                let address = Address::parse(&info.network, &info.address).ok_or(DialError::Address {
                    service_id,
                    network: info.network,
                    address: info.address,
                })?;
                let connection = Connection::open(&address).await;
                self.open_channel(service_id, connection).await
            }
            Some(opener) => {
                // Held until the TLS handshake has shown that the host assigned the stream to the right service.
                let _guard = self.shared.dial_lock.lock().await;
                self.knock(service_id).await?;
                let connection = opener.open().await.ok_or(DialError::HostDisconnected { service_id })?;
                let channel = self.open_channel(service_id, Ok(connection)).await?;
                if self.shared.tls.is_none() {
                    // Without TLS the host has not responded yet and may not have seen the stream. Any response will do.
                    let _ = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
                }
                Ok(channel)
            }
        }
    }

    /// Sets the stream on which messages are sent to the host.
    pub(crate) fn attach_stream(&self, to_host: HostSender) {
        self.shared.host_stream.send_replace(HostStream::Open(to_host));
    }

    /// Closes the stream to the host.
    pub(crate) fn detach_stream(&self) {
        self.shared.host_stream.send_replace(HostStream::Closed);
    }

    /// Handles a message of the host: an announcement, or the response to a knock.
    pub(crate) fn receive_conn_info(&self, info: ConnInfo) {
        if info.knock.as_ref().is_some_and(|knock| knock.knock && !knock.ack) {
            // A knock of the host requests a service of the plugin, and all of those are on the main connection.
            return;
        }
        let mut announcements = self.shared.announcements.lock();
        announcements.retain(|_, known| match known {
            Announcement::Waiting(dialer) => !dialer.is_closed(),
            Announcement::Received(_, at) => at.elapsed() < DIAL_TIMEOUT,
        });
        let service_id = info.service_id;
        let undelivered = match announcements.remove(&service_id) {
            Some(Announcement::Waiting(dialer)) => dialer.send(info).err(),
            Some(Announcement::Received(..)) | None => Some(info),
        };
        if let Some(info) = undelivered {
            announcements.insert(service_id, Announcement::Received(info, Instant::now()));
        }
    }

    async fn wait_conn_info(&self, service_id: u32) -> Result<ConnInfo, DialError> {
        let receiver = {
            let mut announcements = self.shared.announcements.lock();
            match announcements.remove(&service_id) {
                Some(Announcement::Received(info, at)) if at.elapsed() < DIAL_TIMEOUT => return Ok(info),
                _ => {}
            }
            let (dialer, receiver) = oneshot::channel();
            announcements.insert(service_id, Announcement::Waiting(dialer));
            receiver
        };
        match tokio::time::timeout(DIAL_TIMEOUT, receiver).await {
            Ok(Ok(info)) => Ok(info),
            Ok(Err(_)) | Err(_) => Err(DialError::NotAnnounced { service_id }),
        }
    }

    async fn knock(&self, service_id: u32) -> Result<(), DialError> {
        let deadline = Instant::now() + DIAL_TIMEOUT;
        loop {
            let knock = Knock { knock: true, ..Knock::default() };
            let request = ConnInfo { service_id, knock: Some(knock), ..ConnInfo::default() };
            let to_host = self.wait_host_stream().await.ok_or(DialError::HostDisconnected { service_id })?;
            to_host.send(Ok(request)).await.map_err(|_| DialError::HostDisconnected { service_id })?;

            let response = self.wait_conn_info(service_id).await?.knock.unwrap_or_default();
            match response.error {
                none if none.is_empty() => return Ok(()),
                reason if Instant::now() > deadline => return Err(DialError::Refused { service_id, reason }),
                _ => tokio::time::sleep(KNOCK_RETRY_INTERVAL).await,
            }
        }
    }

    /// Returns the stream to the host, or `None` if it is closed or not opened in time.
    async fn wait_host_stream(&self) -> Option<HostSender> {
        let mut stream = self.shared.host_stream.subscribe();
        let opened = stream.wait_for(|stream| !matches!(stream, HostStream::Pending));
        match &*tokio::time::timeout(DIAL_TIMEOUT, opened).await.ok()?.ok()? {
            HostStream::Open(to_host) => Some(to_host.clone()),
            HostStream::Pending | HostStream::Closed => None,
        }
    }

    async fn open_channel(
        &self,
        service_id: u32,
        connection: io::Result<Connection>,
    ) -> Result<Channel, DialError> {
        let connect_error = |source| DialError::Connect { service_id, source };
        let mut connection = connection.map_err(connect_error)?;
        if let Some(tls) = &self.shared.tls {
            connection = tls::connect(tls, connection).await.map_err(connect_error)?;
        }
        connection.into_channel().await.map_err(|source| DialError::Channel { service_id, source })
    }
}

/// An error from [`Broker::dial`].
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host did not announce the service in time.
    #[error("host did not announce service {service_id} within {} s", DIAL_TIMEOUT.as_secs())]
    NotAnnounced {
        /// The service's number.
        service_id: u32,
    },
    /// The announced address is neither a unix socket nor a TCP address.
    #[error(
        "host announced service {service_id} at an unsupported address: `{address}` on network `{network}`"
    )]
    Address {
        /// The service's number.
        service_id: u32,
        /// The announced network.
        network: String,
        /// The announced address.
        address: String,
    },
    /// The host has no service with this number.
    #[error("host refused a connection to service {service_id}: {reason}")]
    Refused {
        /// The service's number.
        service_id: u32,
        /// The reason that the host gives.
        reason: String,
    },
    /// The connection to the host is closed.
    #[error("cannot connect to service {service_id} of the host: the host has disconnected")]
    HostDisconnected {
        /// The service's number.
        service_id: u32,
    },
    /// The connection or its TLS handshake failed.
    #[error("cannot connect to service {service_id} of the host")]
    Connect {
        /// The service's number.
        service_id: u32,
        /// The I/O or TLS error.
        source: io::Error,
    },
    /// The host did not respond with HTTP/2.
    #[error("cannot open a channel to service {service_id} of the host")]
    Channel {
        /// The service's number.
        service_id: u32,
        /// The transport error.
        source: tonic::transport::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(service_id: u32, address: &str) -> ConnInfo {
        ConnInfo { service_id, network: "unix".into(), address: address.into(), knock: None }
    }

    #[tokio::test]
    async fn an_announcement_may_come_before_its_dialer() {
        let broker = Broker::new(None, None);
        broker.receive_conn_info(info(7, "/seven"));
        broker.receive_conn_info(info(8, "/eight"));
        assert_eq!(broker.wait_conn_info(7).await.unwrap(), info(7, "/seven"));
        assert_eq!(broker.wait_conn_info(8).await.unwrap(), info(8, "/eight"));
    }

    #[tokio::test]
    async fn an_announcement_may_come_after_its_dialer() {
        let broker = Broker::new(None, None);
        let dialer = broker.wait_conn_info(7);
        let announcer = async {
            tokio::task::yield_now().await;
            broker.receive_conn_info(info(7, "/seven"));
        };
        let (found, ()) = tokio::join!(dialer, announcer);
        assert_eq!(found.unwrap(), info(7, "/seven"));
    }

    #[tokio::test]
    async fn a_dialer_waits_for_the_stream_on_which_it_knocks() {
        let (opener, _open_requests) = crate::multiplex::open_requests();
        let broker = Broker::new(None, Some(opener));
        let (to_host, mut knocks) = mpsc::channel(1);
        let host = async {
            tokio::task::yield_now().await;
            broker.attach_stream(to_host);
            let info = knocks.recv().await.unwrap().unwrap();
            broker.detach_stream();
            info.service_id
        };
        let knock = broker.knock(7);
        tokio::select! {
            _ = knock => panic!("the knock has no response"),
            service_id = host => assert_eq!(service_id, 7),
        }
        let error = broker.dial(7).await.err().unwrap();
        assert!(matches!(error, DialError::HostDisconnected { service_id: 7 }), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dialer_gives_up_when_nothing_is_announced() {
        let error = Broker::new(None, None).dial(7).await.err().unwrap();
        assert_eq!(error.to_string(), "host did not announce service 7 within 5 s");
    }

    #[tokio::test]
    async fn an_address_of_an_unknown_kind_is_named() {
        let broker = Broker::new(None, None);
        broker.receive_conn_info(ConnInfo { network: "pipe".into(), ..info(7, "x") });
        let error = broker.dial(7).await.err().unwrap();
        assert!(matches!(error, DialError::Address { network, .. } if network == "pipe"));
    }

    #[tokio::test]
    async fn a_knock_of_the_host_is_not_taken_for_an_announcement() {
        let broker = Broker::new(None, None);
        let knock = Knock { knock: true, ..Knock::default() };
        broker.receive_conn_info(ConnInfo { knock: Some(knock), ..info(7, "") });
        assert!(broker.shared.announcements.lock().is_empty());
    }
}
