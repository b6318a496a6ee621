//! Addresses that no other test can have.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A loopback address that belongs to this process alone: its id, spread over 127.0.0.0/8, which Linux takes
/// as loopback altogether. So ports can be chosen without asking, and stay the same when a service is
/// started again. A test runs in a process of its own.
pub fn of_this_process() -> IpAddr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    // 127.0.0.x is where everybody else listens.
    IpAddr::V4(Ipv4Addr::new(127, 128 | high, middle, low))
}

/// The address of the `port` that the test gives out itself.
pub fn with_port(port: u16) -> SocketAddr {
    SocketAddr::new(of_this_process(), port)
}
