//! What the inputs are let loose on: targets with regions, lanes, and who is told of their ends.

use super::line::{Line, Side, said};
use crate::{
    auth::Security,
    backoff::Backoff,
    config::Limits,
    error::{Error, ErrorKind},
    io::pipe::{Behaviour, Pipe, pipe},
    lane::{
        Command, Dialler, Lane, LaneParts,
        bulk::BulkQueue,
        queue::{Piece, Tiny},
        train::Train,
    },
    mailbox::Mailbox,
    op::{
        Completion, CompletionSink, Direction, Done, Issuer, Item, List, Operation, OperationKey, Parts, Request,
        Ticket, Waiter, channel,
    },
    recv::Posted,
    region::{Access, Region, memory::Memory, span::Span},
    roster::Destined,
    session::Session,
    target::Target,
};
use memlane_wire::{Mode, Opcode, Preface};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Limits that inputs of a few bytes can reach.
pub(super) fn limits() -> Limits {
    Limits {
        max_operation_bytes: 1 << 16,
        max_unexpected_bytes: 100,
        max_unexpected_messages: 3,
        drain_bytes: 200,
        ..Limits::default()
    }
}

pub(super) fn target(security: Arc<Security>) -> Arc<Target> {
    Target::secured(Arc::new(limits()), security).expect("numbers by seed do not fail")
}

/// A region whose bytes are all different from those of its neighbours.
pub(super) fn region(target: &Target, name: &str, address: u64, len: usize, access: Access) -> Arc<Region> {
    let region = target.registry.alloc_at(address, name, len, access).expect("a region");
    region
        .memory()
        .copy_in(0, &pattern(len, address))
        .expect("bytes of its own");
    region
}

pub(super) fn bytes_of(region: &Region) -> Vec<u8> {
    let mut bytes = vec![0; region.len()];
    region.memory().copy_out(0, &mut bytes).expect("bytes of its own");
    bytes
}

/// Bytes that differ from place to place and from seed to seed.
pub(super) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next).take(len.div_ceil(8)).flatten().collect();
    bytes.truncate(len);
    bytes
}

/// A connection to the target: ours is fed by `step` bytes at a time, and hears what comes through a pipe that `back` describes.
pub(super) fn connect(target: &Arc<Target>, step: usize, back: Behaviour) -> (Line, Side) {
    let (near, far) = pipe(said(usize::MAX), Behaviour { step, ..back });
    let from = "127.0.0.1:9".parse().expect("an address");
    let admission = target.admit(from).expect("a place");
    let session = Session::new(far, Arc::clone(target), admission, "127.0.0.1:9".into());
    (Line::new(near), Side::spawn(session))
}

/// A receive that was posted.
pub(super) struct Receiving {
    ended: channel::Ended,
    into: Span,
}

/// How a receive ended: the bytes stored, and the sender's; or with what it failed.
pub(super) type Received = Result<(Vec<u8>, u64, u64), ErrorKind>;

impl Receiving {
    pub(super) fn post(target: &Target, room: usize, tag: Option<u64>, exact: bool) -> Self {
        let into = Span::whole(Memory::private(room).expect("a few bytes"));
        let (ticket, _, ended) = channel::ticket("recv");
        target.receives.post(Posted {
            ticket,
            into: into.clone(),
            tag,
            from: None,
            exact,
        });
        Self { ended, into }
    }

    /// How it ended; `None` while it waits, and from then on it is nobody's.
    pub(super) async fn ended(self) -> Option<Received> {
        let mut wait = std::pin::pin!(self.ended.wait());
        let result = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match wait.as_mut().poll(cx) {
                std::task::Poll::Ready(result) => Some(result),
                std::task::Poll::Pending => None,
            })
        })
        .await?;
        Some(result.map_err(|error| error.kind()).map(|done| {
            let Done::Message(message) = done else {
                panic!("a receive ended with {done:?}")
            };
            let mut bytes = vec![0; message.bytes as usize];
            self.into.copy_out(0, &mut bytes).expect("private memory");
            (bytes, message.message_bytes, message.tag)
        }))
    }
}

/// How an operation ended, and what the memory that is watched held at that moment.
#[derive(Debug)]
pub(super) struct OpEnd {
    pub(super) id: u64,
    pub(super) result: Result<Done, ErrorKind>,
    pub(super) memory: Vec<u8>,
}

/// The ends of operations, in the order in which they were told.
pub(super) struct Ops {
    ends: Mutex<Vec<OpEnd>>,
    memory: Arc<Memory>,
}

impl CompletionSink for Ops {
    fn complete(&self, completion: Completion) -> bool {
        let mut memory = vec![0; self.memory.len()];
        self.memory.copy_out(0, &mut memory).expect("private memory");
        self.ends.lock().push(OpEnd {
            id: completion.id,
            result: completion.result.map_err(|error| error.kind()),
            memory,
        });
        false
    }
}

impl Ops {
    pub(super) fn watching(memory: Arc<Memory>) -> Arc<Self> {
        Arc::new(Self {
            ends: Mutex::default(),
            memory,
        })
    }

    pub(super) fn ended(&self) -> Vec<OpEnd> {
        std::mem::take(&mut *self.ends.lock())
    }
}

/// A lane, and how it is told.
pub(super) struct Dialled {
    pub(super) side: Side,
    commands: Arc<Mailbox<Command>>,
    bulk: Arc<BulkQueue>,
}

impl Dialled {
    /// Tells the lane; one that has ended gives the command back, and with it the end of what was in it.
    fn tell(&self, command: Command) {
        drop(self.commands.push(command));
    }

    pub(super) fn submit(&self, ops: &Arc<Ops>, id: u64, request: Request, timeout: Duration) {
        let sink: Arc<dyn CompletionSink> = Arc::clone(ops) as _;
        self.tell(Command::Submit(Operation {
            ticket: Ticket::new(Issuer::local(sink), id, "operation"),
            request,
            timeout: Some(timeout),
        }));
    }

    /// A list that is short enough to need no lane but this one.
    pub(super) fn submit_list(&self, ops: &Arc<Ops>, id: u64, direction: Direction, list: List, timeout: Duration) {
        let sink: Arc<dyn CompletionSink> = Arc::clone(ops) as _;
        let ticket = Ticket::new(Issuer::local(sink), id, "list");
        let opcode = match direction {
            Direction::Read => Opcode::Read,
            Direction::Write => Opcode::Write,
        };
        let requests = |item: &Item| match item {
            Item::Run(_, cars) => cars.len() as u32,
            Item::One { .. } => 1,
        };
        let count = list.items().iter().map(requests).sum();
        let parts = Parts::new(ticket, count, list.bytes(), opcode, true, self.bulk.holders());
        let deadline = Some(Instant::now() + timeout);
        let part = |item| {
            let parts = Arc::clone(&parts);
            match item {
                Item::Run(whole, cars) => Tiny::Train(Train::new(opcode, whole, cars, parts, deadline)),
                Item::One { addr, span, entry } => Tiny::Piece(Piece {
                    opcode,
                    addr,
                    span: Some(span),
                    waiter: Waiter::Part { parts, entry },
                    deadline,
                    repeated: false,
                }),
            }
        };
        self.tell(Command::Parts(list.into_items().into_iter().map(part).collect()));
    }

    pub(super) fn cancel(&self, ops: &Arc<Ops>, id: u64) {
        let sink: Arc<dyn CompletionSink> = Arc::clone(ops) as _;
        self.tell(Command::Cancel(OperationKey::new(sink, id)));
    }
}

/// A native lane to the end of a pipe that is returned, and to nobody afterwards. It gets `step` bytes at a time, and `there` says
/// how what it sends is taken.
pub(super) fn lane(security: Arc<Security>, step: usize, there: Behaviour) -> (Line, Dialled) {
    let initiator = Target::new(Arc::new(limits())).expect("numbers by seed do not fail");
    let (near, far) = pipe(Behaviour { step, ..there }, said(usize::MAX));
    let commands = Arc::new(Mailbox::default());
    let bulk: Arc<BulkQueue> = Arc::default();
    bulk.mates().add(&commands);
    let backoff = Arc::new(Backoff::default());
    let parts = LaneParts {
        commands: Arc::clone(&commands),
        mode: Mode::Native,
        preface: initiator.preface().expect("numbers by seed do not fail"),
        security,
        bulk: Some(bulk.join()),
        turn: backoff.turn(),
        backoff,
        limits: Arc::clone(&initiator.limits),
        stats: Arc::default(),
        destined: Destined::to("127.0.0.1:9".into()),
    };
    let mut near = Some(near);
    let dialler: Dialler<Pipe> = Box::new(move || {
        let next = near.take();
        Box::pin(async { next.ok_or_else(|| Error::new(ErrorKind::Connect)) })
    });
    let side = Side::spawn(Lane::new(parts, dialler));
    (Line::new(far), Dialled { side, commands, bulk })
}

/// The preface of the side that an input speaks for.
pub(super) fn preface(instance: u8, nonce: u8) -> [u8; Preface::LEN] {
    let preface = Preface {
        lowest: 1,
        highest: 1,
        flags: 0,
        token_hint: 0,
        instance: [instance; 16],
        nonce: [nonce; 32],
    };
    preface.encode()
}
