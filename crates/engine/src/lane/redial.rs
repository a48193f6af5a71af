//! The connection has ended and the lane goes on: what may safely go by another one waits in the queue of the same lane while
//! that is dialled, so that a cancel, a deadline or a fence finds it there in every moment.

use super::{
    Command, Lane, Link,
    giving_up::{GiveUp, abandon},
    inflight::Slot,
    queue::Piece,
    read::Incoming,
    window::Window,
};
use crate::{
    error::{Error, ErrorKind},
    io::{RecvBuffer, SendQueue, Transport},
};
use memlane_wire::Opcode;
use tokio::time::Instant;

impl<T: Transport> Lane<T> {
    /// Dials again if the connection was ended from outside and there is anything that may go by another one: what was
    /// queued, and reads of whose answer no byte was seen, each at most once. All else that was on the wire has ended then.
    /// False when the lane is to end; what it still holds is to be failed.
    pub(super) fn dial_again(&mut self, error: &Error) -> bool {
        if error.kind() != ErrorKind::PeerClosed {
            return false;
        }
        self.take_back(error);
        if !self.has_work(error) {
            return false;
        }
        if let Some(attempt) = self.attempt.take() {
            // Connected, and never answered.
            attempt.failed(error);
        }
        self.turn = Some(self.backoff.turn());
        self.part(Some(error));
        self.attendance = None;
        // The old connection goes with this.
        self.link = Link::Dialling((self.dialler)());
        self.incoming = Incoming::first(self.mode);
        (self.rx, self.tx) = (RecvBuffer::default(), SendQueue::default());
        self.window = Window::default();
        self.send_error = None;
        self.lost = Some(error.clone());
        self.began = Instant::now();
        self.moved = self.began;
        true
    }

    /// Ends what was on the wire and must not go twice; what is left is in the queue.
    fn take_back(&mut self, error: &Error) {
        self.tx.clear();
        self.fail_departures(error);
        if let Some(mut slot) = std::mem::replace(&mut self.incoming, Incoming::Answer).into_slot() {
            // A byte of its answer was seen.
            abandon(&mut slot, error.clone());
        }
        // The same holds for the oldest request where half a status came.
        if self.rx.len() > 0
            && let Some(mut slot) = self.inflight.oldest()
        {
            abandon(&mut slot, error.clone());
        }
        let mut again = Vec::new();
        for mut slot in self.inflight.take_all() {
            match again_by_another(&mut slot) {
                Some(piece) => again.push(piece),
                None => abandon(&mut slot, error.clone()),
            }
        }
        self.queue.begin_anew(again, error);
        // What belongs to an operation that has failed with this is not worth a connection.
        self.queue.give_up(&GiveUp::Abandoned);
    }

    /// Whether there is anything to dial for. If not, nothing is taken any more either.
    fn has_work(&mut self, error: &Error) -> bool {
        loop {
            self.commands.take(&mut self.taken);
            if self.taken.iter().any(|command| matches!(command, Command::Close)) {
                return false;
            }
            let has_bulk = self.bulk.as_ref().is_some_and(|bulk| !bulk.queue().is_empty());
            let brings_work = |command: &Command| match command {
                Command::Submit(_) | Command::Parts(_) => true,
                Command::Work(_) => has_bulk,
                _ => false,
            };
            if !self.queue.is_empty() || self.taken.iter().any(brings_work) {
                return true;
            }
            if self.bulk.as_mut().is_some_and(|bulk| bulk.stays(error)) {
                return true;
            }
            // Cancels and their like, for operations that are not here.
            self.taken.clear();
            if self.commands.close_if_empty() {
                return false;
            }
            if let Some(bulk) = &mut self.bulk {
                bulk.rejoin();
            }
        }
    }
}

/// The piece that a request was, if it may be asked for a second time.
fn again_by_another(slot: &mut Slot) -> Option<Piece> {
    if slot.opcode != Opcode::Read || slot.repeated {
        return None;
    }
    Some(Piece {
        opcode: slot.opcode,
        addr: slot.addr,
        waiter: slot.waiter.take()?,
        span: slot.into.take(),
        deadline: slot.deadline,
        repeated: false,
    })
}
