//! Patience: which deadline holds in which phase.
//!
//! One timer per session, moved only when it fires: bytes that arrive note the time, and a timer that finds its
//! deadline moved sleeps on.

use super::{End, Fate, Phase, Session};
use crate::{config::millis, events::Parting, io::Transport};
use std::{
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// How much longer than an initiator a target waits on an idle connection, so that the initiator is the one to close it
/// and no request meets a closing door.
const IDLE_GRACE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Clock {
    accepted: Instant,
    /// When bytes last went either way.
    moved: Instant,
    /// When the header that is not complete yet began.
    header: Option<Instant>,
}

impl Clock {
    pub(super) fn start(now: Instant) -> Self {
        Self {
            accepted: now,
            moved: now,
            header: None,
        }
    }

    pub(super) fn note(&mut self, moved: bool) {
        if moved {
            self.moved = Instant::now();
        }
    }

    pub(super) fn header_done(&mut self) {
        self.header = None;
    }
}

impl<T: Transport> Session<T> {
    fn deadline(&mut self) -> Instant {
        let limits = &self.target.limits;
        let progress = self.clock.moved + millis(limits.progress_timeout);
        let phase = match self.phase {
            Phase::Sniff | Phase::Preface | Phase::Proof { .. } => {
                self.clock.accepted + millis(limits.handshake_timeout)
            }
            Phase::Header if self.tx.pending() > 0 => progress,
            Phase::Header if self.rx.len() > 0 => {
                let began = *self.clock.header.get_or_insert(self.clock.moved);
                began + millis(limits.header_timeout)
            }
            Phase::Header => self.clock.moved + millis(limits.idle_timeout) + IDLE_GRACE,
            Phase::Message {
                fate: Fate::Keep(_, late),
                ..
            } => progress.min(late),
            Phase::Store { .. } | Phase::Drain { .. } | Phase::Message { .. } => progress,
            Phase::Parked { .. } => self.clock.moved + millis(limits.unexpected_timeout),
            Phase::Closing { since, farewell_sent } => {
                let drained = since + millis(limits.drain_time);
                // What is still to be sent has all the time that there is; the peer's farewell is not worth so much.
                self.cut.filter(|_| !farewell_sent).unwrap_or(drained)
            }
        };
        let kept = self.kept.front().map(|&(_, kept)| kept);
        [kept, self.cut].into_iter().flatten().fold(phase, Instant::min)
    }

    /// Sleeps until the deadline that holds now, or acts on it when it has passed.
    pub(super) fn keep_time(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let deadline = self.deadline();
        if let Poll::Ready(now) = self.timer.poll(deadline, self.clock.moved, &mut self.rx, cx) {
            self.too_late(now)?;
            // What it decided is to be sent in the next turn.
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    fn too_late(&mut self, now: Instant) -> Result<(), End> {
        if self.cut.is_some_and(|cut| cut <= now) {
            return Err(End(Parting::Local));
        }
        if self.kept.front().is_some_and(|&(_, kept)| kept <= now) {
            self.kept.pop_front();
            // The answer comes back through the mailbox.
            self.target.receives.expire(now);
            return Ok(());
        }
        match self.phase {
            Phase::Parked { key, header, sequence } => {
                self.parked_too_long(key, header, sequence);
                self.clock.moved = now;
                Ok(())
            }
            Phase::Message {
                fate: Fate::Keep(key, late),
                ..
            } if late <= now => {
                self.filling_too_long(key, now);
                Ok(())
            }
            Phase::Header if self.tx.pending() == 0 && self.rx.len() == 0 => {
                self.target.stats.evicted.add(1);
                Err(End(Parting::Evicted))
            }
            Phase::Closing { .. } => Err(End(Parting::Timeout)),
            _ => {
                self.target.stats.timed_out.add(1);
                Err(End(Parting::Timeout))
            }
        }
    }
}
