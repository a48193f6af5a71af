//! The one timer of a connection, for all of its deadlines.

use super::{AT_REST, RecvBuffer};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep};

/// Set anew only when it would fire too late, or has fired: deadlines that move with every byte cost nothing.
#[derive(Debug)]
pub(crate) struct Timer(Pin<Box<Sleep>>);

impl Timer {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Box::pin(tokio::time::sleep_until(now)))
    }

    /// The time, once `deadline` has passed. Gives the buffer back meanwhile, of a connection whose last byte `moved` long
    /// ago.
    pub(crate) fn poll(
        &mut self,
        deadline: Instant,
        moved: Instant,
        buffer: &mut RecvBuffer,
        cx: &mut Context<'_>,
    ) -> Poll<Instant> {
        let rest_at = moved + AT_REST;
        loop {
            let now = Instant::now();
            if rest_at <= now {
                buffer.rest();
            }
            if deadline <= now {
                return Poll::Ready(now);
            }
            let next = if buffer.can_rest() {
                deadline.min(rest_at)
            } else {
                deadline
            };
            if self.0.deadline() > next || self.0.is_elapsed() || self.0.deadline() <= now {
                self.0.as_mut().reset(next);
            }
            ready!(self.0.as_mut().poll(cx));
        }
    }
}
