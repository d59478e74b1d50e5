//! The generated messages and services of the protobuf package `plugin`; see `tests/it/generated.rs`.

#![expect(unreachable_pub, unused_qualifications, clippy::allow_attributes, reason = "generated code")]

#[rustfmt::skip]
#[path = "generated/plugin.rs"]
mod generated;

pub(crate) use generated::*;
