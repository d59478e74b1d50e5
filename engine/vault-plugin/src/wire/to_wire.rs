//! Converts [`crate::logical`] to messages.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use super::pb;
use super::{ErrType, GO_ZERO_TIME};
use crate::logical::{
    Alias, Auth, Connection, Error, LeaseOptions, Map, Operation, Request, Response, Secret, SpecialPaths,
    WrapInfo,
};

pub(crate) fn request(request: Request) -> pb::Request {
    pb::Request {
        data: request_data(&request.operation, &request.data),
        operation: request.operation.as_str().to_owned(),
        id: request.id,
        replication_cluster: request.replication_cluster,
        path: request.path,
        secret: request.secret.map(secret),
        auth: request.auth.map(auth),
        headers: headers(request.headers),
        client_token: request.client_token,
        client_token_accessor: request.client_token_accessor,
        display_name: request.display_name,
        mount_point: request.mount_point,
        mount_type: request.mount_type,
        mount_accessor: request.mount_accessor,
        wrap_info: request.wrap_info.map(|wrap| pb::RequestWrapInfo {
            ttl: nanoseconds(wrap.ttl),
            format: wrap.format,
            seal_wrap: wrap.seal_wrap,
        }),
        entity_id: request.entity_id,
        policy_override: request.policy_override,
        unauthenticated: request.unauthenticated,
        connection: request.connection.map(connection),
        requires_snapshot_id: request.requires_snapshot_id,
        recover_source_path: request.recover_source_path,
    }
}

pub(crate) fn response(response: Response) -> pb::Response {
    pb::Response {
        secret: response.secret.map(secret),
        auth: response.auth.map(auth),
        data: json(response.data.as_ref()),
        warnings: response.warnings,
        wrap_info: response.wrap_info.map(wrap_info),
        headers: headers(response.headers),
    }
}

pub(crate) fn error(error: &Error) -> pb::ProtoError {
    let mut code = 0;
    let kind = match error {
        Error::UnsupportedOperation => ErrType::UnsupportedOperation,
        Error::UnsupportedPath => ErrType::UnsupportedPath,
        Error::InvalidRequest => ErrType::InvalidRequest,
        Error::BadRequest(_) => ErrType::BadRequest,
        Error::Unrecoverable => ErrType::Unrecoverable,
        Error::PermissionDenied => ErrType::PermissionDenied,
        Error::User(_) => ErrType::User,
        Error::Coded { status, .. } => {
            code = i64::from(*status);
            ErrType::Coded
        }
        Error::Invalid(_)
        | Error::ReadOnly
        | Error::Internal(_)
        | Error::Storage(_)
        | Error::System(_)
        | Error::Event(_) => ErrType::Unknown,
    };
    pb::ProtoError { err_type: kind as u32, err_msg: error.to_string(), err_code: code }
}

pub(crate) fn special_paths(paths: SpecialPaths) -> pb::Paths {
    pb::Paths {
        root: paths.root,
        unauthenticated: paths.unauthenticated,
        local_storage: paths.local_storage,
        seal_wrap_storage: paths.seal_wrap_storage,
        write_forwarded_storage: paths.write_forwarded_storage,
        limited: paths.limited,
        allow_snapshot_read: paths.allow_snapshot_read,
    }
}

/// Encodes the data of a request like Vault's router: null without a body and a query, and an empty object for an empty body.
fn request_data(operation: &Operation, data: &Map) -> String {
    let has_body = matches!(operation, Operation::Create | Operation::Update | Operation::Patch);
    json(Some(data).filter(|data| has_body || !data.is_empty()))
}

fn headers(headers: BTreeMap<String, Vec<String>>) -> HashMap<String, pb::Header> {
    headers.into_iter().map(|(name, header)| (name, pb::Header { header })).collect()
}

fn connection(connection: Connection) -> pb::Connection {
    let chain = (!connection.peer_certificates.is_empty()).then(|| pb::CertificateChain {
        certificates: connection
            .peer_certificates
            .into_iter()
            .map(|asn1_data| pb::Certificate { asn1_data })
            .collect(),
    });
    pb::Connection {
        remote_addr: connection.remote_addr,
        remote_port: connection.remote_port,
        connection_state: chain.map(|chain| pb::ConnectionState { peer_certificates: Some(chain) }),
    }
}

fn wrap_info(wrap: WrapInfo) -> pb::ResponseWrapInfo {
    pb::ResponseWrapInfo {
        ttl: nanoseconds(wrap.ttl),
        format: wrap.format,
        seal_wrap: wrap.seal_wrap,
        creation_time: Some(timestamp(None)),
        ..pb::ResponseWrapInfo::default()
    }
}

fn secret(secret: Secret) -> pb::Secret {
    pb::Secret {
        lease_options: Some(lease(&secret.lease)),
        internal_data: json(Some(&secret.internal_data)),
        lease_id: secret.lease_id,
    }
}

fn auth(auth: Auth) -> pb::Auth {
    pb::Auth {
        lease_options: Some(lease(&auth.lease)),
        internal_data: json(Some(&auth.internal_data)),
        display_name: auth.display_name,
        policies: auth.policies,
        metadata: auth.metadata.into_iter().collect(),
        client_token: auth.client_token.expose().to_owned(),
        accessor: auth.accessor,
        period: nanoseconds(auth.period),
        num_uses: i64::from(auth.num_uses),
        entity_id: auth.entity_id,
        alias: auth.alias.map(alias),
        group_aliases: auth.group_aliases.into_iter().map(alias).collect(),
        bound_cidrs: auth.bound_cidrs,
        token_policies: auth.token_policies,
        identity_policies: auth.identity_policies,
        explicit_max_ttl: nanoseconds(auth.explicit_max_ttl),
        token_type: auth.token_type as u32,
        no_default_policy: auth.no_default_policy,
    }
}

fn alias(alias: Alias) -> pb::Alias {
    pb::Alias {
        mount_type: alias.mount_type,
        mount_accessor: alias.mount_accessor,
        name: alias.name,
        metadata: alias.metadata.into_iter().collect(),
        id: alias.id,
        namespace_id: alias.namespace_id,
        custom_metadata: alias.custom_metadata.into_iter().collect(),
        local: alias.local,
    }
}

fn lease(lease: &LeaseOptions) -> pb::LeaseOptions {
    pb::LeaseOptions {
        ttl: nanoseconds(lease.ttl),
        renewable: lease.renewable,
        increment: nanoseconds(lease.increment),
        issue_time: Some(timestamp(lease.issue_time)),
        max_ttl: nanoseconds(lease.max_ttl),
    }
}

fn timestamp(time: Option<SystemTime>) -> prost_types::Timestamp {
    time.map_or(GO_ZERO_TIME, prost_types::Timestamp::from)
}

pub(crate) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Encodes an object. A missing object is `null`, because a host cannot decode an empty string.
fn json(data: Option<&Map>) -> String {
    data.map_or_else(|| "null".to_owned(), |map| serde_json::Value::Object(map.clone()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_data_is_null_and_never_an_empty_string() {
        assert_eq!(response(Response::default()).data, "null");
        assert_eq!(response(Response::data(Map::new())).data, "{}");
    }

    #[test]
    fn a_lease_that_is_not_issued_yet_has_the_zero_time_of_go() {
        let issued = lease(&LeaseOptions { ttl: Duration::from_secs(2), ..LeaseOptions::default() });
        assert_eq!(issued.ttl, 2_000_000_000);
        assert_eq!(issued.issue_time, Some(GO_ZERO_TIME));
    }

    #[test]
    fn a_node_that_cannot_write_returns_the_message_on_which_hosts_forward() {
        let message = error(&Error::ReadOnly);
        assert_eq!((message.err_type, message.err_msg.as_str()), (0, crate::logical::READ_ONLY));
    }
}
