//! Posted receives and the messages that came before them: who gets which, first in, first out.
//!
//! No I/O here. A session says what arrived and is told what to do with it; when a receive is posted later, the session
//! hears of it through its mailbox.

mod unexpected;
mod whom;

use crate::{
    config::Limits,
    error::{Error, ErrorKind},
    mailbox::Mailbox,
    op::{Done, Instance, Message, OperationKey, Ticket},
    region::span::Span,
    stats::EndpointStats,
    sync::{Mutex, MutexGuard},
};
use memlane_wire::Status;
use std::{collections::VecDeque, sync::Arc};
use tokio::time::Instant;
use unexpected::{State, Unexpected, UnexpectedQueue};
pub(crate) use whom::Whom;

/// A receive that waits for its message.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) ticket: Ticket,
    pub(crate) into: Span,
    /// `None` takes any.
    pub(crate) tag: Option<u64>,
    /// Whose messages it takes; `None` is anybody's.
    pub(crate) from: Option<Arc<Whom>>,
    /// Whether a message of another size fails it.
    pub(crate) exact: bool,
}

impl Posted {
    fn takes(&self, tag: u64, sender: &Sender) -> bool {
        self.tag.is_none_or(|wanted| wanted == tag) && self.from.as_ref().is_none_or(|whom| whom.is(sender))
    }

    fn fail_revoked(self) {
        // The span goes with the receive: the fence waits for it.
        let Self { ticket, into, .. } = self;
        drop(into);
        ticket.complete(Err(Error::new(ErrorKind::Closed).detail("the local region was closed")));
    }
}

/// Names a message that is kept or parked.
pub(crate) type MessageKey = u64;

/// Who sent a message and where its answer goes.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) mailbox: Arc<Mailbox<Event>>,
    pub(crate) sequence: u32,
    pub(crate) from: Arc<str>,
    /// Which endpoint it is; the legacy wire does not say.
    pub(crate) instance: Option<Instance>,
}

/// What a session is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// The parked message has its receive: store it there.
    Grant(MessageKey, Posted),
    /// The parked message may be kept now.
    Keep(MessageKey),
    /// A kept message has come to its end.
    Answer { sequence: u32, status: Status },
    /// A region is being closed and its fence waits: end if you still move its bytes.
    Revoke,
    /// The endpoint closes: a body that is coming in and what is being answered may get there until then, nothing else.
    Close(Instant),
}

/// What to do with the message that a SEND header announces.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Store it here.
    Matched(Posted),
    /// Keep it: within the limits.
    Keep(MessageKey),
    /// Leave it in the socket until told more.
    Park(MessageKey),
    /// The endpoint takes no more messages.
    Closed,
}

/// The receives of one endpoint.
#[derive(Debug)]
pub(crate) struct Receives {
    state: Mutex<Queues>,
    limits: Limits,
    stats: Arc<EndpointStats>,
}

#[derive(Debug, Default)]
struct Queues {
    posted: VecDeque<Posted>,
    /// Receives whose message is coming in, and whether the caller has given them up meanwhile: if the message is cut
    /// off they end, rather than take another.
    receiving: Vec<(OperationKey, bool)>,
    unexpected: UnexpectedQueue,
    closed: bool,
}

impl Queues {
    /// Forgets that a receive's message is coming in; whether it was given up meanwhile.
    fn take_receiving(&mut self, ticket: &Ticket) -> bool {
        let place = self.receiving.iter().position(|(key, _)| ticket.is(key));
        place.is_some_and(|place| self.receiving.swap_remove(place).1)
    }
}

enum Place {
    Back,
    Front,
}

/// What there is for a receive among the messages that came before it.
enum Found {
    Nothing(Posted),
    /// One that is not whole yet, and will end it.
    Coming,
    Kept(Posted, Unexpected),
}

impl Receives {
    pub(crate) fn new(limits: &Limits, stats: Arc<EndpointStats>) -> Self {
        Self {
            state: Mutex::default(),
            limits: limits.clone(),
            stats,
        }
    }

    /// Posts a receive: it takes the first message that is already there, or waits for one.
    pub(crate) fn post(&self, posted: Posted) {
        self.expire(Instant::now());
        self.place(self.state.lock(), posted, Place::Back);
    }

    /// Puts a receive back to the head of the queue: its message was cut off.
    pub(crate) fn put_back(&self, posted: Posted) {
        self.expire(Instant::now());
        let mut state = self.state.lock();
        if state.take_receiving(&posted.ticket) {
            drop(state);
            return posted.ticket.complete(Err(Error::new(ErrorKind::Aborted)));
        }
        self.place(state, posted, Place::Front);
    }

    /// Whoever takes a receive from one place to another holds the lock meanwhile: a cancel finds it in one of them.
    fn place(&self, mut state: MutexGuard<'_, Queues>, posted: Posted, place: Place) {
        if state.closed {
            drop(state);
            return posted.ticket.complete(Err(Error::new(ErrorKind::Closed)));
        }
        if posted.into.is_revoked() {
            drop(state);
            return posted.fail_revoked();
        }
        if posted.is_from_nobody() {
            drop(state);
            return posted.fail_from_nobody();
        }
        match self.find(&mut state, posted) {
            Found::Nothing(posted) => match place {
                Place::Back => state.posted.push_back(posted),
                Place::Front => state.posted.push_front(posted),
            },
            Found::Coming => {}
            Found::Kept(posted, message) => {
                drop(state);
                self.hand_over(posted, message);
            }
        }
    }

    /// The first unexpected message that the receive takes.
    fn find(&self, state: &mut Queues, mut posted: Posted) -> Found {
        let mut after = 0;
        while let Some(index) = state.unexpected.unclaimed(after, &posted) {
            match &mut state.unexpected[index].state {
                State::Filling { claimed } => {
                    *claimed = Some(posted);
                    return Found::Coming;
                }
                State::Parked => {
                    let message = state.unexpected.remove(index);
                    let key = posted.ticket.key();
                    match message.sender.mailbox.push(Event::Grant(message.key, posted)) {
                        Ok(()) => {
                            state.receiving.extend(key.map(|key| (key, false)));
                            return Found::Coming;
                        }
                        // That connection has just ended; the next message, then.
                        Err(Event::Grant(_, again)) => posted = again,
                        Err(_) => unreachable!("a refused item comes back as it was"),
                    }
                    after = index;
                }
                State::Kept { .. } => {
                    let message = state.unexpected.remove(index);
                    state.unexpected.promote(&self.limits);
                    return Found::Kept(posted, message);
                }
            }
        }
        Found::Nothing(posted)
    }

    fn hand_over(&self, posted: Posted, message: Unexpected) {
        let State::Kept { bytes, .. } = message.state else {
            return self.put_back(posted);
        };
        let status = self.deliver(posted, message.tag, &bytes, &message.sender);
        // The sender may be gone by now; then nobody waits for the answer.
        let _ = message.sender.mailbox.push(Event::Answer {
            sequence: message.sender.sequence,
            status,
        });
    }

    fn deliver(&self, posted: Posted, tag: u64, bytes: &Span, sender: &Sender) -> Status {
        let size = bytes.len() as u64;
        let fits = !posted.exact || posted.into.len() == bytes.len();
        if fits && bytes.copy_to(&posted.into).is_err() {
            return self.lose(posted, &sender.from);
        }
        self.complete(posted, tag, size, &sender.from, sender.instance)
    }

    /// Ends a receive whose message of `size` bytes has been stored as far as it fits; the status for its sender.
    pub(crate) fn complete(
        &self,
        posted: Posted,
        tag: u64,
        size: u64,
        from: &Arc<str>,
        instance: Option<Instance>,
    ) -> Status {
        self.state.lock().take_receiving(&posted.ticket);
        let room = posted.into.len() as u64;
        if posted.exact && size != room {
            let error =
                Error::new(ErrorKind::MessageSize).detail(format!("{size} bytes came, exactly {room} were wanted"));
            posted.ticket.fail(error, from);
            return Status::MessageSize;
        }
        let bytes = size.min(room);
        if posted.into.is_file()
            && posted
                .into
                .slice(0, bytes as usize)
                .is_none_or(|span| span.check_file().is_err())
        {
            return self.lose(posted, from);
        }
        self.stats.receives.add(1);
        self.stats.bytes_received.add(bytes);
        let message = Message {
            bytes,
            message_bytes: size,
            tag,
            from: from.to_string(),
            instance,
        };
        posted.ticket.complete(Ok(Done::Message(Box::new(message))));
        if size > room { Status::MessageSize } else { Status::Ok }
    }

    /// Ends a receive whose memory is of a file that was truncated; the status for the sender, whose message is dropped.
    pub(crate) fn lose(&self, posted: Posted, from: &Arc<str>) -> Status {
        self.state.lock().take_receiving(&posted.ticket);
        let Posted { ticket, into, .. } = posted;
        drop(into);
        ticket.fail(Error::lost_file(), from);
        Status::NoReceive
    }

    /// A SEND header has come.
    pub(crate) fn arrive(&self, tag: u64, size: u64, sender: &Sender) -> Arrival {
        self.expire(Instant::now());
        let mut state = self.state.lock();
        if state.closed {
            return Arrival::Closed;
        }
        if let Some(index) = state.posted.iter().position(|posted| posted.takes(tag, sender))
            && let Some(posted) = state.posted.remove(index)
        {
            state.receiving.extend(posted.ticket.key().map(|key| (key, false)));
            return Arrival::Matched(posted);
        }
        state.unexpected.push(tag, size, sender, &self.limits)
    }

    /// A kept message is complete. When a receive was posted meanwhile, the status that its sender gets now.
    pub(crate) fn filled(&self, key: MessageKey, bytes: Span, deadline: Instant) -> Option<Status> {
        let mut state = self.state.lock();
        let index = state.unexpected.index(key)?;
        let claimed = match &mut state.unexpected[index].state {
            State::Filling { claimed } => claimed.take(),
            State::Parked | State::Kept { .. } => None,
        };
        let Some(posted) = claimed else {
            state.unexpected[index].state = State::Kept { bytes, deadline };
            return None;
        };
        let message = state.unexpected.remove(index);
        state.unexpected.promote(&self.limits);
        drop(state);
        Some(self.deliver(posted, message.tag, &bytes, &message.sender))
    }

    /// The time of a message that is not complete is up; whether it is given up. One that a receive has claimed is not.
    pub(crate) fn expire_filling(&self, key: MessageKey) -> bool {
        let mut state = self.state.lock();
        let Some(index) = state.unexpected.index(key) else {
            return true;
        };
        if matches!(state.unexpected[index].state, State::Filling { claimed: Some(_) }) {
            return false;
        }
        state.unexpected.remove(index);
        state.unexpected.promote(&self.limits);
        true
    }

    /// The connection of a message that is not complete has ended, or its time is up: nobody gets it.
    pub(crate) fn abandon(&self, key: MessageKey) {
        self.expire(Instant::now());
        let mut state = self.state.lock();
        let Some(index) = state.unexpected.index(key) else {
            return;
        };
        let message = state.unexpected.remove(index);
        state.unexpected.promote(&self.limits);
        if let State::Filling { claimed: Some(posted) } = message.state {
            self.place(state, posted, Place::Front);
        }
    }

    /// Drops the kept messages whose time is up, and tells their senders.
    pub(crate) fn expire(&self, now: Instant) {
        let mut state = self.state.lock();
        let late = state.unexpected.take_late(now);
        if !late.is_empty() {
            state.unexpected.promote(&self.limits);
        }
        drop(state);
        for message in late {
            self.stats.reject(Status::NoReceive);
            let _ = message.sender.mailbox.push(Event::Answer {
                sequence: message.sender.sequence,
                status: Status::NoReceive,
            });
        }
    }

    /// Takes back a receive. One whose message is coming in ends with it, or with `ERR_ABORTED` if that is cut off. False
    /// when it is none of these.
    pub(crate) fn cancel(&self, key: &OperationKey) -> bool {
        let mut state = self.state.lock();
        if let Some((_, given_up)) = state.receiving.iter_mut().find(|(receiving, _)| receiving == key) {
            *given_up = true;
            return true;
        }
        let found = match state.posted.iter().position(|posted| posted.ticket.is(key)) {
            Some(index) => state.posted.remove(index),
            None => state.unexpected.unclaim(|posted| posted.ticket.is(key)),
        };
        drop(state);
        let Some(posted) = found else { return false };
        posted.ticket.complete(Err(Error::new(ErrorKind::Aborted)));
        true
    }

    /// Fails the receives whose memory belongs to a region that is being closed.
    pub(crate) fn revoke(&self) {
        let mut state = self.state.lock();
        let (mut revoked, rest): (Vec<_>, Vec<_>) = state.posted.drain(..).partition(|posted| posted.into.is_revoked());
        state.posted = rest.into();
        while let Some(claimed) = state.unexpected.unclaim(|posted| posted.into.is_revoked()) {
            revoked.push(claimed);
        }
        drop(state);
        revoked.into_iter().for_each(Posted::fail_revoked);
    }

    /// Fails every posted receive and refuses every message from now on.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let mut posted: Vec<_> = state.posted.drain(..).collect();
        let messages = state.unexpected.take_all();
        drop(state);
        for message in messages {
            if let State::Filling { claimed: Some(claimed) } = message.state {
                posted.push(claimed);
            }
            let _ = message.sender.mailbox.push(Event::Answer {
                sequence: message.sender.sequence,
                status: Status::Closing,
            });
        }
        for receive in posted {
            receive.ticket.complete(Err(Error::new(ErrorKind::Closed)));
        }
    }
}

#[cfg(test)]
mod tests;
