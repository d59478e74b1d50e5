//! The services that go-plugin expects beside those of the application.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::broker::Broker;
use crate::graceful_shutdown::GracefulShutdown;
use crate::stdout::StdoutCapture;
use crate::wire::grpc_broker_server::GrpcBroker;
use crate::wire::grpc_controller_server::GrpcController;
use crate::wire::grpc_stdio_server::GrpcStdio;
use crate::wire::stdio_data::Channel;
use crate::wire::{ConnInfo, Empty, StdioData};

/// Messages that wait for a slow host; more only wait with their senders.
const CHANNEL_CAPACITY: usize = 16;

/// Carries announcements. The host keeps its stream open for as long as it wants the plugin.
pub(crate) struct BrokerService {
    pub(crate) broker: Broker,
    pub(crate) host_disconnected: Arc<Notify>,
    pub(crate) graceful_shutdown: GracefulShutdown,
    pub(crate) stop: CancellationToken,
}

#[tonic::async_trait]
impl GrpcBroker for BrokerService {
    type StartStreamStream = ReceiverStream<Result<ConnInfo, Status>>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let (to_host, outgoing) = mpsc::channel(CHANNEL_CAPACITY);
        self.broker.attach_stream(to_host);
        let (broker, host_left) = (self.broker.clone(), Arc::clone(&self.host_disconnected));
        let (stop, farewell) = (self.stop.clone(), self.graceful_shutdown.clone());
        let mut incoming = request.into_inner();
        tokio::spawn(async move {
            // A host that does not end its half would keep the connection from closing.
            let heard = stop.run_until_cancelled(async {
                while let Ok(Some(info)) = incoming.message().await {
                    broker.receive_conn_info(info);
                }
            });
            if heard.await.is_some() {
                farewell.begin();
                host_left.notify_one();
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// Lets the host end the plugin, and tells it so at `stop`: it hangs up then.
pub(crate) struct ControllerService {
    pub(crate) shutdown: Arc<Notify>,
    pub(crate) stop: CancellationToken,
}

#[tonic::async_trait]
impl GrpcController for ControllerService {
    async fn shutdown(&self, _request: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.shutdown.notify_one();
        self.stop.cancelled().await;
        Ok(Response::new(Empty {}))
    }
}

/// Hands on what the process writes to its standard output, until `stop`.
pub(crate) struct StdioService {
    pub(crate) stdout_capture: StdoutCapture,
    pub(crate) stop: CancellationToken,
}

#[tonic::async_trait]
impl GrpcStdio for StdioService {
    type StreamStdioStream = ReceiverStream<Result<StdioData, Status>>;

    async fn stream_stdio(&self, _request: Request<()>) -> Result<Response<Self::StreamStdioStream>, Status> {
        let (to_host, outgoing) = mpsc::channel(CHANNEL_CAPACITY);
        let (captured, stop) = (self.stdout_capture.clone(), self.stop.clone());
        tokio::spawn(async move {
            loop {
                let data = tokio::select! {
                    // What was written before the end still goes out.
                    biased;
                    data = captured.next() => data,
                    () = stop.cancelled() => return,
                    () = to_host.closed() => return,
                };
                let Some(data) = data else { return };
                let message = StdioData { channel: Channel::Stdout.into(), data };
                if to_host.send(Ok(message)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}
