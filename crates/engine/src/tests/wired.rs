//! A lane and a session, wired to each other by a pipe.

use super::support::*;
use crate::{
    error::{Error, ErrorKind},
    io::pipe::{Behaviour, Pipe, pipe},
    lane::{
        Command, Dial, Lane, LaneParts,
        bulk::{Bulk, BulkQueue},
        giving_up::GiveUp,
    },
    mailbox::Mailbox,
    op::{Done, Operation, OperationKey, Request, channel},
    recv::Posted,
    region::{Access, Region, memory::Memory, span::Span},
    session::Session,
    target::Target,
};
use memlane_wire::Mode;
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
    let target = Target::new(Arc::default()).unwrap();
    let region = target.registry.alloc("kv", REGION, Access::READ_WRITE).unwrap();
    let (near, far) = pipe(there, back);
    let admission = target.admit("127.0.0.1:9".parse().unwrap()).unwrap();
    let session = tokio::spawn(Session::new(far, Arc::clone(&target), admission, "127.0.0.1:9".into()));
    let (commands, bulk, lane) = lane(near, mode);
    Wired {
        target,
        region,
        commands,
        bulk,
        lane,
        session,
    }
}

/// A lane that dials this end of a pipe at once.
pub(crate) fn lane(near: Pipe, mode: Mode) -> (Arc<Mailbox<Command>>, Arc<BulkQueue>, JoinHandle<()>) {
    let initiator = Target::new(Arc::default()).unwrap();
    let (commands, bulk) = (Arc::new(Mailbox::default()), Arc::new(BulkQueue::default()));
    let parts = LaneParts {
        commands: Arc::clone(&commands),
        mode,
        preface: initiator.preface().unwrap(),
        bulk: Some(bulk.join()),
        limits: Arc::clone(&initiator.limits),
        stats: Arc::default(),
    };
    let dial: Dial<Pipe> = Box::pin(async move { Ok(near) });
    (commands, bulk, tokio::spawn(Lane::new(parts, dial)))
}

impl Wired {
    pub(crate) fn start(&self, request: Request, timeout: Duration) -> Started {
        let (ticket, sink, ended) = channel::ticket("operation");
        let operation = Operation {
            ticket,
            request,
            timeout: Some(timeout),
        };
        let command = match Bulk::take_apart(operation, tokio::time::Instant::now()) {
            Ok(bulk) => {
                self.bulk.push(bulk);
                Command::Work
            }
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

pub(crate) async fn drain(far: Pipe) {
    use crate::io::{Transport, raw::RecvSegment};
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
