//! The facade: an endpoint listens, registers regions, receives messages and connects to peers.

use crate::{
    config::millis,
    context::{Context, Shared},
    error::{Error, ErrorKind},
    fence::{Holders, fence},
    io::{TcpTransport, listen},
    link::Destination,
    op::{Done, OperationKey, Ticket},
    peer::Peer,
    recv::Posted,
    region::{Access, Region, span::Span},
    session::Session,
    stats::{Counted, Stats, endpoint_report},
    target::{Admission, Target},
};
use memlane_wire::Mode;
use parking_lot::Mutex;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::AbortHandle,
};

/// One endpoint: regions, posted receives, a listening socket, peers.
#[derive(Debug)]
pub struct Endpoint {
    target: Arc<Target>,
    holders: Arc<Holders>,
    context: Context,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    accepting: Option<AbortHandle>,
    closed: bool,
}

impl Endpoint {
    /// An endpoint that does nothing yet. Regions and peers may be made before it listens.
    ///
    /// # Errors
    /// `ERR_INTERNAL` when the system has no entropy for its instance id.
    pub fn new(context: Context) -> Result<Self, Error> {
        let target = Target::new(Arc::clone(&context.shared().limits))?;
        context.shared().endpoints.add(Arc::clone(&target.stats));
        Ok(Self {
            holders: Holders::new(Arc::clone(&target)),
            target,
            context,
            state: Mutex::default(),
        })
    }

    fn runtime(&self) -> &Handle {
        self.context.shared().next_thread()
    }

    /// Resolves, binds once and accepts from then on; port 0 takes a free one. The ticket ends with `ERR_LISTEN` when the
    /// address cannot be had.
    pub fn listen(&self, host: &str, port: u16, ticket: Ticket) {
        let mut state = self.state.lock();
        if state.closed || state.accepting.is_some() {
            drop(state);
            return ticket.complete(Err(Error::new(ErrorKind::Closed)));
        }
        let (host, target) = (host.to_owned(), Arc::clone(&self.target));
        let context = Arc::clone(self.context.shared());
        let task = self.runtime().spawn(async move {
            let bound = tokio::time::timeout(millis(target.limits.connect_timeout), async {
                let listener = listen(&host, port, &target.limits).await?;
                let address = listener.local_addr()?;
                Ok::<_, io::Error>((listener, address))
            });
            match bound.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok((listener, address)) => {
                    target.set_address(address.ip().to_string(), address.port());
                    ticket.complete(Ok(Done::Nothing));
                    accept(listener, target, context).await;
                }
                Err(error) => {
                    let error = Error::new(ErrorKind::Listen).detail(format!("{host}:{port}: {error}"));
                    ticket.complete(Err(error));
                }
            }
        });
        state.accepting = Some(task.abort_handle());
    }

    /// A new region of `len` zeroed bytes; usable, by peers too, from the moment that this returns.
    ///
    /// # Errors
    /// `ERR_REGION_EXISTS`, `ERR_INVALID_NAME`, `ERR_MEMORY`, and `ERR_CLOSED` when the endpoint is closed.
    pub fn alloc(&self, name: &str, len: usize, access: Access) -> Result<Arc<Region>, Error> {
        if self.state.lock().closed {
            return Err(Error::new(ErrorKind::Closed));
        }
        self.target.registry.alloc(name, len, access)
    }

    /// Closes a region: new requests miss at once, running ones may finish within the drain time, then their connections
    /// are cut; the ticket ends when no peer will ever touch the range again.
    pub fn close_region(&self, region: &Arc<Region>, ticket: Ticket) {
        let (region, patience) = (Arc::clone(region), millis(self.target.limits.drain_time));
        // The miss is at once, the wait is not.
        self.target.registry.close(&region);
        self.runtime().spawn(async move {
            fence(region, patience).await;
            ticket.complete(Ok(Done::Nothing));
        });
    }

    /// A peer at that address, dialled by its first operation.
    ///
    /// # Errors
    /// `ERR_CLOSED` when the endpoint is closed.
    pub fn connect(&self, host: &str, port: u16, mode: Mode) -> Result<Arc<Peer>, Error> {
        let state = self.state.lock();
        if state.closed {
            return Err(Error::new(ErrorKind::Closed));
        }
        let destination = Destination {
            host: host.to_owned(),
            port,
            mode,
        };
        let stats = Arc::new(Stats::new(self.target.limits.max_queued_bytes));
        self.target.stats.peers.add(Arc::clone(&stats));
        let peer = Peer::new(self.context.link(destination), stats, self.runtime().clone());
        // Under the state's lock, as the flag is set: closing sees it, or it is not made.
        self.holders.add(&peer);
        Ok(peer)
    }

    /// Posts a receive: the first message with this tag, or with any, is stored in `into`. With `exact` a message of
    /// another size fails it with `ERR_MESSAGE_SIZE`, and is consumed.
    pub fn recv(&self, into: Span, tag: Option<u64>, exact: bool, ticket: Ticket) {
        self.target.receives.post(Posted {
            ticket,
            into,
            tag,
            exact,
        });
    }

    /// Takes a receive back; false when its message is coming in already.
    pub fn cancel_recv(&self, key: &OperationKey) -> bool {
        self.target.receives.cancel(key)
    }

    /// The endpoint info as JSON.
    pub fn info(&self) -> String {
        self.target.describe().as_ref().to_owned()
    }

    /// Counters and limits as JSON; also of an endpoint that is closed.
    pub fn stats(&self) -> String {
        let peers = self.holders.peers();
        let mut links: Vec<_> = peers.iter().filter_map(|peer| peer.link()).collect();
        links.sort_unstable_by_key(|link| Arc::as_ptr(link));
        links.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let lanes = links.iter().map(|link| link.open_lanes()).sum();
        endpoint_report(&self.target.stats.totals(), lanes, &self.target.limits)
    }

    /// Stops accepting, closes regions, receives and peers, ends every connection within the drain time and a second;
    /// then the ticket. Closing twice is closing once.
    pub fn close(&self, ticket: Ticket) {
        {
            let mut state = self.state.lock();
            state.closed = true;
            if let Some(accepting) = state.accepting.take() {
                accepting.abort();
            }
        }
        // Behind the flag: no peer is made that this does not see.
        let peers = self.holders.peers();
        let regions = self.target.registry.list();
        self.target.close();
        let target = Arc::clone(&self.target);
        let ended: Vec<_> = peers.iter().filter_map(|peer| peer.shut()).collect();
        self.runtime().spawn(async move {
            for lanes in ended {
                lanes.await;
            }
            let patience = millis(target.limits.drain_time) * 2 + Duration::from_secs(1);
            // Sessions keep their own deadlines, two drain times at most; this one is for a runtime that has stopped.
            let _ = tokio::time::timeout(patience, target.sessions_ended()).await;
            // Operations of other endpoints may still have a region of this one as their local end.
            for region in regions {
                fence(region, Duration::ZERO).await;
            }
            ticket.complete(Ok(Done::Nothing));
        });
    }
}

/// Accepts until it is aborted. Out of descriptors, it waits a little and goes on listening.
async fn accept(listener: TcpListener, target: Arc<Target>, context: Arc<Shared>) {
    const PATIENCE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
    let mut pause = PATIENCE.0;
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                pause = PATIENCE.0;
                if let Some(admission) = target.admit(from) {
                    serve(stream, from, admission, &target, &context);
                }
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(_) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PATIENCE.1);
            }
        }
    }
}

/// Gives the connection to the thread whose turn it is; it stays there.
fn serve(stream: TcpStream, from: SocketAddr, admission: Admission, target: &Arc<Target>, context: &Shared) {
    let (target, name) = (Arc::clone(target), from.to_string().into());
    if context.has_one_thread() {
        tokio::spawn(Session::new(TcpTransport::new(stream), target, admission, name));
        return;
    }
    // A socket that cannot change its event queue is closed; its peer dials again.
    let Ok(stream) = stream.into_std() else { return };
    context.next_thread().spawn(async move {
        if let Ok(stream) = TcpStream::from_std(stream) {
            Session::new(TcpTransport::new(stream), target, admission, name).await;
        }
    });
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
