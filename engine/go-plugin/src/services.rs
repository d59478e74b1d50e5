//! The gRPC services of go-plugin that every plugin provides beside its own.

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

/// How many messages are buffered for a slow host.
const CHANNEL_CAPACITY: usize = 16;

/// The broker service, which carries announcements. The host keeps its stream open as long as it uses the plugin.
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
        let (broker, host_disconnected) = (self.broker.clone(), Arc::clone(&self.host_disconnected));
        let (stop, graceful_shutdown) = (self.stop.clone(), self.graceful_shutdown.clone());
        let mut incoming = request.into_inner();
        tokio::spawn(async move {
            // The stream is dropped on `stop`: otherwise a host that does not close its half would keep the connection open.
            let receive = stop.run_until_cancelled(async {
                while let Ok(Some(info)) = incoming.message().await {
                    broker.receive_conn_info(info);
                }
            });
            if receive.await.is_some() {
                graceful_shutdown.begin();
                host_disconnected.notify_one();
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// The controller service. `Shutdown` gets its response at `stop`, because the host disconnects after it.
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

/// The stdio service, which forwards the standard output of the process until `stop`.
pub(crate) struct StdioService {
    pub(crate) stdout_capture: StdoutCapture,
    pub(crate) stop: CancellationToken,
}

#[tonic::async_trait]
impl GrpcStdio for StdioService {
    type StreamStdioStream = ReceiverStream<Result<StdioData, Status>>;

    async fn stream_stdio(&self, _request: Request<()>) -> Result<Response<Self::StreamStdioStream>, Status> {
        let (to_host, outgoing) = mpsc::channel(CHANNEL_CAPACITY);
        let (stdout_capture, stop) = (self.stdout_capture.clone(), self.stop.clone());
        tokio::spawn(async move {
            loop {
                let data = tokio::select! {
                    // Output that was written before the stop is still sent.
                    biased;
                    data = stdout_capture.next() => data,
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
