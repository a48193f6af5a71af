//! A peer whose operations go all their way, by a lane and a session over a pipe in memory, polled by hand: no socket, no
//! thread, no scheduler.

use crate::{
    backoff::Backoff,
    config::Limits,
    error::{Error, ErrorKind},
    events::Events,
    io::pipe::{Behaviour, Pipe, pipe},
    lane::{Dialler, Lane, LaneParts},
    link::Link,
    mailbox::Mailbox,
    network::Destination,
    op::{CompletionSink, Direction, Issuer, List, Operation, OperationKey, Request, Ticket},
    peer::Peer,
    region::{Access, Region, span::Span},
    session::Session,
    stats::Stats,
    target::Target,
};
use memlane_wire::Mode;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

/// Bytes of every operation.
const LEN: usize = 64;
/// As many entries of [`LEN`] bytes have a place of their own in either region.
const PLACES: usize = 4096;
/// The default of the API.
const TIMEOUT: Option<Duration> = Some(Duration::from_secs(30));
const ADDRESS: &str = "127.0.0.1:9";

/// A future that is polled when it was woken, and not else.
struct Task<F> {
    future: F,
    woken: Arc<Woken>,
    waker: Waker,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<F: Future<Output = ()> + Unpin> Task<F> {
    fn new(future: F) -> Self {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Self {
            future,
            waker: Arc::clone(&woken).into(),
            woken,
        }
    }

    /// Polls it if it was woken; whether it was.
    fn run(&mut self) -> bool {
        let was_woken = self.woken.0.swap(false, Ordering::Relaxed);
        if was_woken {
            let ended = Pin::new(&mut self.future).poll(&mut Context::from_waker(&self.waker));
            assert_eq!(ended, Poll::Pending, "the connection has ended");
        }
        was_woken
    }
}

/// Two endpoints of which one has the other for a peer; each has a region.
pub struct Connected {
    peer: Arc<Peer>,
    issuer: Arc<Issuer>,
    sink: Arc<dyn CompletionSink>,
    local: Arc<Region>,
    remote: Arc<Region>,
    lane: Task<Lane<Pipe>>,
    session: Task<Session<Pipe>>,
    next: u64,
    // Behind what has timers of it.
    _runtime: Runtime,
}

impl Connected {
    /// Connected: the prefaces are exchanged. Ends of operations are told to `sink`.
    #[must_use]
    pub fn telling(sink: Arc<dyn CompletionSink>) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let _inside = runtime.enter();
        let (near, far) = pipe(Behaviour::default(), Behaviour::default());
        let target = Target::new(Arc::default()).expect("a target");
        let initiator = Target::new(Arc::default()).expect("an initiator");
        let region = |target: &Target| target.registry.alloc("bytes", LEN * PLACES, Access::READ_WRITE);
        let (local, remote) = (
            region(&initiator).expect("a region"),
            region(&target).expect("a region"),
        );
        let admission = target.admit(ADDRESS.parse().expect("an address")).expect("a place");
        let session = Task::new(Session::new(far, Arc::clone(&target), admission, ADDRESS.into()));

        let destination = Destination {
            host: "127.0.0.1".into(),
            port: 9,
            mode: Mode::Native,
            from: None,
        };
        let commands = Arc::new(Mailbox::default());
        let link = Link::by_lane(destination, Arc::clone(&commands), runtime.spawn(async {}));
        let stats = Arc::new(Stats::default());
        let backoff = Arc::new(Backoff::default());
        let parts = LaneParts {
            commands,
            mode: Mode::Native,
            preface: initiator.preface().expect("a preface"),
            security: Arc::default(),
            bulk: None,
            turn: backoff.turn(),
            backoff,
            limits: Arc::new(Limits::default()),
            stats: Arc::clone(&stats),
            destined: link.destined.clone(),
        };
        let mut near = Some(near);
        let dialler: Dialler<Pipe> = Box::new(move || {
            let near = near.take().ok_or_else(|| Error::new(ErrorKind::Connect));
            Box::pin(async { near })
        });
        let lane = Task::new(Lane::new(parts, dialler));
        let events = Arc::new(Events::default());
        let peer = Peer::new(link, initiator.instance(), stats, events, runtime.handle().clone());
        let issuer = peer.issuer(Arc::clone(&sink));
        drop(_inside);
        let mut connected = Self {
            peer,
            issuer,
            sink,
            local,
            remote,
            lane,
            session,
            next: 0,
            _runtime: runtime,
        };
        connected.settle();
        connected
    }

    /// Polls both sides until neither has anything to do.
    pub fn settle(&mut self) {
        while self.lane.run() | self.session.run() {}
    }

    /// Polls the initiator's side alone.
    pub fn settle_lane(&mut self) {
        while self.lane.run() {}
    }

    fn ticket(&mut self, name: &'static str) -> Ticket {
        self.next += 1;
        Ticket::new(Arc::clone(&self.issuer), self.next, name)
    }

    /// A remote address, and the local range.
    fn place(&self, index: usize) -> (u64, Span) {
        let at = index % PLACES * LEN;
        let span = self.local.span(at, LEN).expect("a range of an open region");
        (self.remote.address() + at as u64, span)
    }

    /// Hands over a read of 64 bytes; its number.
    pub fn read(&mut self) -> u64 {
        let (addr, into) = self.place(self.next as usize);
        self.submit("read", Request::Read { addr, into })
    }

    /// Hands over a write of 64 bytes; its number.
    pub fn write(&mut self) -> u64 {
        let (addr, from) = self.place(self.next as usize);
        self.submit("write", Request::Write { addr, from })
    }

    fn submit(&mut self, name: &'static str, request: Request) -> u64 {
        let ticket = self.ticket(name);
        self.peer.submit(Operation {
            ticket,
            request,
            timeout: TIMEOUT,
        });
        self.next
    }

    /// Hands over one list of so many reads or writes of 64 bytes each.
    pub fn list(&mut self, direction: Direction, entries: usize) {
        let mut list = List::for_entries(entries);
        for index in 0..entries {
            let at = index % PLACES * LEN;
            assert!(list.push(self.remote.address() + at as u64, self.local.memory(), at, LEN));
        }
        let ticket = self.ticket("batch");
        self.peer.submit_list(ticket, direction, list, TIMEOUT);
    }

    /// Asks for an operation to end early.
    pub fn cancel(&self, number: u64) {
        self.peer.cancel(&OperationKey::new(Arc::clone(&self.sink), number));
    }
}
