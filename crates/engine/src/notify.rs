//! A message that tells the peer of a write, sent when the write has been applied and never before.

use crate::{
    error::{Error, ErrorKind},
    link::Link,
    op::{Done, Instance, Next, Operation, Request, Ticket},
    region::span::Span,
    stats::Stats,
};
use std::sync::Arc;
use tokio::time::Instant;

/// Length of a notification: where the write began, and how many bytes it had, as two u64, little-endian.
pub const NOTIFICATION_BYTES: usize = 16;

/// Sends the notification of a write that has been applied.
pub(crate) struct Notify {
    pub(crate) link: Arc<Link>,
    /// Whose message it is.
    pub(crate) endpoint: Instance,
    pub(crate) stats: Arc<Stats>,
    pub(crate) tag: u64,
    pub(crate) addr: u64,
    /// That of the write and its notification together.
    pub(crate) deadline: Option<Instant>,
}

impl Next for Notify {
    fn proceed(self: Box<Self>, ticket: Ticket, done: Done) {
        let Done::Bytes(length) = done else {
            return ticket.complete(Err(Error::new(ErrorKind::Internal)));
        };
        let mut bytes = [0; NOTIFICATION_BYTES];
        bytes[..8].copy_from_slice(&self.addr.to_le_bytes());
        bytes[8..].copy_from_slice(&length.to_le_bytes());
        let ticket = ticket.then(Box::new(Written(length)));
        match Span::copied(&bytes) {
            Ok(from) => {
                let request = Request::Send { tag: self.tag, from };
                self.link.submit(
                    Operation {
                        ticket,
                        request,
                        timeout: self.deadline.map(|late| late.saturating_duration_since(Instant::now())),
                    },
                    &self.endpoint,
                    &self.stats,
                );
            }
            Err(_) => ticket.complete(Err(Error::new(ErrorKind::Memory).outcome_unknown())),
        }
    }
}

/// The end of a write whose notification has arrived: what counts is what was written.
struct Written(u64);

impl Next for Written {
    fn proceed(self: Box<Self>, ticket: Ticket, _: Done) {
        ticket.complete(Ok(Done::Bytes(self.0)));
    }
}
