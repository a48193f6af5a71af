//! Every early end: a deadline, a cancel, the end of the lane. In no case is the caller's memory touched afterwards.

use super::{Command, End, Lane, inflight::Slot};
use crate::{
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
            Self::All(_) => true,
        }
    }

    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Late(_) => Error::new(ErrorKind::Timeout),
            Self::Cancelled(_) => Error::new(ErrorKind::Aborted),
            Self::Closed(_) => Error::new(ErrorKind::Closed),
            Self::Revoked => Error::new(ErrorKind::Closed).detail("the local region was closed"),
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
        let mut half_sent = false;
        let outstanding = self.inflight.iter_mut().chain(self.incoming.slot_mut());
        for slot in outstanding {
            if slot
                .waiter
                .as_ref()
                .is_some_and(|waiter| wanted.takes(waiter, slot.deadline, slot.into.as_ref()))
            {
                half_sent |= slot.opcode != Opcode::Read && Some(slot.end) == held;
                abandon(slot, wanted.error());
            }
        }
        for departure in &mut self.departures {
            if departure
                .waiter
                .as_ref()
                .is_some_and(|waiter| wanted.takes(waiter, departure.deadline, None))
            {
                half_sent |= Some(departure.end) == held;
                if let Some(waiter) = departure.waiter.take() {
                    waiter.end(Err(wanted.error().outcome_unknown()));
                }
            }
        }
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
        // The memory first: nothing of it is sent or stored once an operation has ended.
        self.tx.clear();
        let mut refused = std::mem::take(&mut self.departures);
        for departure in &mut refused {
            if let Some(waiter) = departure.waiter.take() {
                let result = match &departure.result {
                    Err(known) => Err(known.clone()),
                    Ok(_) => Err(error.clone().outcome_unknown()),
                };
                waiter.end(result);
            }
        }
        // What is on the wire first: the error that it ends with says that its outcome is unknown.
        let incoming = std::mem::replace(&mut self.incoming, super::Incoming::Answer);
        for mut slot in self.inflight.take_all().chain(incoming.into_slot()) {
            abandon(&mut slot, error.clone());
        }
        self.queue.give_up(&GiveUp::All(error));
        // In this order: whoever finds the mailbox closed opens another lane for what it has queued; what was queued
        // before that is ended here, if nobody else is there to take it.
        let unread = self.commands.close();
        if let Some(bulk) = &self.bulk {
            bulk.failed(error);
        }
        for command in unread.into_iter().chain(self.taken.drain(..)) {
            match command {
                Command::Submit(operation) => operation.ticket.complete(Err(error.clone())),
                Command::Pieces(pieces) => {
                    pieces
                        .into_iter()
                        .for_each(|piece| piece.waiter.end(Err(error.clone())));
                }
                _ => {}
            }
        }
    }
}

/// Ends the operation of a request that is on the wire; its answer, if it comes, finds nobody.
fn abandon(slot: &mut Slot, error: Error) {
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
