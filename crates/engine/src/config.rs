//! Limits: every bound that an endpoint keeps, with its unit, default and range.

use crate::error::{Error, ErrorKind};
use std::time::Duration;

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident, $name:literal, $default:expr, $least:expr, $most:expr;)*) => {
        /// The bounds of one context and its endpoints. All lengths are bytes, all times milliseconds; the option of the same name in
        /// JavaScript sets it, and `stats()` tells it.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Limits {
            /// Name, default, least and most of every limit.
            pub const TABLE: &'static [(&'static str, u64, u64, u64)] = &[$(($name, $default, $least, $most),)*];

            /// Sets the limit of that name.
            ///
            /// # Errors
            /// `ERR_LIMIT` for a name that is none, or a value out of its range.
            pub fn set(&mut self, name: &str, value: u64) -> Result<(), Error> {
                match name {
                    $($name => self.$field = within($name, value, $least, $most)?,)*
                    _ => return Err(Error::new(ErrorKind::Limit).detail(format!("{name} is no limit"))),
                }
                Ok(())
            }

            /// Every limit with its name.
            pub fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field),)*]
            }
        }
    };
}

const SECOND: u64 = 1000;
const DAY: u64 = 86_400 * SECOND;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

limits! {
    /// Threads that move bytes. One serves many peers; more pay off where one core cannot fill the network.
    io_threads, "ioThreads", 1, 1, 64;
    /// Lanes for reads and writes that a peer may have, opened when they are needed: the first for small operations, the
    /// others for large ones. Messages have one more for each endpoint. Two are the best on one machine (reads of 64 MiB: 6.2 GB/s with two,
    /// 4.3 with four, interleaved on two cores); a fast network wants more.
    lanes_per_peer, "lanesPerPeer", 2, 1, 16;
    /// Connections that an endpoint holds open as a target; more are closed at once.
    max_connections, "maxConnections", 1024, 1, 1_000_000;
    /// The same from one source address.
    max_connections_per_source, "maxConnectionsPerSource", 64, 1, 1_000_000;
    /// Longest operation that a target accepts. Initiators split longer reads and writes.
    max_operation_bytes, "maxOperationBytes", GIB, MIB, 1 << 40;
    /// Bytes of private copies that wait for one peer: of writes and sends of JavaScript's memory.
    max_queued_bytes, "maxQueuedBytesPerPeer", 256 * MIB, MIB, 1 << 40;
    /// Longest endpoint info that is answered with, or taken: some 75 bytes a region with its name.
    max_info_bytes, "maxInfoBytes", MIB, MIB, 256 * MIB;
    /// Bytes of messages kept for receives that are not posted yet.
    max_unexpected_bytes, "maxUnexpectedBytes", MIB, 0, GIB;
    /// Number of such messages; each is gone through when one more of them is looked for, so that they cannot be very many.
    max_unexpected_messages, "maxUnexpectedMessages", 64, 0, 8_192;
    /// How long such a message waits for its receive, from its first byte on.
    unexpected_timeout, "unexpectedTimeoutMs", 5 * SECOND, 1, DAY;
    /// Resolve and connect together.
    connect_timeout, "connectTimeoutMs", 5 * SECOND, 1, DAY;
    /// From accept, or from connect, until the mode is known and both prefaces are exchanged.
    handshake_timeout, "handshakeTimeoutMs", 5 * SECOND, 1, DAY;
    /// From the first byte of a header to its last.
    header_timeout, "headerTimeoutMs", 10 * SECOND, 1, DAY;
    /// Longest time without a byte while a body is on its way.
    progress_timeout, "progressTimeoutMs", 30 * SECOND, 1, DAY;
    /// An initiator closes a lane that had nothing to do for so long; a target waits ten seconds more.
    idle_timeout, "idleTimeoutMs", 60 * SECOND, 1, DAY;
    /// Longest refused payload that is read to nowhere so that the connection can go on.
    drain_bytes, "drainBytes", MIB, 0, GIB;
    /// How long a connection that is being closed reads what is still coming.
    drain_time, "drainMs", 2 * SECOND, 0, DAY;
    /// Send buffer of sockets to other machines; 0 leaves it to the system, which lets it grow with the road.
    send_buffer, "sendBufferBytes", 0, 0, GIB;
    /// Receive buffer of such sockets, likewise.
    receive_buffer, "receiveBufferBytes", 0, 0, GIB;
    /// Send buffer of sockets whose other end is on this machine; 0 is as to any other.
    local_send_buffer, "localSendBufferBytes", 512 * KIB, 0, GIB;
    /// Receive buffer of such sockets, likewise.
    local_receive_buffer, "localReceiveBufferBytes", MIB, 0, GIB;
}

fn within(name: &str, value: u64, least: u64, most: u64) -> Result<u64, Error> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(Error::new(ErrorKind::Limit).detail(format!("{name} is {value}, its range is {least} to {most}")))
    }
}

pub(crate) fn millis(value: u64) -> Duration {
    Duration::from_millis(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_set_by_its_name_and_keeps_its_range() {
        for &(name, default, least, most) in Limits::TABLE {
            let mut limits = Limits::default();
            assert!((least..=most).contains(&default), "{name}");
            limits.set(name, most).unwrap();
            assert!(limits.list().contains(&(name, most)));
            assert!(limits.set(name, most + 1).is_err(), "{name}");
            assert!(least == 0 || limits.set(name, least - 1).is_err(), "{name}");
        }
        assert!(Limits::default().set("lanes", 1).is_err());
    }
}
