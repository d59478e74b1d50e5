//! Ports for servers that cannot select one themselves.

use std::net::{Ipv4Addr, TcpListener};

/// A free port for a server that a test starts itself. It stays free while that server restarts.
///
/// # Panics
///
/// If a bound socket has no address.
pub fn free_port() -> u16 {
    listener().local_addr().expect("a bound socket has an address").port()
}

/// A listener on a free loopback port. It is below the range of client ports of the kernel, so that it stays free while a server restarts,
/// and is likely free in another network too. It is random, so that test processes do not collide.
pub(crate) fn listener() -> TcpListener {
    loop {
        let port = rand::random_range(10_000..32_000);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener;
        }
    }
}
