//! Converts received messages to [`crate::logical`].

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use super::{ErrType, GO_ZERO_TIME, pb};
use crate::logical::{
    Alias, Auth, Connection, Entity, Error, Group, LeaseOptions, Map, Operation, READ_ONLY, Request,
    Response, ResponseWrapInfo, Secret, SpecialPaths, TokenType, WrapInfo,
};

/// An invalid message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The message does not contain a request.
    #[error("the message of the host does not contain a request")]
    NoRequest,
    /// The JSON in a message is neither an object nor null. It is not shown.
    #[error("{part} is not a JSON object: error at line {line} column {column}")]
    Json {
        /// The part of the message.
        part: &'static str,
        /// The line of the error.
        line: usize,
        /// The column of the error.
        column: usize,
    },
    /// A string that must be JSON is empty.
    #[error("{0} is an empty string instead of JSON, which Vault rejects: send null")]
    EmptyJson(&'static str),
    /// The lease has no issue time. Vault rejects it.
    #[error("the lease has no issue time, so Vault rejects it: send Go's zero time")]
    NoIssueTime,
    /// The token type of a login is unknown.
    #[error("unknown token type {0} of a login")]
    TokenType(u32),
    /// The error type is unknown. Vault treats the error as success.
    #[error("unknown error type {kind}, which Vault treats as success: {message}")]
    ErrType {
        /// The number.
        kind: u32,
        /// The text.
        message: String,
    },
}

pub(crate) fn request(message: Option<pb::Request>) -> Result<Request, WireError> {
    let message = message.ok_or(WireError::NoRequest)?;
    Ok(Request {
        id: message.id,
        operation: Operation::from(message.operation.as_str()),
        path: message.path,
        data: lenient_object("request data", &message.data)?,
        secret: message.secret.map(secret).transpose()?,
        auth: message.auth.map(auth).transpose()?,
        headers: headers(message.headers),
        client_token: message.client_token,
        client_token_accessor: message.client_token_accessor,
        display_name: message.display_name,
        mount_point: message.mount_point,
        mount_type: message.mount_type,
        mount_accessor: message.mount_accessor,
        wrap_info: message.wrap_info.map(|wrap| WrapInfo {
            ttl: duration(wrap.ttl),
            format: wrap.format,
            seal_wrap: wrap.seal_wrap,
        }),
        entity_id: message.entity_id,
        policy_override: message.policy_override,
        unauthenticated: message.unauthenticated,
        connection: message.connection.map(connection),
        replication_cluster: message.replication_cluster,
        requires_snapshot_id: message.requires_snapshot_id,
        recover_source_path: message.recover_source_path,
    })
}

/// Converts a response, and is as strict as Vault, so that authors detect here what would fail there.
pub(crate) fn response(message: pb::Response) -> Result<Response, WireError> {
    let secret = message.secret.as_ref().map(|secret| (&secret.lease_options, &secret.internal_data));
    let auth = message.auth.as_ref().map(|auth| (&auth.lease_options, &auth.internal_data));
    for (lease, internal_data) in secret.into_iter().chain(auth) {
        strict_object(INTERNAL_DATA, internal_data)?;
        if lease.as_ref().is_some_and(|lease| lease.issue_time.is_none()) {
            return Err(WireError::NoIssueTime);
        }
    }
    Ok(Response {
        data: strict_object("response data", &message.data)?,
        secret: message.secret.map(self::secret).transpose()?,
        auth: message.auth.map(self::auth).transpose()?,
        warnings: message.warnings,
        headers: headers(message.headers),
        wrap_info: message.wrap_info.map(|wrap| WrapInfo {
            ttl: duration(wrap.ttl),
            format: wrap.format,
            seal_wrap: wrap.seal_wrap,
        }),
    })
}

/// Converts an error of a plugin. The outer error means that the message is invalid.
pub(crate) fn error(message: pb::ProtoError) -> Result<Error, WireError> {
    let text = message.err_msg;
    let kind = match ErrType::from_number(message.err_type) {
        Some(kind) => kind,
        None => return Err(WireError::ErrType { kind: message.err_type, message: text }),
    };
    Ok(match kind {
        ErrType::Unknown if text == READ_ONLY => Error::ReadOnly,
        ErrType::Unknown | ErrType::Internal => Error::Internal(text),
        ErrType::User => Error::User(text),
        ErrType::Coded => match u16::try_from(message.err_code) {
            Ok(status) => Error::Coded { status, message: text },
            Err(_) => Error::Internal(text),
        },
        ErrType::BadRequest => Error::BadRequest(text),
        ErrType::UnsupportedOperation => Error::UnsupportedOperation,
        ErrType::UnsupportedPath => Error::UnsupportedPath,
        ErrType::InvalidRequest => Error::InvalidRequest,
        ErrType::PermissionDenied => Error::PermissionDenied,
        ErrType::ApprovalPending => Error::Internal("request needs further approval".to_owned()),
        ErrType::Unrecoverable => Error::Unrecoverable,
    })
}

pub(crate) fn special_paths(message: pb::Paths) -> SpecialPaths {
    SpecialPaths {
        root: message.root,
        unauthenticated: message.unauthenticated,
        local_storage: message.local_storage,
        seal_wrap_storage: message.seal_wrap_storage,
        write_forwarded_storage: message.write_forwarded_storage,
        limited: message.limited,
        allow_snapshot_read: message.allow_snapshot_read,
    }
}

/// Converts nanoseconds. A negative number counts as zero.
pub(crate) fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

pub(crate) fn entity(message: pb::Entity) -> Entity {
    Entity {
        id: message.id,
        name: message.name,
        aliases: message.aliases.into_iter().map(alias).collect(),
        metadata: message.metadata.into_iter().collect(),
        disabled: message.disabled,
        namespace_id: message.namespace_id,
    }
}

fn alias(message: pb::Alias) -> Alias {
    Alias {
        id: message.id,
        name: message.name,
        mount_type: message.mount_type,
        mount_accessor: message.mount_accessor,
        metadata: message.metadata.into_iter().collect(),
        custom_metadata: message.custom_metadata.into_iter().collect(),
        namespace_id: message.namespace_id,
        local: message.local,
    }
}

pub(crate) fn group(message: pb::Group) -> Group {
    Group {
        id: message.id,
        name: message.name,
        metadata: message.metadata.into_iter().collect(),
        namespace_id: message.namespace_id,
    }
}

pub(crate) fn wrapped(message: pb::ResponseWrapInfo) -> ResponseWrapInfo {
    ResponseWrapInfo {
        token: message.token.into(),
        accessor: message.accessor,
        ttl: duration(message.ttl),
        creation_time: message.creation_time.and_then(|time| SystemTime::try_from(time).ok()),
        creation_path: message.creation_path,
    }
}

const INTERNAL_DATA: &str = "internal data of the lease";

fn secret(message: pb::Secret) -> Result<Secret, WireError> {
    Ok(Secret {
        lease: lease(message.lease_options.unwrap_or_default()),
        internal_data: lenient_object(INTERNAL_DATA, &message.internal_data)?,
        lease_id: message.lease_id,
    })
}

fn auth(message: pb::Auth) -> Result<Auth, WireError> {
    Ok(Auth {
        lease: lease(message.lease_options.unwrap_or_default()),
        internal_data: lenient_object(INTERNAL_DATA, &message.internal_data)?,
        display_name: message.display_name,
        policies: message.policies,
        no_default_policy: message.no_default_policy,
        metadata: message.metadata.into_iter().collect(),
        period: duration(message.period),
        explicit_max_ttl: duration(message.explicit_max_ttl),
        num_uses: u32::try_from(message.num_uses.max(0)).unwrap_or(u32::MAX),
        token_type: TokenType::ALL
            .into_iter()
            .find(|kind| *kind as u32 == message.token_type)
            .ok_or(WireError::TokenType(message.token_type))?,
        bound_cidrs: message.bound_cidrs,
        alias: message.alias.map(alias),
        group_aliases: message.group_aliases.into_iter().map(alias).collect(),
        client_token: message.client_token.into(),
        accessor: message.accessor,
        entity_id: message.entity_id,
        token_policies: message.token_policies,
        identity_policies: message.identity_policies,
    })
}

fn lease(message: pb::LeaseOptions) -> LeaseOptions {
    let issued = message.issue_time.filter(|time| *time != GO_ZERO_TIME);
    LeaseOptions {
        ttl: duration(message.ttl),
        max_ttl: duration(message.max_ttl),
        renewable: message.renewable,
        increment: duration(message.increment),
        issue_time: issued.and_then(|time| SystemTime::try_from(time).ok()),
    }
}

fn connection(message: pb::Connection) -> Connection {
    let chain = message.connection_state.and_then(|state| state.peer_certificates);
    let certificates = chain.map(|chain| chain.certificates).unwrap_or_default();
    Connection {
        remote_addr: message.remote_addr,
        remote_port: message.remote_port,
        peer_certificates: certificates.into_iter().map(|certificate| certificate.asn1_data).collect(),
    }
}

fn headers(headers: HashMap<String, pb::Header>) -> BTreeMap<String, Vec<String>> {
    headers.into_iter().map(|(name, values)| (name, values.header)).collect()
}

/// Parses a JSON object. `null` is `None`, which differs from an empty object.
fn strict_object(part: &'static str, text: &str) -> Result<Option<Map>, WireError> {
    if text.is_empty() {
        return Err(WireError::EmptyJson(part));
    }
    parse(part, text)
}

/// Parses a JSON object. `null`, and the empty string, which no host sends, are an empty object.
fn lenient_object(part: &'static str, text: &str) -> Result<Map, WireError> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    parse(part, text).map(Option::unwrap_or_default)
}

fn parse(part: &'static str, text: &str) -> Result<Option<Map>, WireError> {
    serde_json::from_str(text).map_err(|error| WireError::Json {
        part,
        line: error.line(),
        column: error.column(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::to_wire;

    #[test]
    fn null_data_is_an_empty_object_and_invalid_json_is_rejected_without_its_content() {
        assert!(lenient_object("data", "null").unwrap().is_empty());
        assert_eq!(lenient_object("data", r#"{"a":1}"#).unwrap()["a"], 1);
        let error = lenient_object("data", r#"{"api_key": hunter2}"#).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn responses_of_a_plugin_are_validated_like_in_vault() {
        let empty = pb::Response::default();
        assert!(matches!(response(empty), Err(WireError::EmptyJson("response data"))));
        let absent = pb::Response { data: "null".to_owned(), ..pb::Response::default() };
        assert_eq!(response(absent).unwrap(), Response::default());
        let lease = Some(pb::LeaseOptions::default());
        let secret =
            pb::Secret { lease_options: lease, internal_data: "{}".to_owned(), ..Default::default() };
        let timeless = pb::Response { data: "{}".to_owned(), secret: Some(secret), ..Default::default() };
        assert!(matches!(response(timeless), Err(WireError::NoIssueTime)));
        let auth = pb::Auth { internal_data: "null".to_owned(), ..pb::Auth::default() };
        let auth = pb::Auth { lease_options: Some(pb::LeaseOptions::default()), ..auth };
        let timeless = pb::Response { data: "null".to_owned(), auth: Some(auth), ..pb::Response::default() };
        assert!(matches!(response(timeless), Err(WireError::NoIssueTime)));
        let unknown = pb::ProtoError { err_type: 11, err_msg: "new".to_owned(), err_code: 0 };
        assert!(matches!(error(unknown), Err(WireError::ErrType { kind: 11, .. })));
    }

    #[test]
    fn every_error_is_the_same_after_a_round_trip() {
        let errors = [
            Error::ReadOnly,
            Error::UnsupportedOperation,
            Error::UnsupportedPath,
            Error::InvalidRequest,
            Error::PermissionDenied,
            Error::Unrecoverable,
            Error::BadRequest("bad".to_owned()),
            Error::User("input".to_owned()),
            Error::Internal("internal".to_owned()),
            Error::Coded { status: 418, message: "teapot".to_owned() },
        ];
        for sent in errors {
            let received = error(to_wire::error(&sent)).unwrap();
            assert_eq!(format!("{received:?}"), format!("{sent:?}"));
        }
    }

    #[test]
    fn a_request_and_a_response_are_the_same_after_a_round_trip() {
        let data = serde_json::json!({"n": 1, "s": "x"}).as_object().unwrap().clone();
        let sent = Response {
            data: Some(data.clone()),
            secret: Some(Secret {
                lease: LeaseOptions { ttl: Duration::from_secs(60), renewable: true, ..Default::default() },
                internal_data: data.clone(),
                lease_id: "id".to_owned(),
            }),
            auth: Some(Auth {
                lease: LeaseOptions { ttl: Duration::from_secs(60), renewable: true, ..Default::default() },
                internal_data: data.clone(),
                display_name: "ann".to_owned(),
                policies: vec!["reader".to_owned()],
                no_default_policy: true,
                metadata: BTreeMap::from([("seat".to_owned(), "7".to_owned())]),
                period: Duration::from_secs(7),
                explicit_max_ttl: Duration::from_secs(8),
                num_uses: 9,
                token_type: TokenType::DefaultBatch,
                bound_cidrs: vec!["10.0.0.0/8".to_owned()],
                alias: Some(Alias { name: "ann".to_owned(), local: true, ..Alias::default() }),
                group_aliases: vec![Alias { name: "admins".to_owned(), ..Alias::default() }],
                client_token: "hvs.1".to_owned().into(),
                accessor: "a".to_owned(),
                entity_id: "e".to_owned(),
                token_policies: vec!["default".to_owned()],
                identity_policies: vec!["writer".to_owned()],
            }),
            warnings: vec!["careful".to_owned()],
            headers: BTreeMap::from([("X-A".to_owned(), vec!["1".to_owned(), "2".to_owned()])]),
            wrap_info: Some(WrapInfo { ttl: Duration::from_secs(5), ..WrapInfo::default() }),
        };
        assert_eq!(response(to_wire::response(sent.clone())).unwrap(), sent);

        let mut sent_request = Request::new(Operation::Renew, "creds/x", data);
        sent_request.secret = sent.secret;
        sent_request.auth = sent.auth;
        sent_request.headers = sent.headers;
        sent_request.mount_point = "kv/".to_owned();
        sent_request.entity_id = "e".to_owned();
        sent_request.connection = Some(Connection {
            remote_addr: "127.0.0.1".to_owned(),
            remote_port: 0,
            peer_certificates: vec![vec![1, 2]],
        });
        let received = request(Some(to_wire::request(sent_request.clone()))).unwrap();
        assert_eq!((received.data, received.secret), (sent_request.data, sent_request.secret));
        assert_eq!(received.auth, sent_request.auth);
        assert_eq!(
            (received.headers, received.mount_point),
            (sent_request.headers, sent_request.mount_point)
        );
        assert_eq!(received.connection.unwrap().peer_certificates, [[1, 2]]);
    }

    #[test]
    fn durations_are_nanoseconds_and_never_negative() {
        assert_eq!(duration(3_600_000_000_000), Duration::from_secs(3600));
        assert_eq!(duration(-1), Duration::ZERO);
    }
}
