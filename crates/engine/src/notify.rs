//! A message that tells the peer of a write, sent when the write has been applied and never before.

use crate::{
    error::{Error, ErrorKind},
    link::{FirstHalf, Link},
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
    /// By which the link tells that the operation was given up.
    pub(crate) half: Arc<FirstHalf>,
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
        let ticket = ticket.then(Box::new(Applied(length)));
        let timeout = self.deadline.map(|late| late.saturating_duration_since(Instant::now()));
        // A lane sends what it is given before it looks at the time.
        if timeout.is_some_and(|left| left.is_zero()) {
            return ticket.complete(Err(Error::new(ErrorKind::Timeout)));
        }
        let mut bytes = [0; NOTIFICATION_BYTES];
        bytes[..8].copy_from_slice(&self.addr.to_le_bytes());
        bytes[8..].copy_from_slice(&length.to_le_bytes());
        match Span::copied(&bytes) {
            Ok(from) => {
                let request = Request::Send { tag: self.tag, from };
                let message = Operation {
                    ticket,
                    request,
                    timeout,
                };
                self.link
                    .submit_message(message, Some(&self.half), &self.endpoint, &self.stats);
            }
            Err(_) => ticket.complete(Err(Error::new(ErrorKind::Memory))),
        }
    }
}

/// The end of an operation whose write has been applied: what counts is what was written, and a failure says that something
/// was.
struct Applied(u64);

impl Next for Applied {
    fn proceed(self: Box<Self>, ticket: Ticket, _: Done) {
        ticket.complete(Ok(Done::Bytes(self.0)));
    }

    fn failed(&self, error: Error) -> Error {
        error.outcome_unknown()
    }
}
