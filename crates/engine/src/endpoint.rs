//! The facade: an endpoint listens, registers regions, receives messages and connects to peers.

#[cfg(feature = "tls")]
use crate::io::TlsTransport;
use crate::{
    auth::TokenId,
    config::millis,
    context::Context,
    error::{Error, ErrorKind},
    events::{Event, Events},
    fence::{Holders, fence},
    io::{ListenError, TcpTransport, listen},
    network::Destination,
    op::{Done, Instance, OperationKey, Ticket},
    peer::Peer,
    recv::Posted,
    region::{Region, Rights, Tensor, file::MappedFile, memory::Memory, span::Span},
    session::Session,
    shared::Shared,
    stats::{Counted, Stats, endpoint_report},
    sync::Mutex,
    target::{Admission, Target},
};
use memlane_wire::Mode;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinHandle,
    time::Instant,
};
use tracing::{debug, error, info};

/// One endpoint: regions, posted receives, a listening socket, peers.
#[derive(Debug)]
pub struct Endpoint {
    target: Arc<Target>,
    holders: Arc<Holders>,
    context: Context,
    state: Mutex<State>,
}

/// Which messages a receive takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Those with this tag; `None` is any.
    pub tag: Option<u64>,
    /// Those of this peer, by the instance that it was last identified as; `None` is anybody's.
    pub from: Option<&'a Peer>,
    /// Whether a message of another size than the receive's fails it with `ERR_MESSAGE_SIZE`, and is consumed.
    pub exact: bool,
}

#[derive(Debug, Default)]
struct State {
    /// Holds the listening socket until it has ended.
    accepting: Option<JoinHandle<()>>,
    local_address: Option<IpAddr>,
    closed: bool,
}

impl Endpoint {
    /// An endpoint that does nothing yet. Regions and peers may be made before it listens.
    ///
    /// # Errors
    /// `ERR_INTERNAL` when the system has no entropy for its instance id.
    pub fn new(context: Context) -> Result<Self, Error> {
        let target = Target::secured(
            Arc::clone(&context.shared().limits),
            Arc::clone(&context.shared().security),
        )?;
        context.shared().endpoints.add(Arc::clone(&target.stats));
        Ok(Self {
            holders: Holders::new(Arc::clone(&target)),
            target,
            context,
            state: Mutex::default(),
        })
    }

    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    fn runtime(&self) -> &Handle {
        self.context.shared().next_thread()
    }

    /// Resolves, binds once and accepts from then on; port 0 takes a free one. The ticket ends with `ERR_LISTEN` when the
    /// address cannot be had, with `ERR_INSECURE_BIND` when others reach it and nobody is asked for a token.
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
                let may = |address| target.security.may_listen(address);
                let listener = listen(&host, port, &target.limits, may).await?;
                let address = listener.local_addr()?;
                Ok::<_, ListenError>((listener, address))
            });
            let late = |_| Err(ListenError::Io(io::ErrorKind::TimedOut.into()));
            match bound.await.unwrap_or_else(late) {
                Ok((listener, address)) => {
                    target.set_address(address.ip().to_string(), address.port());
                    info!(%address, "listening");
                    ticket.complete(Ok(Done::Nothing));
                    accept(listener, target, context).await;
                }
                Err(error) => {
                    let error = match error {
                        ListenError::Io(error) => Error::listen(format_args!("{host}:{port}"), &error),
                        ListenError::Refused(address) => Error::new(ErrorKind::InsecureBind).detail(format!(
                            "{address} is not of this machine alone: give the endpoint a token, or tls, or allowUnauthenticated: true"
                        )),
                    };
                    info!(%error, "not listening");
                    ticket.complete(Err(error));
                }
            }
        });
        state.accepting = Some(task);
    }

    /// Peers that are made from now on are dialled from this address of ours; those of the other family have none.
    pub fn set_local_address(&self, from: IpAddr) {
        self.state.lock().local_address = Some(from);
    }

    /// The endpoint info carries this host, and this port or the one that it listens on. Nobody checks that they lead
    /// here.
    pub fn advertise(&self, host: &str, port: Option<u16>) {
        self.target.advertise(host.to_owned(), port);
    }

    /// The context that it belongs to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The address and port that it listens on; nothing and 0 before it does.
    pub fn address(&self) -> (String, u16) {
        self.target.address()
    }

    /// What happens beside its operations, for one watcher.
    pub fn events(&self) -> &Arc<Events> {
        &self.target.events
    }

    /// A new region of `len` zeroed bytes; usable, by peers too, from the moment that this returns.
    ///
    /// # Errors
    /// `ERR_REGION_EXISTS`, `ERR_INVALID_NAME`, `ERR_MEMORY`, and `ERR_CLOSED` when the endpoint is closed.
    pub fn alloc(&self, name: &str, len: usize, rights: impl Into<Rights>) -> Result<Arc<Region>, Error> {
        self.check_open()?;
        self.target.registry.alloc(name, len, rights)
    }

    /// The same, of bytes that the endpoint info says something about.
    ///
    /// # Errors
    /// As for [`Endpoint::alloc`].
    pub fn alloc_tensor(
        &self,
        name: &str,
        len: usize,
        rights: impl Into<Rights>,
        tensor: Tensor,
    ) -> Result<Arc<Region>, Error> {
        self.check_open()?;
        self.target.registry.alloc_tensor(name, len, rights, tensor)
    }

    /// The same, with the bytes that `fill` stores into it: peers find no region of the name, or this one with all of them.
    ///
    /// # Errors
    /// As for [`Endpoint::alloc`].
    pub fn publish(
        &self,
        name: &str,
        len: usize,
        rights: impl Into<Rights>,
        tensor: Tensor,
        fill: impl FnOnce(&Arc<Memory>) -> io::Result<()>,
    ) -> Result<Arc<Region>, Error> {
        self.check_open()?;
        self.target.registry.publish(name, len, rights, tensor, fill)
    }

    /// A new region of the range of a file that `map` maps; none of it is read for that.
    ///
    /// # Errors
    /// As for [`Endpoint::alloc`]; `ERR_FILE` with what `map` says.
    pub fn map_file(
        &self,
        name: &str,
        rights: impl Into<Rights>,
        tensor: Option<Tensor>,
        map: impl FnOnce() -> io::Result<MappedFile>,
    ) -> Result<Arc<Region>, Error> {
        self.check_open()?;
        self.target.registry.map_file(name, rights, tensor, map)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.state.lock().closed {
            return Err(Error::new(ErrorKind::Closed));
        }
        Ok(())
    }

    /// Closes a region as [`Endpoint::close_region_within`] does, with the drain time of the limits.
    pub fn close_region(&self, region: &Arc<Region>, ticket: Ticket) {
        self.close_region_within(self.drain_time(), region, ticket);
    }

    /// Closes a region: new requests miss at once, running ones may finish while `patience` lasts, then their connections
    /// are cut; the ticket ends when no peer will ever touch the range again.
    pub fn close_region_within(&self, patience: Duration, region: &Arc<Region>, ticket: Ticket) {
        let region = Arc::clone(region);
        // The miss is at once, the wait is not.
        self.target.registry.close(&region);
        self.runtime().spawn(async move {
            fence(region, patience).await;
            ticket.complete(Ok(Done::Nothing));
        });
    }

    fn drain_time(&self) -> Duration {
        millis(self.target.limits.drain_time)
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
            from: state.local_address,
        };
        let stats = Arc::new(Stats::new(self.target.limits.max_queued_bytes));
        self.target.stats.peers.add(Arc::clone(&stats));
        let instance = self.target.instance();
        let events = Arc::clone(&self.target.events);
        let link = self.context.link(destination);
        let peer = Peer::new(link, instance, stats, events, self.runtime().clone());
        // Under the state's lock, as the flag is set: closing sees it, or it is not made.
        self.holders.add(&peer);
        Ok(peer)
    }

    /// Posts a receive: the first message that is wanted is stored in `into`.
    pub fn recv(&self, into: Span, wanted: Wanted<'_>, ticket: Ticket) {
        let Wanted { tag, from, exact } = wanted;
        self.target.receives.post(Posted {
            ticket,
            into,
            tag,
            from: from.map(|peer| Arc::clone(&peer.sender)),
            exact,
        });
    }

    /// One of the peers has said which instance it is: receives for its messages go by that from now on, those that are
    /// posted already too.
    pub fn identify(&self, peer: &Peer, instance: Instance) {
        self.target.receives.identify(&peer.sender, instance);
    }

    /// One of the peers is being closed: receives for its messages end with `ERR_CLOSED`.
    pub fn receive_no_more_from(&self, peer: &Peer) {
        self.target.receives.leave(&peer.sender);
    }

    /// Takes a receive back: it ends with `ERR_ABORTED`, or with its message where that is coming in and is not cut off. False
    /// when it has ended already.
    pub fn cancel_recv(&self, key: &OperationKey) -> bool {
        self.target.receives.cancel(key)
    }

    /// The token of that name, which peers may come with.
    pub fn token(&self, name: &str) -> Option<TokenId> {
        self.target.security.tokens.id(name)
    }

    /// The endpoint info as JSON, with the regions that whoever is let in may reach.
    pub fn info(&self) -> String {
        self.target.info(None)
    }

    /// The same as a peer is told it that came with this token.
    pub fn info_for(&self, token: TokenId) -> String {
        self.target.info(Some(token))
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

    /// Closes as [`Endpoint::close_within`] does, with the drain time of the limits.
    pub fn close(&self, ticket: Ticket) {
        self.close_within(self.drain_time(), ticket);
    }

    /// Stops accepting, closes regions, receives and peers, ends every connection: one that has nothing to do at once, one
    /// that a peer's body is coming in by or answers are leaving by when that is done, and all of them when `patience` is
    /// over; then the ticket, within a second after that. Closing twice is closing once.
    pub fn close_within(&self, patience: Duration, ticket: Ticket) {
        let accepting = {
            let mut state = self.state.lock();
            state.closed = true;
            state.accepting.take()
        };
        if let Some(accepting) = &accepting {
            accepting.abort();
        }
        // Behind the flag: no peer is made that this does not see.
        let peers = self.holders.peers();
        let regions = self.target.registry.list();
        self.target.close(Instant::now() + patience);
        let target = Arc::clone(&self.target);
        let ended: Vec<_> = peers.iter().filter_map(|peer| peer.shut()).collect();
        self.runtime().spawn(async move {
            for lanes in ended {
                lanes.await;
            }
            // Sessions keep the time themselves; this is for a runtime that has stopped.
            let quiet = async {
                if let Some(accepting) = accepting {
                    // On another thread it goes later than it was told to, and the port with it.
                    let _ = accepting.await;
                }
                target.sessions_ended().await;
            };
            let _ = tokio::time::timeout(patience + Duration::from_secs(1), quiet).await;
            // Operations of other endpoints may still have a region of this one as their local end.
            for region in regions {
                fence(region, Duration::ZERO).await;
            }
            // What the close has ended is told; whoever waits for it has heard.
            target.events.close();
            info!(address = target.address_text(), "endpoint closed");
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
                debug!(peer = %from, "connection accepted");
                if let Some(admission) = target.admit(from) {
                    serve(stream, from, admission, &target, &context);
                }
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                // Once for each time that it begins.
                if pause == PATIENCE.0 {
                    error!(%error, "no connection can be accepted");
                    target.events.tell(|| Event::Error(not_accepting(&error)));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PATIENCE.1);
            }
        }
    }
}

fn not_accepting(error: &io::Error) -> Error {
    Error::new(ErrorKind::Listen)
        .detail(format!("no connection can be accepted for now: {error}"))
        .during("listen")
}

/// Gives the connection to the thread whose turn it is; it stays there.
fn serve(stream: TcpStream, from: SocketAddr, admission: Admission, target: &Arc<Target>, context: &Shared) {
    let (target, name) = (Arc::clone(target), from.to_string().into());
    if context.threads() == 1 {
        start_session(stream, target, admission, name);
        return;
    }
    // A socket that cannot change its event queue is closed; its peer dials again.
    let Ok(stream) = stream.into_std() else { return };
    context.next_thread().spawn(async move {
        if let Ok(stream) = TcpStream::from_std(stream) {
            start_session(stream, target, admission, name);
        }
    });
}

/// Starts the session on this thread.
fn start_session(stream: TcpStream, target: Arc<Target>, admission: Admission, name: Arc<str>) {
    let transport = TcpTransport::new(stream, &target.limits);
    #[cfg(feature = "tls")]
    if let Some(tls) = &target.security.tls {
        let transport = TlsTransport::accepted(transport, tls);
        tokio::spawn(Session::new(transport, target, admission, name));
        return;
    }
    tokio::spawn(Session::new(transport, target, admission, name));
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
