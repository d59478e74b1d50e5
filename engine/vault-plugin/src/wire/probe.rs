//! Asks a running plugin what it is, as a host does when it registers one.

use go_plugin::host::Running;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::multiplexing::MultiplexingSupportRequest;
use super::multiplexing::plugin_multiplexing_client::PluginMultiplexingClient;
use super::pb::backend_client::BackendClient;
use super::version::plugin_version_client::PluginVersionClient;
use super::{pb, version};
use crate::serve::{ProbeError, ProbeReport};

/// The id of the one instance that is set up; any non-empty text would do.
const INSTANCE: &str = "probeprobe";

/// Sets one instance up without storage, reads type and version, and cleans it up again.
pub(crate) async fn probe(running: &Running) -> Result<ProbeReport, ProbeError> {
    let channel = running.channel();
    let multiplexed = multiplexed(&channel).await?;
    let broker_id = running.serve_brokered(Routes::default()).await?;
    let mut backend = BackendClient::new(channel.clone());
    let setup = pb::SetupArgs { broker_id, ..Default::default() };
    let refused = backend.setup(named(setup)).await?.into_inner().err;
    if !refused.is_empty() {
        return Err(ProbeError::Setup(refused));
    }
    let kind = backend.r#type(named(pb::Empty {})).await?.into_inner().r#type;
    let version = match PluginVersionClient::new(channel).version(named(version::Empty {})).await {
        Ok(reply) => reply.into_inner().plugin_version,
        Err(status) if status.code() == Code::Unimplemented => String::new(),
        Err(status) => return Err(status.into()),
    };
    // A plugin that is asked and ends at once has no need to clean up first, so a failure here says nothing.
    let _cleaned = backend.cleanup(named(pb::Empty {})).await;
    Ok(ProbeReport {
        version,
        kind,
        multiplexed,
        protocol_version: running.protocol_version(),
        handshake_time: running.handshake_time(),
    })
}

async fn multiplexed(channel: &Channel) -> Result<bool, Status> {
    let request = named(MultiplexingSupportRequest {});
    match PluginMultiplexingClient::new(channel.clone()).multiplexing_support(request).await {
        Ok(reply) => Ok(reply.into_inner().supported),
        Err(status) if status.code() == Code::Unimplemented => Ok(false),
        Err(status) => Err(status),
    }
}

fn named<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("multiplex_id", tonic::metadata::MetadataValue::from_static(INSTANCE));
    request
}
