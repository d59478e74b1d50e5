//! Ports for servers that cannot pick one themselves.

use std::net::{Ipv4Addr, TcpListener};

/// A port that nothing listens on. It is picked below the range from which the kernel gives ports to clients, so that it
/// stays free while a server restarts, and at random, so that test processes do not meet.
pub(crate) fn free() -> u16 {
    loop {
        let port = rand::random_range(10_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
