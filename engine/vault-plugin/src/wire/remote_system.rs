//! The client of the host's settings and services.

use std::error::Error as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use go_plugin::MESSAGE_SIZE_LIMIT;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::from_wire::{self, duration};
use super::pb;
use super::pb::system_view_client::SystemViewClient;
use super::single_flight::SingleFlight;
use crate::logical::{
    CLUSTER, Cluster, ENTITIES, Entity, GROUPS, Group, IDENTITY_TOKENS, IdentityToken, MLOCK, Map, PASSWORDS,
    PluginEnvironment, ROTATION, ReplicationState, ResponseWrapInfo, RotationInformation, RotationJob,
    RotationTime, Sensitive, SystemView, SystemViewError, WRAPPING,
};

/// The error of Vault without a license for identity tokens and rotation. These calls are not `Unimplemented`.
const UNLICENSED: &str = "not supported in Vault community edition";

/// The host's settings on a brokered connection.
pub(crate) struct RemoteSystemView {
    client: SystemViewClient<Channel>,
    /// Shared by concurrent callers, because an engine makes this call for every lease.
    max_lease_ttl: SingleFlight<Result<Duration, SystemViewError>>,
}

impl RemoteSystemView {
    pub(crate) fn new(channel: Channel) -> RemoteSystemView {
        // The groups of an entity and a wrapped response can exceed tonic's default limit of 4 MiB.
        let client = SystemViewClient::new(channel)
            .max_decoding_message_size(MESSAGE_SIZE_LIMIT)
            .max_encoding_message_size(MESSAGE_SIZE_LIMIT);
        RemoteSystemView { client, max_lease_ttl: SingleFlight::default() }
    }

    fn client(&self) -> SystemViewClient<Channel> {
        self.client.clone()
    }
}

#[async_trait]
impl SystemView for RemoteSystemView {
    async fn default_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        let reply = self.client().default_lease_ttl(pb::Empty {}).await;
        Ok(duration(map_status("the default lease TTL", reply)?.ttl))
    }

    async fn max_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        let call = || {
            let mut client = self.client();
            async move {
                let reply = client.max_lease_ttl(pb::Empty {}).await;
                Ok(duration(map_status("the maximum lease TTL", reply)?.ttl))
            }
        };
        self.max_lease_ttl.run(call).await
    }

    async fn tainted(&self) -> Result<bool, SystemViewError> {
        Ok(map_status("the tainted state of the mount", self.client().tainted(pb::Empty {}).await)?.tainted)
    }

    async fn caching_disabled(&self) -> Result<bool, SystemViewError> {
        let reply = self.client().caching_disabled(pb::Empty {}).await;
        Ok(map_status("the caching state", reply)?.disabled)
    }

    async fn replication_state(&self) -> Result<ReplicationState, SystemViewError> {
        let reply = self.client().replication_state(pb::Empty {}).await;
        let state = map_status("the replication state", reply)?.state;
        Ok(ReplicationState::from_bits(state.cast_unsigned()))
    }

    async fn local_mount(&self) -> Result<bool, SystemViewError> {
        Ok(map_status("the local state of the mount", self.client().local_mount(pb::Empty {}).await)?.local)
    }

    async fn plugin_env(&self) -> Result<PluginEnvironment, SystemViewError> {
        let reply = map_status("the plugin environment", self.client().plugin_env(pb::Empty {}).await)?;
        check_reply(reply.err)?;
        let env = reply.plugin_environment.unwrap_or_default();
        Ok(PluginEnvironment {
            version: env.vault_version,
            prerelease: env.vault_version_prerelease,
            metadata: env.vault_version_metadata,
        })
    }

    async fn generate_password(&self, policy: &str) -> Result<Sensitive, SystemViewError> {
        let request = pb::GeneratePasswordFromPolicyRequest { policy_name: policy.to_owned() };
        let reply = self.client().generate_password_from_policy(request).await;
        Ok(map_status(PASSWORDS, reply)?.password.into())
    }

    async fn entity(&self, entity_id: &str) -> Result<Option<Entity>, SystemViewError> {
        let args = pb::EntityInfoArgs { entity_id: entity_id.to_owned() };
        let reply = map_status(ENTITIES, self.client().entity_info(args).await)?;
        check_reply(reply.err)?;
        Ok(reply.entity.map(from_wire::entity))
    }

    async fn groups_of_entity(&self, entity_id: &str) -> Result<Vec<Group>, SystemViewError> {
        let args = pb::EntityInfoArgs { entity_id: entity_id.to_owned() };
        let reply = map_status(GROUPS, self.client().groups_for_entity(args).await)?;
        check_reply(reply.err)?;
        Ok(reply.groups.into_iter().map(from_wire::group).collect())
    }

    async fn wrap(&self, data: Map, ttl: Duration) -> Result<ResponseWrapInfo, SystemViewError> {
        let args = pb::ResponseWrapDataArgs {
            data: serde_json::Value::Object(data).to_string(),
            ttl: i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX),
        };
        let reply = map_status(WRAPPING, self.client().response_wrap_data(args).await)?;
        check_reply(reply.err)?;
        let wrapped = reply.wrap_info.ok_or_else(|| missing_field(WRAPPING))?;
        Ok(from_wire::wrapped(wrapped))
    }

    async fn cluster(&self) -> Result<Cluster, SystemViewError> {
        let reply = map_status(CLUSTER, self.client().cluster_info(pb::Empty {}).await)?;
        check_reply(reply.err)?;
        Ok(Cluster { name: reply.cluster_name, id: reply.cluster_id })
    }

    async fn mlock_enabled(&self) -> Result<bool, SystemViewError> {
        Ok(map_status(MLOCK, self.client().mlock_enabled(pb::Empty {}).await)?.enabled)
    }

    async fn identity_token(&self, audience: &str, ttl: Duration) -> Result<IdentityToken, SystemViewError> {
        let request = pb::GenerateIdentityTokenRequest { audience: audience.to_owned(), ttl: seconds(ttl) };
        let reply = map_status(IDENTITY_TOKENS, self.client().generate_identity_token(request).await)?;
        Ok(IdentityToken { token: reply.token.into(), ttl: from_seconds(reply.ttl) })
    }

    async fn rotation_information(&self, path: &str) -> Result<RotationInformation, SystemViewError> {
        let request = pb::RotationInfoRequest { mount_path: path.to_owned() };
        let reply = map_status(ROTATION, self.client().get_rotation_information(request).await)?;
        Ok(RotationInformation {
            last: unix_time(reply.issue_time),
            next: unix_time(reply.expire_time),
            ttl: from_seconds(reply.ttl),
        })
    }

    async fn register_rotation_job(&self, job: RotationJob) -> Result<String, SystemViewError> {
        let (schedule, window, period) = match job.when {
            RotationTime::Period(period) => (String::new(), Duration::ZERO, period),
            RotationTime::Schedule { cron, window } => (cron, window, Duration::ZERO),
        };
        let input = pb::RotationJobInput {
            name: job.name,
            mount_point: job.mount_point,
            path: job.path,
            rotation_schedule: schedule,
            rotation_window: seconds(window),
            rotation_period: seconds(period),
            rotation_policy: job.policy,
        };
        let request = pb::RegisterRotationJobRequest { job: Some(input) };
        let reply = map_status(ROTATION, self.client().register_rotation_job(request).await)?;
        check_reply(reply.err)?;
        Ok(reply.rotation_id)
    }

    async fn deregister_rotation_job(&self, mount_point: &str, path: &str) -> Result<(), SystemViewError> {
        let input = pb::DeregisterRotationRequestInput {
            mount_point: mount_point.to_owned(),
            req_path: path.to_owned(),
        };
        let request = pb::DeregisterRotationJobRequest { req: Some(input) };
        map_status(ROTATION, self.client().deregister_rotation_job(request).await).map(|_| ())
    }
}

fn map_status<T>(
    what: &'static str,
    reply: Result<tonic::Response<T>, Status>,
) -> Result<T, SystemViewError> {
    match reply {
        Ok(reply) => Ok(reply.into_inner()),
        Err(status) if status.code() == Code::Unimplemented || status.message().contains(UNLICENSED) => {
            Err(SystemViewError::Unsupported(what))
        }
        Err(status) if is_host_error(&status) => Err(SystemViewError::Host(status.message().to_owned())),
        Err(status) => Err(SystemViewError::Unreachable(status.message().to_owned())),
    }
}

/// Whether the status was returned by the host, and was not caused by a broken connection.
pub(crate) fn is_host_error(status: &Status) -> bool {
    let from_host = matches!(
        status.code(),
        Code::Unknown | Code::Internal | Code::InvalidArgument | Code::NotFound | Code::PermissionDenied
    );
    from_host && status.source().is_none()
}

fn check_reply(error: String) -> Result<(), SystemViewError> {
    if error.is_empty() { Ok(()) } else { Err(SystemViewError::Host(error)) }
}

fn missing_field(what: &str) -> SystemViewError {
    SystemViewError::Host(format!("the response of the host does not contain {what}"))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn from_seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// Converts a Unix time. Go's zero time, and any other time before 1970, becomes 1970.
fn unix_time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + from_seconds(seconds)
}

#[cfg(test)]
mod tests;
