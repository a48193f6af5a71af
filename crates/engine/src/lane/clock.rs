//! A lane's deadlines: dialling, handshake, operations, progress, idleness. One timer for all of them.

use super::{End, Lane, Link, giving_up::GiveUp};
use crate::{
    backoff,
    config::millis,
    error::{Error, ErrorKind},
    io::Transport,
};
use std::task::{Context, Poll};
use tokio::time::Instant;

impl<T: Transport> Lane<T> {
    /// When something has to be done if nothing happens until then.
    fn deadline(&self) -> Instant {
        let limits = &self.limits;
        let own = match (&self.link, &self.incoming) {
            // The wait before a dial has its own end, and does not count as dialling; this is in case it is queued for.
            (Link::Dialling(_), _) if self.turn.is_some() => {
                self.began + backoff::MOST + millis(limits.connect_timeout)
            }
            (Link::Dialling(_), _) => self.began + millis(limits.connect_timeout),
            (_, incoming) if incoming.is_greeting() => self.began + millis(limits.handshake_timeout),
            _ if self.send_error.is_some() => self.moved + millis(limits.drain_time),
            _ if self.is_idle() => self.moved + millis(limits.idle_timeout),
            _ => self.moved + millis(limits.progress_timeout),
        };
        self.earliest.map_or(own, |earliest| own.min(earliest))
    }

    /// Sleeps until the deadline that holds now, or acts on it when it has passed.
    pub(super) fn keep_time(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let deadline = self.deadline();
        if let Poll::Ready(now) = self.timer.poll(deadline, self.moved, &mut self.rx, cx) {
            self.too_late(now)?;
            // What it took or let go of may be work for the next turn.
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    fn too_late(&mut self, now: Instant) -> Result<(), End> {
        if self.earliest.is_some_and(|earliest| earliest <= now) {
            self.give_up(&GiveUp::Late(now))?;
            self.earliest = self.earliest_deadline();
            return Ok(());
        }
        let connect = |what: &str| Error::new(ErrorKind::Connect).detail(what).into();
        match (&self.link, &self.incoming) {
            (Link::Dialling(_), _) => Err(connect("no connection within the connect timeout")),
            (_, incoming) if incoming.is_greeting() => Err(connect("no answer within the handshake timeout")),
            _ if self.send_error.is_some() => Err(self
                .send_error
                .take()
                .unwrap_or_else(|| Error::new(ErrorKind::PeerClosed))
                .into()),
            _ if self.is_idle() => {
                // An operation that came in this very moment keeps the lane, or is taken by the next one.
                let goes = match &mut self.bulk {
                    Some(bulk) => bulk.goes(&self.commands),
                    None => self.commands.close_if_empty(),
                };
                if goes { Err(End::Idle) } else { self.take_commands() }
            }
            _ if self.inflight.only_sends() && self.tx.pending() == 0 && !self.inflight.is_empty() => {
                // A message's answer may take as long as its receive; its own deadline is the one that counts.
                self.moved = now;
                Ok(())
            }
            _ if self.stalled(now) => Err(Error::new(ErrorKind::Timeout)
                .detail("no byte moved within the progress timeout")
                .into()),
            _ => Ok(()),
        }
    }

    fn earliest_deadline(&mut self) -> Option<Instant> {
        let incoming = self.incoming.slot_mut().filter(|slot| slot.waiter.is_some());
        let incoming = incoming.and_then(|slot| slot.deadline);
        let waiting = self.inflight.earliest_deadline();
        let leaving = self
            .departures
            .iter()
            .filter(|one| one.waiter.is_some())
            .filter_map(|one| one.deadline)
            .min();
        let bulk = self.bulk.as_ref().and_then(|bulk| bulk.queue().earliest_deadline());
        [waiting, incoming, leaving, bulk, self.queue.earliest_deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}
