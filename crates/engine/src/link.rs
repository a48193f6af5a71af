//! All lanes to one address, shared by every peer of a context that goes there: dialled on demand, dialled again after
//! they ended.

mod halves;

use crate::{
    backoff::Backoff,
    error::{Error, ErrorKind},
    lane::{
        Command, LaneParts,
        bulk::{Bulk, BulkQueue, pieces},
        giving_up::GiveUp,
        queue::{Piece, Tiny},
        train::Train,
    },
    mailbox::Mailbox,
    network::Destination,
    op::{Instance, Item, List, Operation, OperationKey, Parts, Remote, Ticket, Waiter},
    random::preface,
    roster::Destined,
    shared::Shared,
    stats::Stats,
    sync::Mutex,
};
pub(crate) use halves::FirstHalf;
use halves::Halves;
use memlane_wire::Opcode;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

/// The lanes to one destination.
#[derive(Debug)]
pub(crate) struct Link {
    destination: Destination,
    /// Its name, and who is told when the other side comes and goes.
    pub(crate) destined: Destined,
    context: Weak<Shared>,
    /// Of its context, here because every operation asks for it.
    lane_limit: usize,
    bulk: Arc<BulkQueue>,
    backoff: Arc<Backoff>,
    state: Mutex<Lanes>,
}

#[derive(Debug, Default)]
struct Lanes {
    /// The first carries small operations, and large ones only where it is the only one; opened when they are needed.
    open: Vec<Option<OpenLane>>,
    /// Lanes of their own: a message that nobody receives yet stops one.
    messages: HashMap<Instance, Messages>,
    /// Peers that use the link.
    peers: usize,
    halves: Halves,
}

/// The messages of one endpoint: they go by a lane which says that it is that endpoint's.
#[derive(Debug, Default)]
struct Messages {
    lane: Option<OpenLane>,
    /// Peers of the endpoint that use the link.
    peers: usize,
}

impl Lanes {
    fn all(&self) -> impl Iterator<Item = &OpenLane> {
        let messages = self.messages.values().filter_map(|messages| messages.lane.as_ref());
        self.open.iter().flatten().chain(messages)
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        for open in self.all() {
            // A lane that has ended holds nothing that could be told.
            let _ = open.commands.push(command());
        }
    }
}

#[derive(Debug)]
struct OpenLane {
    commands: Arc<Mailbox<Command>>,
    task: JoinHandle<()>,
}

impl OpenLane {
    /// Hands a command over; gives it back when the lane has ended.
    fn tell(lane: Option<&Self>, command: Command) -> Option<Command> {
        match lane {
            Some(lane) => lane.commands.push(command).err(),
            None => Some(command),
        }
    }
}

impl Link {
    pub(crate) fn new(destination: Destination, context: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            destined: Destined::to(destination.name().into()),
            destination,
            context: Arc::downgrade(context),
            lane_limit: context.limits.lanes_per_peer as usize,
            bulk: Arc::default(),
            backoff: Arc::default(),
            state: Mutex::default(),
        })
    }

    /// One whose small operations go by the lane that takes these commands; it dials nothing.
    #[cfg(feature = "bench")]
    pub(crate) fn by_lane(
        destination: Destination,
        commands: Arc<Mailbox<Command>>,
        task: JoinHandle<()>,
    ) -> Arc<Self> {
        let open = vec![Some(OpenLane { commands, task })];
        Arc::new(Self {
            destined: Destined::to(destination.name().into()),
            destination,
            context: Weak::new(),
            lane_limit: 2,
            bulk: Arc::default(),
            backoff: Arc::default(),
            state: Mutex::new(Lanes {
                open,
                ..Lanes::default()
            }),
        })
    }

    /// One more peer of this endpoint uses it, until [`Link::leave`].
    pub(crate) fn join(&self, endpoint: Instance) {
        let mut state = self.state.lock();
        state.peers += 1;
        state.messages.entry(endpoint).or_default().peers += 1;
    }

    /// Hands an operation of a peer of this endpoint over; it is on its way when this returns. Dials that it takes are
    /// counted in `stats`; whether it took one.
    pub(crate) fn submit(&self, operation: Operation, endpoint: &Instance, stats: &Arc<Stats>) -> bool {
        if operation.request.opcode() == Opcode::Send {
            return self.submit_message(operation, None, endpoint, stats);
        }
        match Bulk::take_apart(operation, || self.bulk.holders()) {
            Ok(bulk) => self.submit_bulk(vec![bulk], stats),
            Err(small) => self.submit_small(Command::Submit(small), stats),
        }
    }

    /// An operation for this peer whose first half is about to be handed over: whoever keeps this begins its second half by
    /// [`Link::submit_message`].
    pub(crate) fn begin_halves(&self, key: OperationKey, remote: &Remote) -> Arc<FirstHalf> {
        self.state.lock().halves.begin(key, remote)
    }

    /// Hands a message over. One that is the second half of an operation is so only if that was not given up since it began:
    /// this is seen under the lock under which the message gets a lane, which hears of it from then on.
    pub(crate) fn submit_message(
        &self,
        operation: Operation,
        half: Option<&FirstHalf>,
        endpoint: &Instance,
        stats: &Arc<Stats>,
    ) -> bool {
        let mut state = self.state.lock();
        let Lanes { halves, messages, .. } = &mut *state;
        let goes_on = match half {
            Some(half) => halves.end(operation.ticket.key().as_ref(), half),
            None => Ok(()),
        };
        // Without an entry its last peer was closed in this moment.
        let messages = goes_on.and_then(|()| messages.get_mut(endpoint).ok_or(ErrorKind::Closed));
        match messages {
            Ok(messages) => {
                let command = Command::Submit(operation);
                self.tell_or_open(&mut messages.lane, command, Some(*endpoint), None, stats)
            }
            Err(kind) => {
                drop(state);
                operation.ticket.complete(Err(Error::new(kind)));
                false
            }
        }
    }

    /// Hands over an operation of several parts; whether it took a dial.
    pub(crate) fn submit_list(
        &self,
        ticket: Ticket,
        opcode: Opcode,
        list: List,
        timeout: Option<Duration>,
        stats: &Arc<Stats>,
    ) -> bool {
        let requests = |item: &Item| match item {
            Item::Run(_, cars) => u32::try_from(cars.len()).unwrap_or(u32::MAX),
            Item::One { addr, span, .. } if Bulk::wants(*addr, span.len()) => pieces(span.len()),
            Item::One { .. } => 1,
        };
        let count = list.items().iter().map(requests).sum();
        let parts = Parts::new(ticket, count, list.bytes(), opcode, true, self.bulk.holders());
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for item in list.into_items() {
            let parts = Arc::clone(&parts);
            match item {
                Item::Run(whole, cars) => {
                    small.push(Tiny::Train(Train::new(opcode, whole, cars, parts, deadline)));
                }
                Item::One { addr, span, entry } if Bulk::wants(addr, span.len()) => {
                    large.push(Bulk::part(opcode, addr, span, parts, entry, deadline));
                }
                Item::One { addr, span, entry } => small.push(Tiny::Piece(Piece {
                    opcode,
                    addr,
                    span: Some(span),
                    waiter: Waiter::Part { parts, entry },
                    deadline,
                    repeated: false,
                })),
            }
        }
        let mut dialled = false;
        if !small.is_empty() {
            dialled |= self.submit_small(Command::Parts(small), stats);
        }
        if !large.is_empty() {
            dialled |= self.submit_bulk(large, stats);
        }
        dialled
    }

    /// Hands small operations over, to the first lane.
    pub(crate) fn submit_small(&self, command: Command, stats: &Arc<Stats>) -> bool {
        let mut state = self.state.lock();
        let bulk = (self.lane_limit == 1).then_some(&self.bulk);
        self.tell_or_open(lane(&mut state, 0), command, None, bulk, stats)
    }

    /// Hands large operations over, to as many lanes as they keep busy.
    pub(crate) fn submit_bulk(&self, operations: Vec<Bulk>, stats: &Arc<Stats>) -> bool {
        let mut state = self.state.lock();
        let mut number = 0;
        operations.into_iter().for_each(|bulk| number = self.bulk.push(bulk));
        let most = self.lane_limit;
        if most == 1 {
            return self.tell_or_open(
                lane(&mut state, 0),
                Command::Work(number),
                None,
                Some(&self.bulk),
                stats,
            );
        }
        let wanted = self
            .bulk
            .pieces_left()
            .div_ceil(PIECES_PER_LANE)
            .clamp(1, most as u64 - 1) as usize;
        let known = state.open.len().saturating_sub(1).max(wanted);
        let mut dialled = false;
        for index in 1..=known {
            if index <= wanted {
                dialled |= self.tell_or_open(
                    lane(&mut state, index),
                    Command::Work(number),
                    None,
                    Some(&self.bulk),
                    stats,
                );
            } else if let Some(open) = lane(&mut state, index) {
                // One that is there already may help; one that has ended is not missed.
                let _ = open.commands.push(Command::Work(number));
            }
        }
        dialled
    }

    /// Connections that stand or are being made.
    pub(crate) fn open_lanes(&self) -> u64 {
        let state = self.state.lock();
        let lanes = state
            .open
            .iter()
            .flatten()
            .chain(state.messages.values().filter_map(|messages| messages.lane.as_ref()));
        lanes.filter(|lane| !lane.task.is_finished()).count() as u64
    }

    /// `endpoint` is whose messages the lane carries; lanes for all else are the context's.
    fn tell_or_open(
        &self,
        slot: &mut Option<OpenLane>,
        command: Command,
        endpoint: Option<Instance>,
        bulk: Option<&Arc<BulkQueue>>,
        stats: &Arc<Stats>,
    ) -> bool {
        let Some(command) = OpenLane::tell(slot.as_ref(), command) else {
            return false;
        };
        let commands = Arc::new(Mailbox::default());
        // Fresh: nobody has closed it.
        let _ = commands.push(command);
        match self.open(Arc::clone(&commands), endpoint, bulk, stats) {
            Ok(open) => *slot = Some(open),
            // Nothing can be dialled from a context that is gone, nor without entropy: what was asked for ends with that.
            Err(error) => {
                for command in commands.close() {
                    match command {
                        Command::Work(number) => self.bulk.is_not_served(number, &error),
                        command => command.fail(&error),
                    }
                }
            }
        }
        true
    }

    fn open(
        &self,
        commands: Arc<Mailbox<Command>>,
        endpoint: Option<Instance>,
        bulk: Option<&Arc<BulkQueue>>,
        stats: &Arc<Stats>,
    ) -> Result<OpenLane, Error> {
        let context = self.context.upgrade().ok_or_else(|| Error::new(ErrorKind::Closed))?;
        let parts = LaneParts {
            commands: Arc::clone(&commands),
            mode: self.destination.mode,
            preface: preface(endpoint.unwrap_or(context.instance))?,
            security: Arc::clone(&context.security),
            bulk: bulk.map(BulkQueue::join),
            turn: self.backoff.turn(),
            backoff: Arc::clone(&self.backoff),
            limits: Arc::clone(&context.limits),
            stats: Arc::clone(stats),
            destined: self.destined.clone(),
        };
        self.bulk.mates().add(&commands);
        let network = Arc::clone(&context.network);
        let task = network.start(parts, self.destination.clone(), context.next_thread());
        Ok(OpenLane { commands, task })
    }

    /// Asks for an operation to end early.
    pub(crate) fn cancel(&self, key: &OperationKey) {
        if !self.bulk.is_empty() {
            self.bulk.give_up(&GiveUp::Cancelled(&HashSet::from([key.clone()])));
        }
        let mut state = self.state.lock();
        state.halves.cancel(key);
        state.tell_all(|| Command::Cancel(key.clone()));
    }

    /// Ends operations on local regions that are being closed.
    pub(crate) fn revoke(&self) {
        self.bulk.give_up(&GiveUp::Revoked);
        self.state.lock().tell_all(|| Command::Revoke);
    }

    /// A peer of this endpoint uses it no more: its operations end, with the endpoint's last peer the lane of its messages,
    /// and with the last peer of all the lanes. Resolves when they have.
    pub(crate) fn leave(&self, remote: &Remote, endpoint: &Instance) -> impl Future<Output = ()> + Send + 'static {
        self.bulk.give_up(&GiveUp::Closed(remote));
        let mut state = self.state.lock();
        state.halves.close(remote);
        state.peers = state.peers.saturating_sub(1);
        let mut ending = Vec::new();
        if let Some(messages) = state.messages.get_mut(endpoint) {
            messages.peers = messages.peers.saturating_sub(1);
            if messages.peers == 0 {
                ending.extend(state.messages.remove(endpoint).and_then(|messages| messages.lane));
            }
        }
        if state.peers == 0 {
            ending.extend(std::mem::take(&mut state.open).into_iter().flatten());
        }
        let (mut tasks, mut forgotten) = (Vec::new(), Vec::new());
        for open in ending {
            let _ = open.commands.push(Command::Close);
            tasks.push(open.task);
        }
        for open in state.all() {
            let (done, ended) = oneshot::channel();
            if open.commands.push(Command::Forget(remote.clone(), done)).is_ok() {
                forgotten.push(ended);
            }
        }
        async move {
            // A lane answers in its next turn, whatever its connection does.
            for task in tasks {
                let _ = task.await;
            }
            for ended in forgotten {
                let _ = ended.await;
            }
        }
    }
}

/// Pieces that are worth a lane: as many as it has on the wire at once.
const PIECES_PER_LANE: u64 = 4;

fn lane(state: &mut Lanes, index: usize) -> &mut Option<OpenLane> {
    if state.open.len() <= index {
        state.open.resize_with(index + 1, || None);
    }
    &mut state.open[index]
}
