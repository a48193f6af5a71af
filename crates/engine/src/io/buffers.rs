//! Buffers of sockets: fixed where the other end is on this machine, the system's own where a road lies between.
//!
//! What a socket may have in flight is what its buffers hold, and a size that was set stays as it is. A system that is left
//! alone lets them grow with the road: over 10 ms that moved four times what a fixed 512 KiB did. Without a road, fixed
//! ones are faster: what is in flight stays in the processor's cache. docs/long-roads.md says how to measure it.

use super::raw;
use crate::config::Limits;
use std::{
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
};
use tokio::net::{TcpSocket, TcpStream};

/// Buffers of a socket that is to connect to this address, or to listen at it: before it does, or the window of some systems
/// cannot scale to them.
pub(super) fn prepare(socket: &TcpSocket, address: &SocketAddr, limits: &Limits) {
    let (send, receive) = sizes(is_loopback(address.ip()), limits);
    raw::set_buffers(socket.as_raw_fd(), send, receive);
}

/// Buffers of a connected socket whose other end turns out to be on this machine: at one of its own addresses, or
/// accepted at all of them.
pub(super) fn settle(stream: &TcpStream, limits: &Limits) {
    let (Ok(here), Ok(there)) = (stream.local_addr(), stream.peer_addr()) else {
        return;
    };
    if is_local(here.ip(), there.ip()) {
        let (send, receive) = sizes(true, limits);
        raw::set_buffers(stream.as_raw_fd(), send, receive);
    }
}

/// Send and receive; 0 is the system's.
fn sizes(local: bool, limits: &Limits) -> (u64, u64) {
    let or = |own: u64, others: u64| if local && own > 0 { own } else { others };
    (
        or(limits.local_send_buffer, limits.send_buffer),
        or(limits.local_receive_buffer, limits.receive_buffer),
    )
}

/// Whether a connection between these ends never leaves the machine.
fn is_local(here: IpAddr, there: IpAddr) -> bool {
    is_loopback(there) || here.to_canonical() == there.to_canonical()
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{TcpTransport, listen, tcp::socket};

    /// Each of another size, and below what any system refuses.
    fn different() -> Limits {
        Limits {
            send_buffer: 64 << 10,
            receive_buffer: 32 << 10,
            local_send_buffer: 16 << 10,
            local_receive_buffer: 96 << 10,
            ..Limits::default()
        }
    }

    const ELSEWHERE: (u64, u64) = (64 << 10, 32 << 10);
    const HERE: (u64, u64) = (16 << 10, 96 << 10);

    /// Whether the buffers are of these sizes; Linux doubles what it is asked for.
    fn has(socket: &TcpSocket, (send, receive): (u64, u64)) -> bool {
        let is = |told: std::io::Result<u32>, size: u64| [size, 2 * size].contains(&u64::from(told.unwrap()));
        is(socket.send_buffer_size(), send) && is(socket.recv_buffer_size(), receive)
    }

    fn prepared(address: &str, limits: &Limits) -> TcpSocket {
        socket(&address.parse().unwrap(), limits).unwrap()
    }

    #[test]
    fn a_socket_to_another_machine_has_other_buffers_than_one_to_this() {
        let limits = different();
        for address in ["192.0.2.1:1", "0.0.0.0:1", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1"] {
            assert!(has(&prepared(address, &limits), ELSEWHERE), "{address}");
        }
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(has(&prepared(address, &limits), HERE), "{address}");
        }
    }

    #[test]
    fn unless_somebody_asks_the_system_has_the_buffers_of_sockets_to_other_machines() {
        let untouched = TcpSocket::new_v4().unwrap();
        let socket = prepared("192.0.2.1:1", &Limits::default());
        let sizes = |socket: &TcpSocket| (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap());
        assert_eq!(sizes(&socket), sizes(&untouched));
        assert_ne!(sizes(&prepared("127.0.0.1:1", &Limits::default())), sizes(&untouched));
    }

    #[test]
    fn no_size_for_this_machine_is_that_for_others() {
        let limits = Limits {
            local_send_buffer: 0,
            local_receive_buffer: 0,
            ..different()
        };
        assert!(has(&prepared("127.0.0.1:1", &limits), ELSEWHERE));
    }

    #[tokio::test]
    async fn a_connection_from_this_machine_is_known_however_the_listener_was_bound() {
        let listener = listen("0.0.0.0", 0, &different(), |_| true).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dialled = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        for stream in [dialled, accepted] {
            let stream = TcpTransport::new(stream, &different()).into_inner();
            let socket = TcpSocket::from_std_stream(stream.into_std().unwrap());
            assert!(has(&socket, HERE));
        }
    }

    #[test]
    fn both_ends_at_one_address_are_on_one_machine() {
        let table = [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("2001:db8::1", "2001:db8::1", true),
            ("2001:db8::1", "2001:db8::2", false),
            ("127.0.0.1", "127.0.0.2", true),
            ("::1", "::1", true),
        ];
        for (here, there, local) in table {
            assert_eq!(
                is_local(here.parse().unwrap(), there.parse().unwrap()),
                local,
                "{here} {there}"
            );
        }
    }
}
