//! The part of [`crate::fuzzing`] that parses protobuf.

use prost::Message;

use super::{from_wire, pb, to_wire};

/// A request of a host. Property: an accepted request, encoded and decoded again, is unchanged.
pub fn wire_request(bytes: &[u8]) {
    let Ok(message) = pb::Request::decode(bytes) else { return };
    if let Ok(request) = from_wire::request(Some(message)) {
        let written = to_wire::request(request);
        let again = from_wire::request(Some(written.clone())).expect("an encoded message is valid");
        assert_eq!(to_wire::request(again), written);
    }
}

/// The other messages that a host or a plugin sends. The first byte selects the type.
pub fn wire_response(bytes: &[u8]) {
    let Some((&selector, bytes)) = bytes.split_first() else { return };
    match selector % 6 {
        0 => {
            let Some(Ok(response)) = pb::Response::decode(bytes).ok().map(from_wire::response) else {
                return;
            };
            let written = to_wire::response(response);
            let again = from_wire::response(written.clone()).expect("an encoded message is valid");
            assert_eq!(to_wire::response(again), written);
        }
        1 => {
            let Some(Ok(error)) = pb::ProtoError::decode(bytes).ok().map(from_wire::error) else { return };
            let again = from_wire::error(to_wire::error(&error)).expect("an encoded message is valid");
            assert_eq!(again.to_string(), error.to_string());
        }
        2 => {
            let Ok(message) = pb::Paths::decode(bytes) else { return };
            assert_eq!(to_wire::special_paths(from_wire::special_paths(message.clone())), message);
        }
        3 => drop(pb::Entity::decode(bytes).map(from_wire::entity)),
        4 => drop(pb::Group::decode(bytes).map(from_wire::group)),
        _ => drop(pb::ResponseWrapInfo::decode(bytes).map(from_wire::wrapped)),
    }
}
