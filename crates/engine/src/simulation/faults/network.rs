//! Roads between the machines of a world: late, narrow, cut, dead in one direction or both.

use super::{
    super::{network::address_of, trace::Happening},
    Dice, Ledger,
};
use crate::{
    error::{Error, ErrorKind},
    io::pipe::{Behaviour, Grip, Pipe, pipe},
    lane::{Dialler, LaneParts},
    network::{self, Destination, Network},
    session::Session,
    target::Target,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{runtime::Handle, task::JoinHandle, time::sleep};

pub(super) struct Roads {
    dice: Arc<Dice>,
    ledger: Arc<Ledger>,
    /// Whether much is moved, so that steps are not to be too small.
    is_large: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listening: BTreeMap<String, Arc<Target>>,
    connections: Vec<Connection>,
    /// Nothing goes wrong by itself any more.
    calm: bool,
    ports: u16,
}

struct Connection {
    from: IpAddr,
    to: String,
    grip: Grip,
}

impl fmt::Debug for Roads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Roads")
    }
}

/// The name of a process.
pub(super) fn host_of(number: u32) -> String {
    format!("node-{number}")
}

impl Roads {
    pub(super) fn new(dice: &Arc<Dice>, ledger: &Arc<Ledger>, is_large: bool) -> Arc<Self> {
        Arc::new(Self {
            dice: Arc::clone(dice),
            ledger: Arc::clone(ledger),
            is_large,
            state: Mutex::default(),
        })
    }

    pub(super) fn listen(&self, number: u32, target: &Arc<Target>) {
        self.state.lock().listening.insert(host_of(number), Arc::clone(target));
    }

    pub(super) fn listen_no_more(&self, number: u32) {
        self.state.lock().listening.remove(&host_of(number));
    }

    /// The process is gone, and every connection from it and to it.
    pub(super) fn crash(&self, number: u32) {
        self.listen_no_more(number);
        let (from, to) = (address_of(number), host_of(number));
        self.cut(|connection| connection.from == from || connection.to == to);
    }

    pub(super) fn cut_all(&self) {
        self.cut(|_| true);
    }

    fn cut(&self, wanted: impl Fn(&Connection) -> bool) {
        let mut state = self.state.lock();
        let (cut, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut state.connections).into_iter().partition(wanted);
        state.connections = kept;
        drop(state);
        cut.iter().for_each(|connection| connection.grip.cut());
    }

    /// Nothing goes wrong from now on, and what has gone wrong is cut.
    pub(super) fn calm_down(&self) {
        self.state.lock().calm = true;
        self.cut_all();
    }

    fn with_one(&self, act: impl FnOnce(&Connection)) {
        let mut state = self.state.lock();
        state.connections.retain(|connection| !connection.grip.is_gone());
        if !state.connections.is_empty() {
            let index = self.dice.below(state.connections.len() as u64) as usize;
            act(&state.connections[index]);
        }
    }

    pub(super) fn cut_one(&self) {
        self.with_one(|connection| connection.grip.cut());
    }

    /// What the accepting end sends comes later.
    pub(super) fn slow_one(&self) {
        let late = self.dice.millis(300);
        self.with_one(|connection| connection.grip.slow_down(late));
    }

    /// One direction, or both, are dead and nobody is told.
    pub(super) fn silence_one(&self) {
        let which = self.dice.below(3);
        self.with_one(|connection| connection.grip.silence(which != 0, which != 1));
    }

    fn behaviour(&self) -> Behaviour {
        let (dice, calm) = (&self.dice, self.state.lock().calm);
        let delay = dice.millis(15);
        let calm_one = Behaviour {
            delay,
            ..Behaviour::default()
        };
        if calm {
            return calm_one;
        }
        let step = match dice.below(20) {
            0 if !self.is_large => 1 + dice.below(7),
            0..8 => 40 + dice.below(3000),
            _ => u64::MAX,
        };
        let room = match dice.below(4) {
            0 => 512 + dice.below(4000),
            1 => 16 << 10,
            _ => 256 << 10,
        };
        let cut_after = match dice.below(20) {
            0 => Some(dice.below(120)),
            1..4 => Some(dice.below(30_000)),
            4 if self.is_large => Some(dice.below(4 << 20)),
            _ => None,
        };
        Behaviour {
            step: usize::try_from(step).unwrap_or(usize::MAX),
            room: room as usize,
            cut_after,
            ..calm_one
        }
    }

    async fn dial(&self, from: IpAddr, host: &str) -> io::Result<Pipe> {
        let (there, back) = (self.behaviour(), self.behaviour());
        self.ledger.note(Happening::Dialled, u64::from(host.as_bytes()[5]));
        sleep(there.delay).await;
        let fate = self.dice.below(100);
        if !self.state.lock().calm {
            match fate {
                0..4 => sleep(Duration::from_secs(1_000_000)).await,
                4..8 => return Err(io::ErrorKind::ConnectionRefused.into()),
                _ => {}
            }
        }
        let accepted = self.accept(from, host, [there, back]);
        sleep(back.delay).await;
        accepted
    }

    fn accept(&self, from: IpAddr, host: &str, [there, back]: [Behaviour; 2]) -> io::Result<Pipe> {
        let mut state = self.state.lock();
        let Some(target) = state.listening.get(host).map(Arc::clone) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (near, far) = pipe(there, back);
        state.connections.retain(|connection| !connection.grip.is_gone());
        state.connections.push(Connection {
            from,
            to: host.to_owned(),
            grip: Grip::of(&far),
        });
        state.ports = state.ports.wrapping_add(1);
        let from = SocketAddr::new(from, state.ports);
        drop(state);
        if let Some(admission) = target.admit(from) {
            tokio::spawn(Session::new(far, target, admission, from.to_string().into()));
        }
        Ok(near)
    }
}

impl Network for Roads {
    fn start(self: Arc<Self>, lane: LaneParts, to: Destination, thread: &Handle) -> JoinHandle<()> {
        let from = to.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let dialler: Dialler<Pipe> = Box::new(move || {
            let (roads, host) = (Arc::clone(&self), to.host.clone());
            Box::pin(async move {
                let connected = roads.dial(from, &host).await;
                connected.map_err(|error| Error::io(ErrorKind::Connect, &error))
            })
        });
        network::start(lane, dialler, thread)
    }
}
