//! A remote endpoint as seen from one of ours.

use crate::{
    error::{Error, ErrorKind},
    events::Events,
    link::Link,
    notify::Notify,
    op::{CompletionSink, Direction, Done, Instance, Issuer, List, Operation, OperationKey, Remote, Request, Ticket},
    recv::Whom,
    region::{memory::Memory, span::Span},
    stats::{Counted, Stats, peer_report},
};
use memlane_wire::Opcode;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, time::Instant};

/// Where operations for one remote endpoint are handed over. Outlives the connections: a lane that ended is dialled
/// again by the next operation. Peers of one context with the same address share its lanes.
#[derive(Debug)]
pub struct Peer {
    remote: Remote,
    link: Arc<Link>,
    /// Whose peer it is.
    endpoint: Instance,
    /// As whom its messages are known.
    pub(crate) sender: Arc<Whom>,
    /// Of the endpoint that it belongs to.
    events: Arc<Events>,
    runtime: Handle,
    closed: AtomicBool,
}

impl Peer {
    pub(crate) fn new(
        link: Arc<Link>,
        endpoint: Instance,
        stats: Arc<Stats>,
        events: Arc<Events>,
        runtime: Handle,
    ) -> Arc<Self> {
        link.join(endpoint);
        link.destined.roster().join(&events);
        Arc::new(Self {
            remote: Remote {
                // A name of its own, however equal: peers are told apart by it.
                name: Arc::from(&*link.destined.address),
                stats,
            },
            link,
            endpoint,
            sender: Arc::default(),
            events,
            runtime,
            closed: AtomicBool::new(false),
        })
    }

    /// Who issues operations for this peer and is told their ends by `sink`; make one and keep it.
    pub fn issuer(&self, sink: Arc<dyn CompletionSink>) -> Arc<Issuer> {
        Issuer::to(self.remote.clone(), sink)
    }

    /// Hands an operation over; it is on its way when this returns. Its end, a failure to dial included, is told by its
    /// ticket.
    pub fn submit(&self, mut operation: Operation) {
        if self.closed.load(Ordering::Acquire) {
            return operation.ticket.complete(Err(Error::new(ErrorKind::Closed)));
        }
        let stats = &self.remote.stats;
        match operation.request {
            Request::Read { .. } => stats.reads.add(1),
            Request::Write { .. } => stats.writes.add(1),
            Request::Send { .. } => stats.sends.add(1),
            Request::Describe | Request::Ping => stats.describes.add(1),
        }
        operation.ticket.begin();
        if self.link.submit(operation, &self.endpoint, stats) {
            stats.dialling.add(1);
        }
    }

    /// Private memory for the bytes of one write or send, which counts as queued until it is freed.
    ///
    /// # Errors
    /// `ERR_LIMIT` when so much more may not be queued for this peer now, `ERR_MEMORY` when the system has no such memory.
    pub fn stage(&self, len: usize) -> Result<Arc<Memory>, Error> {
        let charge = self.remote.stats.queue.charge(len)?;
        Memory::private_for(charge.into(), len).map_err(|error| Error::memory(len, &error))
    }

    /// Counters as JSON; also of a peer that is closed.
    pub fn stats(&self) -> String {
        let lanes = self.link().map_or(0, |link| link.open_lanes());
        peer_report(&self.remote.stats.totals(), lanes)
    }

    /// The lanes that it uses, which others may use too; none once it is closed.
    pub(crate) fn link(&self) -> Option<&Arc<Link>> {
        (!self.closed.load(Ordering::Acquire)).then_some(&self.link)
    }

    /// Hands over a write that the peer is told of: when it has been applied, a message with this tag follows, whose 16
    /// bytes are the address and the length of the write. The operation ends when a receive of the peer's holds it; when
    /// that fails, the write has been applied all the same, and the error says that its outcome is unknown.
    pub fn write_and_notify(&self, ticket: Ticket, addr: u64, from: Span, tag: u64, timeout: Option<Duration>) {
        // One that has ended already has none, and tells nothing.
        let Some(key) = ticket.key() else { return };
        let (link, stats) = (Arc::clone(&self.link), Arc::clone(&self.remote.stats));
        let half = link.begin_halves(key, &self.remote);
        let ticket = ticket.then(Box::new(Notify {
            link,
            half,
            endpoint: self.endpoint,
            stats,
            tag,
            addr,
            deadline: timeout.map(|timeout| Instant::now() + timeout),
        }));
        self.submit(Operation {
            ticket,
            request: Request::Write { addr, from },
            timeout,
        });
    }

    /// Hands over an operation of several parts: it ends with its last part, with the number of bytes of all of them or
    /// with the error that came first and the place of its entry in the list. Every part is on its way when this returns.
    pub fn submit_list(&self, mut ticket: Ticket, direction: Direction, list: List, timeout: Option<Duration>) {
        if self.closed.load(Ordering::Acquire) {
            return ticket.complete(Err(Error::new(ErrorKind::Closed)));
        }
        if list.is_empty() {
            return ticket.complete(Ok(Done::Bytes(0)));
        }
        let stats = &self.remote.stats;
        let (opcode, counter) = match direction {
            Direction::Read => (Opcode::Read, &stats.reads),
            Direction::Write => (Opcode::Write, &stats.writes),
        };
        counter.add(1);
        ticket.begin();
        if self.link.submit_list(ticket, opcode, list, timeout, stats) {
            stats.dialling.add(1);
        }
    }

    /// Asks for the operation to end early. It still ends by its ticket, once: with `ERR_ABORTED`, or as it did before.
    pub fn cancel(&self, key: &OperationKey) {
        self.link.cancel(key);
    }

    pub(crate) fn revoke(&self) {
        self.link.revoke();
    }

    /// Takes no more operations and ends the open ones with `ERR_CLOSED`; then the ticket. Closing twice is closing once.
    pub fn close(&self, ticket: Ticket) {
        let ended = self.shut();
        self.runtime.spawn(async move {
            if let Some(ended) = ended {
                ended.await;
            }
            ticket.complete(Ok(Done::Nothing));
        });
    }

    pub(crate) fn shut(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let was_open = !self.closed.swap(true, Ordering::AcqRel);
        self.remote.stats.close();
        was_open.then(|| {
            self.link.destined.roster().leave(&self.events);
            self.link.leave(&self.remote, &self.endpoint)
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Its lanes end in their own time; nobody is left to wait for that.
        drop(self.shut());
    }
}
