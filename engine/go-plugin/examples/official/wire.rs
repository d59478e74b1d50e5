//! The generated messages and services of `official.proto`; made by `tests/it/generated.rs`.

#![expect(unreachable_pub, unused_qualifications, clippy::allow_attributes, reason = "generated code")]

#[rustfmt::skip]
#[path = "generated.rs"]
mod generated;

pub(crate) use generated::*;
