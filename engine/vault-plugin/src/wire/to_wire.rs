//! [`crate::logical`] into messages for the host.

use std::time::{Duration, SystemTime};

use super::pb;
use crate::logical::{Error, LeaseOptions, Map, Response, Secret, SpecialPaths, WrapInfo};

/// Go's zero time in Unix seconds: hosts refuse a lease without a time of issue.
const GO_ZERO_TIME: i64 = -62_135_596_800;

/// The numbers of error kinds that hosts decode; an unknown one would be taken for success.
#[derive(Clone, Copy)]
enum ErrorKind {
    Unknown = 0,
    User = 1,
    Coded = 3,
    UnsupportedOperation = 5,
    UnsupportedPath = 6,
    InvalidRequest = 7,
    PermissionDenied = 8,
}

pub(crate) fn response(response: Response) -> pb::Response {
    pb::Response {
        secret: response.secret.map(secret),
        data: json(response.data.as_ref()),
        warnings: response.warnings,
        wrap_info: response.wrap_info.map(wrap_info),
        headers: response.headers.into_iter().map(|(name, header)| (name, pb::Header { header })).collect(),
    }
}

pub(crate) fn error(error: &Error) -> pb::ProtoError {
    let mut code = 0;
    let kind = match error {
        Error::UnsupportedOperation => ErrorKind::UnsupportedOperation,
        Error::UnsupportedPath => ErrorKind::UnsupportedPath,
        Error::InvalidRequest => ErrorKind::InvalidRequest,
        Error::PermissionDenied => ErrorKind::PermissionDenied,
        Error::User(_) => ErrorKind::User,
        Error::Coded { status, .. } => {
            code = i64::from(*status);
            ErrorKind::Coded
        }
        Error::Invalid(_)
        | Error::ReadOnly
        | Error::Internal(_)
        | Error::Storage(_)
        | Error::System(_)
        | Error::Event(_) => ErrorKind::Unknown,
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
    time.map_or(prost_types::Timestamp { seconds: GO_ZERO_TIME, nanos: 0 }, prost_types::Timestamp::from)
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// An absent object is `null`: the empty text is a decoding error for the host.
fn json(data: Option<&Map>) -> String {
    data.map_or_else(|| "null".to_owned(), |map| serde_json::Value::Object(map.clone()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_data_is_null_and_never_the_empty_text() {
        assert_eq!(response(Response::default()).data, "null");
        assert_eq!(response(Response::data(Map::new())).data, "{}");
    }

    #[test]
    fn a_lease_that_nobody_issued_yet_carries_the_zero_time_of_go() {
        let issued = lease(&LeaseOptions { ttl: Duration::from_secs(2), ..LeaseOptions::default() });
        assert_eq!(issued.ttl, 2_000_000_000);
        assert_eq!(issued.issue_time.unwrap().seconds, GO_ZERO_TIME);
    }

    #[test]
    fn a_node_that_cannot_write_says_so_in_the_words_that_hosts_forward_on() {
        let message = error(&Error::ReadOnly);
        assert_eq!((message.err_type, message.err_msg.as_str()), (0, crate::logical::READ_ONLY));
    }
}
