//! What happens to an endpoint beside its operations: peers that come and go, and faults that belong to nobody.
//!
//! Kept for whoever watches, up to a bound; told to nobody, and not even made, until somebody does.

use crate::{
    error::{Error, ErrorKind},
    op::{Done, Ticket},
};
use memlane_wire::Mode;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Events that wait for a watcher; more are counted and dropped.
pub const MOST_WAITING: usize = 1024;

/// Who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The peer: we are its target.
    Inbound,
    /// We: it is our target.
    Outbound,
}

impl Side {
    /// `inbound` or `outbound`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// A peer with an open connection.
#[derive(Debug)]
pub struct Presence {
    /// `host:port`: of the peer's end of its first connection, or as it was dialled.
    pub address: Arc<str>,
    /// The wire that it speaks.
    pub mode: Mode,
    /// Who dialled.
    pub side: Side,
    /// What its preface said; the legacy wire has none.
    pub instance: Option<[u8; 16]>,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// The other side closed it.
    Closed,
    /// It broke.
    Reset,
    /// The other side kept quiet where it had to speak, or took nothing.
    Timeout,
    /// Nobody used it.
    Evicted,
    /// The other side broke the protocol.
    Protocol,
    /// A request was refused, and the connection with it.
    Refused,
    /// The two sides do not agree about authentication.
    Auth,
    /// It held memory of a region that was being closed, for longer than the drain time.
    Fence,
    /// This side closed it.
    Local,
}

impl Parting {
    /// The one word that JavaScript sees.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Evicted => "evicted",
            Self::Protocol => "protocol",
            Self::Refused => "refused",
            Self::Auth => "auth",
            Self::Fence => "fence",
            Self::Local => "local",
        }
    }
}

impl From<ErrorKind> for Parting {
    /// What the end of a lane looks like that ends with such an error.
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Protocol => Self::Protocol,
            ErrorKind::Auth | ErrorKind::Tls => Self::Auth,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Closed => Self::Local,
            _ => Self::Closed,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A peer has its first open connection.
    Peer(Arc<Presence>),
    /// The last connection of a peer has ended.
    Disconnect(Arc<Presence>, Parting),
    /// Something failed that is no operation.
    Error(Error),
}

/// The events of one endpoint, for one watcher.
#[derive(Debug, Default)]
pub struct Events {
    watched: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Event>,
    lost: u64,
    watcher: Option<Ticket>,
    closed: bool,
}

impl Events {
    /// Keeps an event, if somebody watches; it is not made otherwise.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if !self.watched.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        if state.waiting.len() < MOST_WAITING {
            state.waiting.push_back(event());
        } else {
            state.lost += 1;
        }
        let watcher = state.watcher.take();
        drop(state);
        if let Some(watcher) = watcher {
            watcher.complete(Ok(Done::Nothing));
        }
    }

    /// Watches from now on: the ticket ends when there is something to take, and with `ERR_CLOSED` when there will be
    /// nothing more.
    pub fn watch(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        let there = !state.waiting.is_empty() || state.lost > 0;
        if !there && !state.closed {
            self.watched.store(true, Ordering::Relaxed);
            let earlier = state.watcher.replace(ticket);
            drop(state);
            // One watcher: the one before it ends.
            drop(earlier);
            return;
        }
        drop(state);
        ticket.complete(if there {
            Ok(Done::Nothing)
        } else {
            Err(Error::new(ErrorKind::Closed))
        });
    }

    /// What happened since the last call, oldest first, and how much more did that there was no room for.
    pub fn take(&self) -> (Vec<Event>, u64) {
        let mut state = self.state.lock();
        (state.waiting.drain(..).collect(), std::mem::take(&mut state.lost))
    }

    /// Nobody watches any more: what waits is dropped, and nothing is kept.
    pub fn unwatch(&self) {
        let mut state = self.state.lock();
        self.watched.store(false, Ordering::Relaxed);
        state.waiting = VecDeque::new();
        state.lost = 0;
        let watcher = state.watcher.take();
        drop(state);
        drop(watcher);
    }

    /// Nothing more will happen. What waits can still be taken.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.watched.store(false, Ordering::Relaxed);
        let watcher = state.watcher.take();
        // Dropped, a ticket ends with `ERR_CLOSED`; outside of the lock.
        drop(state);
        drop(watcher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::channel;

    fn fault(number: u64) -> Event {
        Event::Error(Error::new(ErrorKind::Protocol).detail(number.to_string()))
    }

    #[tokio::test]
    async fn nothing_is_made_or_kept_until_somebody_watches() {
        let events = Events::default();
        events.tell(|| panic!("made for nobody"));
        let (ticket, _, ended) = channel::ticket("events");
        events.watch(ticket);
        events.tell(|| fault(1));
        assert_eq!(ended.wait().await.unwrap(), Done::Nothing);
        events.tell(|| fault(2));
        assert_eq!(events.take().0.len(), 2);
        events.unwatch();
        events.tell(|| panic!("made for nobody"));
    }

    #[tokio::test]
    async fn what_finds_no_room_is_counted_and_what_came_first_is_kept() {
        let events = Events::default();
        events.watch(channel::ticket("events").0);
        for number in 0..MOST_WAITING as u64 + 10 {
            events.tell(|| fault(number));
        }
        let (kept, lost) = events.take();
        assert_eq!((kept.len(), lost), (MOST_WAITING, 10));
        assert!(matches!(&kept[0], Event::Error(error) if error.to_string().ends_with(": 0")));
        assert_eq!(events.take().1, 0, "told once");
    }

    #[tokio::test]
    async fn a_close_ends_the_watch_and_what_waits_is_still_taken() {
        let events = Events::default();
        let (ticket, _, ended) = channel::ticket("events");
        events.watch(ticket);
        events.close();
        assert_eq!(ended.wait().await.unwrap_err().kind(), ErrorKind::Closed);

        let events = Events::default();
        events.watch(channel::ticket("events").0);
        events.tell(|| fault(1));
        events.close();
        let (ticket, _, ended) = channel::ticket("events");
        events.watch(ticket);
        assert_eq!(ended.wait().await.unwrap(), Done::Nothing);
        assert_eq!(events.take().0.len(), 1);
        let (ticket, _, ended) = channel::ticket("events");
        events.watch(ticket);
        assert_eq!(ended.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    }
}
