//! Every early end: a deadline, a cancel, the end of the lane. In no case is the caller's memory touched afterwards.

use super::{Command, End, Lane, inflight::Slot, write::Departure};
use crate::{
    config::millis,
    error::{Error, ErrorKind},
    events::Parting,
    io::Transport,
    op::{OperationKey, Remote, Waiter},
    region::span::Span,
};
use memlane_wire::Opcode;
use std::collections::HashSet;
use tokio::time::Instant;

/// Which operations end early, and with what.
pub(crate) enum GiveUp<'a> {
    /// Those whose deadline has passed.
    Late(Instant),
    /// Those that the caller cancelled.
    Cancelled(&'a HashSet<OperationKey>),
    /// Those of a peer that is closed here.
    Closed(&'a Remote),
    /// Those whose local memory belongs to a region that is being closed.
    Revoked,
    /// Parts of operations that have failed by another of their parts.
    Abandoned,
    /// All: the lane ends.
    All(&'a Error),
}

impl GiveUp<'_> {
    pub(crate) fn takes(&self, waiter: &Waiter, deadline: Option<Instant>, span: Option<&Span>) -> bool {
        match self {
            Self::Late(now) => deadline.is_some_and(|deadline| deadline <= *now),
            Self::Cancelled(keys) => waiter.key().is_some_and(|key| keys.contains(&key)),
            Self::Closed(remote) => waiter.remote().is_some_and(|theirs| theirs.is(remote)),
            Self::Revoked => span.is_some_and(Span::is_revoked),
            Self::Abandoned => waiter.has_failed(),
            Self::All(_) => true,
        }
    }

    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Late(_) => Error::new(ErrorKind::Timeout),
            Self::Cancelled(_) => Error::new(ErrorKind::Aborted),
            Self::Closed(_) => Error::new(ErrorKind::Closed),
            Self::Revoked => Error::new(ErrorKind::Closed).detail("the local region was closed"),
            // Nobody is told this: the operation ends with the error that came first.
            Self::Abandoned => Error::new(ErrorKind::Aborted),
            Self::All(error) => (*error).clone(),
        }
    }
}

impl<T: Transport> Lane<T> {
    /// Ends the operations that `wanted` names, wherever they are. What is not on the wire leaves the queue; an answer
    /// that is outstanding will be drained to nowhere; a body that is half sent ends the lane, because the stream has
    /// no other way to be rid of it.
    pub(super) fn give_up(&mut self, wanted: &GiveUp<'_>) -> Result<(), End> {
        self.queue.give_up(wanted);
        if let Some(bulk) = &self.bulk {
            bulk.queue().give_up(wanted);
        }
        // Small bodies were copied; a large one is sent from the caller's memory, is the last that was queued, and ends
        // with what was queued.
        let held = self.tx.has_body().then(|| self.tx.queued());
        // Others on the lane are not to suffer for an operation that was refused elsewhere: what is half sent of it may
        // leave, if it does so soon.
        let may_leave = matches!(wanted, GiveUp::Abandoned)
            .then(|| Instant::now() + millis(self.limits.drain_time))
            .filter(|_| held.is_some());
        let mut half_sent = false;
        let mut leaving = None;
        self.inflight
            .break_up(|train| wanted.takes(&train.waiter(), train.deadline(), train.into()));
        let outstanding = self.inflight.iter_mut().chain(self.incoming.slot_mut());
        for slot in outstanding {
            if slot
                .waiter
                .as_ref()
                .is_some_and(|waiter| wanted.takes(waiter, slot.deadline, slot.into.as_ref()))
            {
                let is_half_sent = slot.opcode != Opcode::Read && Some(slot.end) == held;
                if is_half_sent && may_leave.is_some() {
                    leaving = Some(Departure {
                        end: slot.end,
                        waiter: slot.waiter.take(),
                        result: Err(wanted.error().outcome_unknown()),
                        deadline: slot.deadline,
                    });
                } else {
                    half_sent |= is_half_sent;
                    abandon(slot, wanted.error());
                }
            }
        }
        self.departures.extend(leaving);
        for departure in &mut self.departures {
            if departure
                .waiter
                .as_ref()
                .is_some_and(|waiter| wanted.takes(waiter, departure.deadline, None))
            {
                let is_half_sent = Some(departure.end) == held;
                if is_half_sent && may_leave.is_some() {
                    departure.result = Err(wanted.error().outcome_unknown());
                    departure.deadline = departure.deadline.into_iter().chain(may_leave).min();
                } else {
                    half_sent |= is_half_sent;
                    if let Some(waiter) = departure.waiter.take() {
                        waiter.end(Err(wanted.error().outcome_unknown()));
                    }
                }
            }
        }
        self.note_deadline(may_leave);
        half_sent |= matches!(wanted, GiveUp::Revoked) && self.tx.has_revoked_body();
        if half_sent {
            self.tx.clear();
            if let Some(attendance) = &mut self.attendance {
                attendance.part(Parting::Local);
            }
            return Err(Error::new(ErrorKind::PeerClosed)
                .detail("the lane was closed, because an operation on it was given up half sent")
                .into());
        }
        Ok(())
    }

    /// The file behind the body that is being sent was truncated: its operation ends, and the lane with it, because the
    /// stream has no other way to be rid of a body that has begun.
    pub(super) fn lose_body(&mut self) -> End {
        // It is the last that was queued: nothing is put behind a large body before it is out.
        let held = self.tx.queued();
        let is_its = |slot: &&mut Slot| slot.opcode != Opcode::Read && slot.end == held;
        if let Some(slot) = self.inflight.iter_mut().find(is_its) {
            abandon(slot, Error::lost_file());
        }
        for departure in &mut self.departures {
            if departure.end == held
                && let Some(waiter) = departure.waiter.take()
            {
                waiter.end(Err(Error::lost_file().outcome_unknown()));
            }
        }
        self.tx.clear();
        let text = "the lane was closed, because the file behind an operation on it was truncated";
        Error::new(ErrorKind::PeerClosed).detail(text).into()
    }

    /// Ends everything, what nobody has looked at yet included.
    pub(super) fn fail_all(&mut self, error: &Error) {
        if matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Timeout) {
            self.stats.lanes_poisoned.add(1);
        }
        if error.kind() == ErrorKind::Protocol {
            self.stats.protocol_errors.add(1);
            // An operation that fails with it is told by that; without one, nobody would be.
            if self.is_idle() && self.commands.is_empty() {
                self.destined.fault(error);
            }
        }
        if let Some(attempt) = self.attempt.take()
            && error.kind() != ErrorKind::Closed
        {
            attempt.failed(error);
        }
        // Before anybody hears of an end: whoever does, and goes on, finds the mailbox closed and opens another lane.
        let unread = self.commands.close();
        // The memory before the ends: nothing of it is sent or stored once an operation has ended.
        self.tx.clear();
        self.fail_departures(error);
        // What is on the wire first: the error that it ends with says that its outcome is unknown.
        let incoming = std::mem::replace(&mut self.incoming, super::Incoming::Answer);
        for mut slot in self.inflight.take_all().chain(incoming.into_slot()) {
            abandon(&mut slot, error.clone());
        }
        if let Some(lost) = self
            .lost
            .take()
            .filter(|_| matches!(error.kind(), ErrorKind::Connect | ErrorKind::Auth))
        {
            // The connection that they were handed to was there, and ended: that nobody answers now only follows from it.
            self.queue.fail_repeated(&lost);
        }
        self.queue.give_up(&GiveUp::All(error));
        let unread: Vec<_> = unread.into_iter().chain(self.taken.drain(..)).collect();
        // The mailbox is closed: whoever finds it so with a large operation opens another lane for it, however long that is
        // queued. What this one was told of is ended here, if nobody else is there to take it.
        if let Some(bulk) = &mut self.bulk {
            for command in &unread {
                if let Command::Work(number) = command {
                    bulk.told(*number);
                }
            }
            bulk.failed(error);
        }
        unread.into_iter().for_each(|command| command.fail(error));
    }

    /// Ends the requests that were to end when they have left.
    pub(super) fn fail_departures(&mut self, error: &Error) {
        for departure in std::mem::take(&mut self.departures) {
            if let Some(waiter) = departure.waiter {
                waiter.end(Err(match departure.result {
                    Err(known) => known,
                    Ok(_) => error.clone().outcome_unknown(),
                }));
            }
        }
    }
}

/// Ends the operation of a request that is on the wire; its answer, if it comes, finds nobody.
pub(super) fn abandon(slot: &mut Slot, error: Error) {
    slot.into = None;
    if let Some(waiter) = slot.waiter.take() {
        let changes_the_peer = matches!(slot.opcode, Opcode::Write | Opcode::Send);
        waiter.end(Err(if changes_the_peer {
            error.outcome_unknown()
        } else {
            error
        }));
    }
}
