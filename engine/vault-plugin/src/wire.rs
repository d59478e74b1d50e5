//! The wire: the only room that knows the protobuf messages and what they mean in [`crate::logical`].

mod service;

mod from_wire;
mod to_wire;

mod probe;
mod remote_events;
mod remote_storage;
mod remote_system;

#[cfg(test)]
mod in_process;

pub(crate) use probe::probe;
pub(crate) use service::routes;

/// The wire package `pb`.
mod pb {
    #![expect(unreachable_pub, unused_qualifications, clippy::allow_attributes, reason = "generated code")]
    include!("wire/generated/pb.rs");
}

/// The wire package `logical`.
mod version {
    #![expect(unreachable_pub, unused_qualifications, clippy::allow_attributes, reason = "generated code")]
    include!("wire/generated/logical.rs");
}

/// The wire package `pluginutil.multiplexing`.
mod multiplexing {
    #![expect(unreachable_pub, unused_qualifications, clippy::allow_attributes, reason = "generated code")]
    include!("wire/generated/multiplexing.rs");
}
