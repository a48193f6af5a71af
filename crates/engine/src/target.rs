//! What the sessions of one endpoint share: its regions, receives, limits and counters.

use crate::{
    auth::{Security, TokenId},
    config::Limits,
    error::Error,
    events::{Events, Side},
    info::endpoint_info,
    log::complain,
    mailbox::Mailbox,
    random::{preface, random},
    recv::{Event, Receives},
    region::{Region, Registry, span::Span},
    roster::Roster,
    stats::EndpointStats,
    sync::{Mutex, Notify},
};
use memlane_wire::{Preface, Status};
use slab::Slab;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::time::Instant;

/// The serving side of an endpoint.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) registry: Registry,
    pub(crate) receives: Receives,
    pub(crate) limits: Arc<Limits>,
    pub(crate) stats: Arc<EndpointStats>,
    pub(crate) events: Arc<Events>,
    /// Those who dialled us.
    pub(crate) roster: Arc<Roster>,
    pub(crate) security: Arc<Security>,
    instance: [u8; 16],
    address: Mutex<Address>,
    described: Mutex<Described>,
    sessions: Mutex<Sessions>,
    emptied: Notify,
}

/// The endpoint info, as it was last asked for. Every connection sends it from this memory: peers that ask and never read hold
/// no copies.
#[derive(Debug, Default)]
struct Described {
    /// Of the regions that it lists.
    generation: u64,
    /// At most one for each token, and one for who has none.
    texts: Vec<Text>,
}

#[derive(Debug)]
struct Text {
    told: Option<TokenId>,
    /// Whether everybody else is told the same.
    is_everybodys: bool,
    text: Span,
}

#[derive(Debug, Default)]
struct Address {
    bound: (String, u16),
    /// What the endpoint info says instead.
    advertised: Option<(String, Option<u16>)>,
}

#[derive(Debug, Default)]
struct Sessions {
    mailboxes: Slab<Arc<Mailbox<Event>>>,
    by_source: HashMap<IpAddr, u64>,
    closed: bool,
}

/// The right to be one of an endpoint's sessions; gives its place back when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) mailbox: Arc<Mailbox<Event>>,
    target: Arc<Target>,
    slot: usize,
    source: IpAddr,
}

impl Target {
    /// One that anybody may come to.
    #[cfg(any(test, feature = "bench", feature = "fuzz"))]
    pub(crate) fn new(limits: Arc<Limits>) -> Result<Arc<Self>, Error> {
        Self::secured(limits, Arc::default())
    }

    /// One that asks its peers for tokens, if there are any.
    ///
    /// # Errors
    /// `ERR_INTERNAL` when the system has no entropy.
    pub(crate) fn secured(limits: Arc<Limits>, security: Arc<Security>) -> Result<Arc<Self>, Error> {
        let stats = Arc::new(EndpointStats::default());
        let events = Arc::new(Events::default());
        let roster = Roster::new(Side::Inbound);
        roster.join(&events);
        Ok(Arc::new(Self {
            registry: Registry::counted_in(Arc::clone(&stats.regions)),
            receives: Receives::new(&limits, Arc::clone(&stats)),
            instance: random()?,
            limits,
            security,
            stats,
            events,
            roster,
            address: Mutex::default(),
            described: Mutex::default(),
            sessions: Mutex::default(),
            emptied: Notify::new(),
        }))
    }

    /// What this endpoint says first on a connection that it accepted.
    ///
    /// # Errors
    /// `ERR_INTERNAL` when the system has no entropy.
    pub(crate) fn preface(&self) -> Result<Preface, Error> {
        let mut preface = preface(self.instance)?;
        if !self.security.tokens.is_empty() {
            preface.flags |= Preface::FLAG_AUTH;
        }
        Ok(preface)
    }

    /// The endpoint info as JSON, as a peer is told it that came with this token, or without one.
    pub(crate) fn info(&self, told: Option<TokenId>) -> String {
        self.info_of(&self.registry.list(), told)
    }

    fn info_of(&self, regions: &[Arc<Region>], told: Option<TokenId>) -> String {
        let (host, port) = self.address.lock().told();
        endpoint_info((&host, port), &self.instance, regions, told)
    }

    /// The same as that peer gets it; made anew only when the regions or the address have changed, because peers may ask for it
    /// as often as they like.
    ///
    /// # Errors
    /// What the system says when it has no memory for it.
    pub(crate) fn describe(&self, told: Option<TokenId>) -> io::Result<Span> {
        let generation = self.registry.generation();
        let mut described = self.described.lock();
        if described.generation != generation {
            described.generation = generation;
            described.texts.clear();
        }
        let is_its = |made: &&Text| made.is_everybodys || made.told == told;
        if let Some(made) = described.texts.iter().find(is_its) {
            return Ok(made.text.clone());
        }
        let regions = self.registry.list();
        let text = Span::copied(self.info_of(&regions, told).as_bytes())?;
        described.texts.push(Text {
            told,
            is_everybodys: regions.iter().all(|region| region.rights().is_everybodys()),
            text: text.clone(),
        });
        Ok(text)
    }

    pub(crate) fn set_address(&self, host: String, port: u16) {
        self.address.lock().bound = (host, port);
        self.described.lock().texts.clear();
    }

    pub(crate) fn advertise(&self, host: String, port: Option<u16>) {
        self.address.lock().advertised = Some((host, port));
        self.described.lock().texts.clear();
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> (String, u16) {
        self.address.lock().bound.clone()
    }

    pub(crate) fn instance(&self) -> [u8; 16] {
        self.instance
    }

    /// Where it listens, for people.
    pub(crate) fn address_text(&self) -> String {
        let (host, port) = &self.address.lock().bound;
        format!("{host}:{port}")
    }

    /// A place for one more connection; `None`, and a counter, when a limit is reached or the endpoint is closed.
    pub(crate) fn admit(self: &Arc<Self>, from: SocketAddr) -> Option<Admission> {
        let source = from.ip();
        let mut sessions = self.sessions.lock();
        let of_source = sessions.by_source.get(&source).copied().unwrap_or(0);
        let full = sessions.mailboxes.len() as u64 >= self.limits.max_connections
            || of_source >= self.limits.max_connections_per_source;
        if full || sessions.closed {
            self.stats.refused.add(1);
            drop(sessions);
            if full {
                self.stats.reject(Status::Limit);
                complain(
                    from,
                    "connection refused",
                    "maxConnections or maxConnectionsPerSource is reached",
                );
            }
            return None;
        }
        self.stats.accepted.add(1);
        let mailbox = Arc::new(Mailbox::default());
        let slot = sessions.mailboxes.insert(Arc::clone(&mailbox));
        *sessions.by_source.entry(source).or_default() += 1;
        Some(Admission {
            mailbox,
            target: Arc::clone(self),
            slot,
            source,
        })
    }

    /// Ends the receives and sessions that hold memory of a region that is being closed.
    pub(crate) fn revoke(&self) {
        self.receives.revoke();
        self.tell_sessions(|| Event::Revoke);
    }

    fn tell_sessions(&self, event: impl Fn() -> Event) {
        let mailboxes: Vec<_> = self
            .sessions
            .lock()
            .mailboxes
            .iter()
            .map(|(_, mailbox)| Arc::clone(mailbox))
            .collect();
        for mailbox in mailboxes {
            // One that has ended already needs no telling.
            let _ = mailbox.push(event());
        }
    }

    /// Ends every session by `cut`, as soon as it has nothing to do, and admits no more.
    pub(crate) fn close(&self, cut: Instant) {
        self.stats.close();
        self.sessions.lock().closed = true;
        for region in self.registry.list() {
            self.registry.close(&region);
        }
        self.receives.close();
        self.tell_sessions(|| Event::Close(cut));
    }

    /// Resolves when no session is open. Cancel safe: nothing is lost on drop.
    pub(crate) async fn sessions_ended(&self) {
        loop {
            let ended = self.emptied.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.sessions.lock().mailboxes.is_empty() {
                return;
            }
            ended.await;
        }
    }
}

impl Address {
    /// Host and port for the endpoint info.
    fn told(&self) -> (String, u16) {
        let (host, port) = &self.bound;
        match &self.advertised {
            Some((instead, other)) => (instead.clone(), other.unwrap_or(*port)),
            None => (host.clone(), *port),
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.target.stats.disconnected.add(1);
        let mut sessions = self.target.sessions.lock();
        sessions.mailboxes.try_remove(self.slot);
        if let Some(count) = sessions.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sessions.by_source.remove(&self.source);
            }
        }
        if sessions.mailboxes.is_empty() {
            self.target.emptied.notify_waiters();
        }
    }
}
