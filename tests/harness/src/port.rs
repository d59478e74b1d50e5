//! Ports for servers that cannot pick one themselves.

use std::net::{Ipv4Addr, TcpListener};

/// A port that nothing listens on, for a server that a test starts itself; it stays free while that starts anew.
///
/// # Panics
///
/// When a bound socket has no address.
pub fn free_port() -> u16 {
    listener().local_addr().expect("a bound socket has an address").port()
}

/// A listener on a free loopback port. It is picked below the range from which the kernel gives ports to clients, so that it
/// stays free while a server restarts, and is free as well in a network where the same number is wanted; and at random, so
/// that test processes do not meet.
pub(crate) fn listener() -> TcpListener {
    loop {
        let port = rand::random_range(10_000..32_000);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener;
        }
    }
}
