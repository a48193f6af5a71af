//! Machines that reach each other through memory: how far they are, who listens, what breaks.

use super::trace::{Happening, Trace};
use crate::{
    error::{Error, ErrorKind},
    io::pipe::{Behaviour, Grip, Pipe, pipe},
    lane::{Dialler, LaneParts},
    network::{self, Destination, Network},
    random::seeded,
    session::Session,
    target::Target,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{runtime::Handle, task::JoinHandle};

/// Longest way between two machines, in milliseconds; the shortest is one.
const FARTHEST_MS: u64 = 5;

/// A network of machines with names. Whoever dials is told apart by the local address of its endpoint.
pub(super) struct Memory {
    seed: u64,
    trace: Arc<Trace>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listening: BTreeMap<String, Arc<Target>>,
    /// The last connection from there to there; in order, so that what breaks together breaks in the same order again.
    connections: BTreeMap<(String, IpAddr), Grip>,
    ports: u16,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({})", self.seed)
    }
}

impl Memory {
    pub(super) fn new(seed: u64, trace: &Arc<Trace>) -> Arc<Self> {
        Arc::new(Self {
            seed,
            trace: Arc::clone(trace),
            state: Mutex::default(),
        })
    }

    /// This target answers at that name from now on.
    pub(super) fn listen(&self, host: &str, target: &Arc<Target>) {
        self.state.lock().listening.insert(host.to_owned(), Arc::clone(target));
    }

    /// Nobody answers at that name any more, and every connection that led there is gone.
    pub(super) fn crash(&self, host: &str) {
        let mut state = self.state.lock();
        state.listening.remove(host);
        let (lost, kept) = std::mem::take(&mut state.connections)
            .into_iter()
            .partition(|((to, _), _)| to == host);
        state.connections = kept;
        drop(state);
        let lost: BTreeMap<_, Grip> = lost;
        for ((_, from), grip) in lost {
            self.trace.note(Happening::Cut, number_of(from));
            grip.cut();
        }
    }

    /// What comes from there to there takes so much longer from now on.
    pub(super) fn slow_down(&self, host: &str, to: IpAddr, late: Duration) {
        if let Some(grip) = self.state.lock().connections.get(&(host.to_owned(), to)) {
            grip.slow_down(late);
        }
    }

    /// How long a byte is on its way between these two.
    fn distance(&self, from: IpAddr, host: &str) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.seed, from, host).hash(&mut hasher);
        Duration::from_millis(1 + seeded::next(&mut hasher.finish()) % FARTHEST_MS)
    }

    /// Connects as TCP does: one way there for the request, one back for the answer.
    pub(super) async fn dial(&self, from: IpAddr, host: &str) -> io::Result<Pipe> {
        let distance = self.distance(from, host);
        self.trace.note(Happening::Dialled, number_of(from));
        tokio::time::sleep(distance).await;
        let accepted = self.accept(from, host, distance);
        tokio::time::sleep(distance).await;
        accepted
    }

    /// What the accept loop of an endpoint does with a connection.
    fn accept(&self, from: IpAddr, host: &str, delay: Duration) -> io::Result<Pipe> {
        let mut state = self.state.lock();
        let Some(target) = state.listening.get(host).map(Arc::clone) else {
            drop(state);
            self.trace.note(Happening::Refused, number_of(from));
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let behaviour = Behaviour {
            delay,
            ..Behaviour::default()
        };
        let (near, far) = pipe(behaviour, behaviour);
        state.connections.insert((host.to_owned(), from), Grip::of(&far));
        state.ports = state.ports.wrapping_add(1);
        let from = SocketAddr::new(from, state.ports);
        drop(state);
        self.trace.note(Happening::Accepted, number_of(from.ip()));
        if let Some(admission) = target.admit(from) {
            tokio::spawn(Session::new(far, target, admission, from.to_string().into()));
        }
        Ok(near)
    }
}

impl Network for Memory {
    fn start(self: Arc<Self>, lane: LaneParts, to: Destination, thread: &Handle) -> JoinHandle<()> {
        let from = to.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let dialler: Dialler<Pipe> = Box::new(move || {
            let (network, host) = (Arc::clone(&self), to.host.clone());
            Box::pin(async move {
                let connected = network.dial(from, &host).await;
                connected.map_err(|error| Error::io(ErrorKind::Connect, &error))
            })
        });
        network::start(lane, dialler, thread)
    }
}

/// The address of a process.
pub(super) fn address_of(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number))
}

fn number_of(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(u32::from(address) & 0x00ff_ffff),
        IpAddr::V6(_) => u64::MAX,
    }
}
