//! A lane and a session, wired to each other by a pipe.

use super::support::*;
use crate::{
    auth::Security,
    backoff::Backoff,
    error::{Error, ErrorKind},
    io::{
        Transport,
        pipe::{Behaviour, Pipe, pipe},
        raw::{RecvSegment, SendSegment},
    },
    lane::{
        Command, Dialler, Lane, LaneParts,
        bulk::{Bulk, BulkQueue},
        giving_up::GiveUp,
    },
    mailbox::Mailbox,
    op::{Done, Operation, OperationKey, Request, channel},
    recv::Posted,
    region::{Access, Region, memory::Memory, span::Span},
    roster::Destined,
    session::Session,
    target::Target,
};
use memlane_wire::{Header, Mode, Opcode, Preface, Status, StatusFrame};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// One lane of `initiator` into one session of `target`.
pub(crate) struct Wired {
    pub(crate) target: Arc<Target>,
    pub(crate) region: Arc<Region>,
    pub(crate) commands: Arc<Mailbox<Command>>,
    pub(crate) bulk: Arc<BulkQueue>,
    pub(crate) lane: JoinHandle<()>,
    pub(crate) session: JoinHandle<()>,
}

pub(crate) const REGION: usize = 3 << 20;

pub(crate) fn wired(mode: Mode, there: Behaviour, back: Behaviour) -> Wired {
    wired_by(mode, [there, back], Arc::default(), Arc::default())
}

/// The same, of an initiator and a target with tokens.
pub(crate) fn wired_by(mode: Mode, [there, back]: [Behaviour; 2], ours: Arc<Security>, theirs: Arc<Security>) -> Wired {
    let (near, far) = pipe(there, back);
    wired_over(near, far, mode, ours, theirs)
}

/// The same, over these two ends.
pub(crate) fn wired_over<T: Transport>(
    near: T,
    far: T,
    mode: Mode,
    ours: Arc<Security>,
    theirs: Arc<Security>,
) -> Wired {
    let target = Target::secured(Arc::default(), theirs).unwrap();
    let region = target.registry.alloc("kv", REGION, Access::READ_WRITE).unwrap();
    let admission = target.admit("127.0.0.1:9".parse().unwrap()).unwrap();
    let session = tokio::spawn(Session::new(far, Arc::clone(&target), admission, "127.0.0.1:9".into()));
    let bulk = Arc::default();
    let (commands, lane) = secured_lane(&bulk, vec![near], mode, ours);
    Wired {
        target,
        region,
        commands,
        bulk,
        lane,
        session,
    }
}

/// A lane that dials this end of a pipe at once, and nothing afterwards.
pub(crate) fn lane(near: Pipe, mode: Mode) -> (Arc<Mailbox<Command>>, Arc<BulkQueue>, JoinHandle<()>) {
    lane_over(vec![near], mode)
}

/// A lane that dials these in turn, at once, and finds nobody afterwards.
pub(crate) fn lane_over(near: Vec<Pipe>, mode: Mode) -> (Arc<Mailbox<Command>>, Arc<BulkQueue>, JoinHandle<()>) {
    let bulk = Arc::default();
    let (commands, lane) = lane_of(&bulk, near, mode);
    (commands, bulk, lane)
}

/// The same, as one of several lanes.
pub(crate) fn lane_of(bulk: &Arc<BulkQueue>, near: Vec<Pipe>, mode: Mode) -> (Arc<Mailbox<Command>>, JoinHandle<()>) {
    secured_lane(bulk, near, mode, Arc::default())
}

/// The same, of a context with tokens.
pub(crate) fn secured_lane<T: Transport>(
    bulk: &Arc<BulkQueue>,
    near: Vec<T>,
    mode: Mode,
    security: Arc<Security>,
) -> (Arc<Mailbox<Command>>, JoinHandle<()>) {
    let (commands, lane) = resting_lane(bulk, near, mode, security);
    (commands, tokio::spawn(lane))
}

/// The same before it is spawned.
pub(crate) fn resting_lane<T: Transport>(
    bulk: &Arc<BulkQueue>,
    near: Vec<T>,
    mode: Mode,
    security: Arc<Security>,
) -> (Arc<Mailbox<Command>>, Lane<T>) {
    let initiator = Target::new(Arc::default()).unwrap();
    let commands = Arc::new(Mailbox::default());
    bulk.mates().add(&commands);
    let backoff = Arc::new(Backoff::default());
    let parts = LaneParts {
        commands: Arc::clone(&commands),
        mode,
        preface: initiator.preface().unwrap(),
        security,
        bulk: Some(bulk.join()),
        turn: backoff.turn(),
        backoff,
        limits: Arc::clone(&initiator.limits),
        stats: Arc::default(),
        destined: Destined::to("127.0.0.1:9".into()),
    };
    let mut near = near.into_iter();
    let dialler: Dialler<T> = Box::new(move || {
        let next = near.next();
        Box::pin(async { next.ok_or_else(|| Error::new(ErrorKind::Connect)) })
    });
    (commands, Lane::new(parts, dialler))
}

impl Wired {
    pub(crate) fn start(&self, request: Request, timeout: Duration) -> Started {
        let (ticket, sink, ended) = channel::ticket("operation");
        let operation = Operation {
            ticket,
            request,
            timeout: Some(timeout),
        };
        let command = match Bulk::take_apart(operation, || self.bulk.holders()) {
            Ok(bulk) => Command::Work(self.bulk.push(bulk)),
            Err(small) => Command::Submit(small),
        };
        match self.commands.push(command) {
            Ok(()) => {}
            Err(Command::Submit(refused)) => refused.ticket.complete(Err(Error::new(ErrorKind::PeerClosed))),
            Err(_) => self.bulk.give_up(&GiveUp::All(&Error::new(ErrorKind::PeerClosed))),
        }
        Started {
            ended,
            key: OperationKey::new(sink, 0),
        }
    }

    pub(crate) async fn write(&self, at: u64, bytes: &[u8]) -> Result<Done, Error> {
        let request = Request::Write {
            addr: self.region.address() + at,
            from: Span::copied(bytes).unwrap(),
        };
        self.start(request, Duration::from_secs(1000)).ended.wait().await
    }

    pub(crate) async fn read(&self, at: u64, len: usize) -> Result<Vec<u8>, Error> {
        let into = Span::whole(Memory::private(len).unwrap());
        let request = Request::Read {
            addr: self.region.address() + at,
            into: into.clone(),
        };
        self.start(request, Duration::from_secs(1000)).ended.wait().await?;
        Ok(bytes_of(&into))
    }

    pub(crate) fn post(&self, room: usize) -> Receiving {
        let into = Span::whole(Memory::private(room).unwrap());
        let (ticket, sink, ended) = channel::ticket("recv");
        self.target.receives.post(Posted {
            ticket,
            into: into.clone(),
            tag: None,
            from: None,
            exact: false,
        });
        Receiving {
            ended,
            into,
            key: OperationKey::new(sink, 0),
        }
    }

    pub(crate) async fn send(&self, bytes: &[u8]) -> Result<Done, Error> {
        let request = Request::Send {
            tag: 3,
            from: Span::copied(bytes).unwrap(),
        };
        self.start(request, Duration::from_secs(1000)).ended.wait().await
    }
}

/// A legacy lane whose peer takes `room` bytes and then nothing.
pub(crate) fn stuck(room: usize) -> (Wired, Pipe) {
    let whole = wired(Mode::Native, Behaviour::default(), Behaviour::default());
    let (near, far) = pipe(
        Behaviour {
            room,
            ..Behaviour::default()
        },
        Behaviour::default(),
    );
    let (commands, bulk, lane) = lane(near, Mode::Legacy);
    (
        Wired {
            commands,
            bulk,
            lane,
            ..whole
        },
        far,
    )
}

/// A native lane that dials so many pipes in turn, whose far ends are in our hands.
pub(crate) fn by_hand(count: usize, there: Behaviour) -> (Wired, Vec<Far>) {
    let whole = wired(Mode::Native, Behaviour::default(), Behaviour::default());
    let (near, far) = (0..count)
        .map(|_| pipe(there, Behaviour::default()))
        .map(|(near, far)| (near, Far(far)))
        .unzip();
    let (commands, bulk, lane) = lane_over(near, Mode::Native);
    let by_hand = Wired {
        commands,
        bulk,
        lane,
        ..whole
    };
    (by_hand, far)
}

/// A session of the target's whose initiator is in our hands; it has greeted.
pub(crate) async fn served(target: &Arc<Target>, back: Behaviour) -> (Far, JoinHandle<()>) {
    let (near, far) = pipe(Behaviour::default(), back);
    let admission = target.admit("127.0.0.4:9".parse().unwrap()).unwrap();
    let session = Session::new(far, Arc::clone(target), admission, "127.0.0.4:9".into());
    let (near, session) = (Far(near), tokio::spawn(session));
    let preface = Target::new(Arc::default()).unwrap().preface().unwrap();
    near.say(&preface.encode()).await;
    near.hear(Preface::LEN).await;
    (near, session)
}

/// One end of a pipe, without anybody behind it.
pub(crate) struct Far(pub(crate) Pipe);

impl Far {
    pub(crate) async fn say(&self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            at += std::future::poll_fn(|cx| self.0.poll_send(cx, &[SendSegment::bytes(&bytes[at..])]))
                .await
                .unwrap();
        }
    }

    /// So many bytes, or as many as come before the end.
    pub(crate) async fn hear(&self, count: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let mut bytes = vec![0; count - heard.len()];
            let more = std::future::poll_fn(|cx| self.0.poll_recv(cx, &mut [RecvSegment::bytes(&mut bytes)])).await;
            match more {
                Ok(more) if more > 0 => heard.extend(&bytes[..more]),
                _ => break,
            }
        }
        heard
    }

    /// Prefaces, each way.
    pub(crate) async fn greet(&self) {
        assert_eq!(self.hear(Preface::LEN).await.len(), Preface::LEN);
        let preface = Target::new(Arc::default()).unwrap().preface().unwrap();
        self.say(&preface.encode()).await;
    }

    /// The next request.
    pub(crate) async fn request(&self) -> Header {
        Header::take(&self.hear(Header::LEN).await).expect("a request")
    }

    /// Answers the next request, a READ, with zeroes; what it was for.
    pub(crate) async fn serve_one_read(&self) -> u64 {
        let header = self.request().await;
        self.say(&StatusFrame::new(0, Status::Ok).encode()).await;
        self.say(&vec![0; header.size as usize]).await;
        header.addr
    }

    /// Answers every READ with bytes that tell their address, until the lane ends the connection; how many.
    pub(crate) async fn serve_reads(&self) -> u32 {
        let mut answered = 0;
        while let Some(header) = Header::take(&self.hear(Header::LEN).await) {
            assert_eq!(header.opcode(), Some(Opcode::Read));
            self.say(&StatusFrame::new(answered, Status::Ok).encode()).await;
            self.say(&vec![header.addr as u8; header.size as usize]).await;
            answered += 1;
        }
        answered
    }
}

pub(crate) async fn drain(far: Pipe) {
    let mut bytes = vec![0; 1 << 16];
    while std::future::poll_fn(|cx| far.poll_recv(cx, &mut [RecvSegment::bytes(&mut bytes)]))
        .await
        .is_ok_and(|n| n > 0)
    {}
}

/// Until nobody has anything to do any more: the clock of these tests moves only then.
pub(crate) async fn everybody_rests() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
