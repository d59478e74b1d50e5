//! Converts between protobuf messages and the types of [`crate::logical`]. No other module depends on the wire format.

mod service;
mod snapshot;

#[cfg_attr(
    not(any(test, feature = "host", feature = "fuzzing")),
    expect(dead_code, reason = "only a host decodes responses and encodes requests")
)]
mod from_wire;
#[cfg_attr(
    not(any(test, feature = "host", feature = "fuzzing")),
    expect(dead_code, reason = "only a host decodes responses and encodes requests")
)]
mod to_wire;

#[cfg(feature = "host")]
mod backend;
#[cfg(feature = "host")]
mod call_error;
#[cfg(feature = "host")]
mod host_services;
mod remote_events;
mod remote_storage;
mod remote_system;
mod single_flight;

#[cfg(test)]
mod in_process;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

#[cfg(feature = "host")]
pub use call_error::{BackendError, CallError};

#[cfg(feature = "host")]
pub(crate) use backend::{RemoteBackend, supports_multiplexing};
#[cfg(feature = "host")]
pub(crate) use host_services::host_services;
pub(crate) use service::routes;

/// Go's zero time. Hosts reject a lease without an issue time.
const GO_ZERO_TIME: prost_types::Timestamp = prost_types::Timestamp { seconds: -62_135_596_800, nanos: 0 };

/// The error types that hosts decode. A host treats an unknown number as success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrType {
    Unknown = 0,
    User = 1,
    Internal = 2,
    Coded = 3,
    BadRequest = 4,
    UnsupportedOperation = 5,
    UnsupportedPath = 6,
    InvalidRequest = 7,
    PermissionDenied = 8,
    ApprovalPending = 9,
    Unrecoverable = 10,
}

impl ErrType {
    const ALL: [ErrType; 11] = [
        ErrType::Unknown,
        ErrType::User,
        ErrType::Internal,
        ErrType::Coded,
        ErrType::BadRequest,
        ErrType::UnsupportedOperation,
        ErrType::UnsupportedPath,
        ErrType::InvalidRequest,
        ErrType::PermissionDenied,
        ErrType::ApprovalPending,
        ErrType::Unrecoverable,
    ];

    fn from_number(number: u32) -> Option<ErrType> {
        ErrType::ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// The protobuf package `pb`.
mod pb {
    #![expect(unreachable_pub, unused_qualifications, clippy::allow_attributes, reason = "generated code")]
    include!("wire/generated/pb.rs");
}

/// The protobuf package `logical`.
mod version {
    #![expect(unreachable_pub, unused_qualifications, clippy::allow_attributes, reason = "generated code")]
    include!("wire/generated/logical.rs");
}

/// The protobuf package `pluginutil.multiplexing`.
mod multiplexing {
    #![expect(unreachable_pub, unused_qualifications, clippy::allow_attributes, reason = "generated code")]
    include!("wire/generated/multiplexing.rs");
}
