//! The memory of an ended operation is the caller's alone: its pages are taken away in the moment of the end, on the thread that tells
//! it, and what was late comes all the same, from a real socket.
//!
//! A touch by us is a SIGSEGV of this test program. One by the kernel on our behalf is a call that fails, which ends the connection:
//! each test looks whether what came late has left the connection alone.

use super::support::*;
use crate::{
    config::Limits,
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    op::{Completion, CompletionSink, Done, Operation, OperationKey, Request, Ticket, channel},
    peer::Peer,
    region::{Access, Region, memory::Memory, span::Span},
};
use memlane_wire::{Mode, StatusFrame};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::Notify,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Memory whose pages can be taken away.
fn pages(len: usize) -> Arc<Memory> {
    Memory::mapped(len).unwrap()
}

fn protect(pages: &Memory, rights: i32) {
    let len = pages.len().next_multiple_of(4096);
    // SAFETY: `pages` mapped whole pages for it, which it keeps, and nothing else lies in them.
    let failed = unsafe { libc::mprotect(pages.as_ptr().cast(), len, rights) };
    assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
}

/// Takes the pages of an operation away when it ends, before anybody hears of it.
struct Taking {
    pages: Arc<Memory>,
    told: Arc<dyn CompletionSink>,
}

impl CompletionSink for Taking {
    fn complete(&self, completion: Completion) -> bool {
        protect(&self.pages, libc::PROT_NONE);
        self.told.complete(completion)
    }
}

struct Taken {
    ended: channel::Ended,
    key: OperationKey,
    pages: Arc<Memory>,
}

fn taking(pages: &Arc<Memory>) -> (Arc<dyn CompletionSink>, Taken) {
    let (told, ended) = channel::once();
    let sink: Arc<dyn CompletionSink> = Arc::new(Taking {
        pages: Arc::clone(pages),
        told,
    });
    let key = OperationKey::new(Arc::clone(&sink), 0);
    let pages = Arc::clone(pages);
    (sink, Taken { ended, key, pages })
}

fn start_taking(peer: &Peer, request: Request, pages: &Arc<Memory>, timeout: Option<Duration>) -> Taken {
    let (sink, taken) = taking(pages);
    peer.submit(Operation {
        ticket: Ticket::new(peer.issuer(sink), 0, "operation"),
        request,
        timeout,
    });
    taken
}

impl Taken {
    /// The error that it ends with; its pages are gone then.
    async fn error(self) -> (Error, Arc<Memory>) {
        let error = self.ended.wait().await.unwrap_err();
        (error, self.pages)
    }
}

/// How many bytes may go one way.
#[derive(Debug)]
struct Valve {
    state: Mutex<Flow>,
    turned: Notify,
}

#[derive(Debug)]
enum Flow {
    Open,
    Left(usize),
    /// Somebody wants to go and may not.
    Stuck,
}

impl Valve {
    fn open() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Flow::Open),
            turned: Notify::new(),
        })
    }

    fn turn(&self, flow: Flow) {
        *self.state.lock() = flow;
        self.turned.notify_waiters();
    }

    async fn pass(&self, wanted: usize) -> usize {
        loop {
            let turned = self.turned.notified();
            if let Some(now) = self.take(wanted) {
                return now;
            }
            turned.await;
        }
    }

    fn take(&self, wanted: usize) -> Option<usize> {
        let mut state = self.state.lock();
        match &mut *state {
            Flow::Open => Some(wanted),
            Flow::Left(left) if *left > 0 => {
                let now = wanted.min(*left);
                *left -= now;
                Some(now)
            }
            Flow::Left(_) => {
                *state = Flow::Stuck;
                self.turned.notify_waiters();
                None
            }
            Flow::Stuck => None,
        }
    }

    async fn stuck(&self) {
        loop {
            let turned = self.turned.notified();
            if matches!(*self.state.lock(), Flow::Stuck) {
                return;
            }
            turned.await;
        }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, valve: Arc<Valve>) -> std::io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let now = valve.pass(rest.len()).await;
            to.write_all(&rest[..now]).await?;
            rest = &rest[now..];
        }
    }
}

/// A target and a peer of it, by one connection through two valves.
struct World {
    target: Endpoint,
    region: Arc<Region>,
    bytes: Vec<u8>,
    _initiator: Endpoint,
    peer: Arc<Peer>,
    there: Arc<Valve>,
    back: Arc<Valve>,
}

impl World {
    async fn new(len: usize) -> Self {
        let (target, port) = listening_with(Limits::default()).await;
        let region = target.alloc("kv", len, Access::READ_WRITE).unwrap();
        let bytes = pattern(len, 7);
        region.memory().copy_in(0, &bytes).unwrap();
        let (there, back) = (Valve::open(), Valve::open());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let through = listener.local_addr().unwrap().port();
        let valves = [Arc::clone(&there), Arc::clone(&back)];
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, Arc::clone(&valves[0])));
                tokio::spawn(carry(far_in, near_out, Arc::clone(&valves[1])));
            }
        });
        let initiator = endpoint_with(Limits {
            lanes_per_peer: 1,
            ..Limits::default()
        });
        let peer = initiator.connect("127.0.0.1", through, Mode::Native).unwrap();
        let world = Self {
            target,
            region,
            bytes,
            _initiator: initiator,
            peer,
            there,
            back,
        };
        world.goes_on("the start").await;
        world
    }

    /// What was late is over: the region is read whole, by the connection that there was at the start.
    async fn goes_on(&self, what: &str) {
        let read = tokio::time::timeout(PATIENCE, read(&self.peer, self.region.address(), self.bytes.len())).await;
        assert!(read.unwrap().unwrap() == self.bytes, "{what}: other bytes");
        let stats: serde_json::Value = serde_json::from_str(&self.target.stats()).unwrap();
        assert_eq!(stats["connections"]["accepted"], 1, "{what}: the connection was lost");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Deadline,
    Cancel,
}

/// Reads `len` bytes and ends that when `let_through` bytes of the answer have come.
async fn read_that_ends(world: &World, len: usize, let_through: usize, end: End) {
    let what = format!("{len} bytes, of whose answer {let_through} come before the {end:?}");
    world.back.turn(Flow::Left(let_through));
    let into = pages(len);
    let request = Request::Read {
        addr: world.region.address(),
        into: Span::whole(Arc::clone(&into)),
    };
    let timeout = (end == End::Deadline).then_some(Duration::from_millis(30));
    let taken = start_taking(&world.peer, request, &into, timeout);
    if end == End::Cancel {
        world.back.stuck().await;
        world.peer.cancel(&taken.key);
    }
    let (error, pages) = taken.error().await;
    let wanted = if end == End::Cancel {
        ErrorKind::Aborted
    } else {
        ErrorKind::Timeout
    };
    assert_eq!(error.kind(), wanted, "{what}");
    world.back.turn(Flow::Open);
    world.goes_on(&what).await;
    protect(&pages, libc::PROT_READ);
    let came = let_through.saturating_sub(StatusFrame::LEN).min(len);
    let rest = &bytes_of(&Span::whole(pages))[came..];
    assert!(rest.iter().all(|&byte| byte == 0), "{what}: late bytes were stored");
}

#[tokio::test]
async fn a_read_that_has_ended_stores_nothing_of_the_answer_that_comes_late() {
    for len in [64, 4096, 200_000, 3 << 20] {
        let world = World::new(len).await;
        let frame = StatusFrame::LEN;
        let places = [0, 1, frame - 1, frame, frame + 1, frame + len / 2, frame + len - 1];
        for let_through in places {
            for end in [End::Deadline, End::Cancel] {
                // The answer of a large read comes in pieces, a frame before each; this place is in the first of them.
                read_that_ends(&world, len, let_through, end).await;
            }
        }
    }
}

#[tokio::test]
async fn a_write_that_has_ended_before_it_left_is_not_sent_from_its_memory() {
    let world = World::new(64 << 20).await;
    let source = |len| {
        let pages = pages(len);
        pages.copy_in(0, &world.bytes[..len]).unwrap();
        pages
    };
    let writing = |from: &Arc<Memory>| Request::Write {
        addr: world.region.address(),
        from: Span::whole(Arc::clone(from)),
    };
    for len in [64, 4096, 200_000, 3 << 20] {
        world.there.turn(Flow::Left(1000));
        // What fills the way, and arrives in the end.
        let filling = start(&world.peer, "write", writing(&source(64 << 20)), Some(PATIENCE));
        // Else the lane might find both at once, and begin with the other.
        world.there.stuck().await;
        let from = source(len);
        let taken = start_taking(&world.peer, writing(&from), &from, None);
        world.peer.cancel(&taken.key);
        assert_eq!(taken.error().await.0.kind(), ErrorKind::Aborted);
        world.there.turn(Flow::Open);
        assert_eq!(
            filling.ended.wait().await.unwrap(),
            Done::Bytes(64 << 20),
            "behind it: {len} bytes"
        );
        world.goes_on(&format!("a write of {len} bytes")).await;
    }
}

#[tokio::test]
async fn a_write_that_has_ended_is_not_looked_at_again_when_its_answer_comes_late() {
    let len = 3 << 20;
    let world = World::new(len).await;
    for let_through in [0, 1, StatusFrame::LEN - 1, StatusFrame::LEN] {
        for end in [End::Deadline, End::Cancel] {
            let what = format!("a write of whose answers {let_through} bytes come before the {end:?}");
            world.back.turn(Flow::Left(let_through));
            let from = pages(len);
            from.copy_in(0, &world.bytes).unwrap();
            let request = Request::Write {
                addr: world.region.address(),
                from: Span::whole(Arc::clone(&from)),
            };
            let timeout = (end == End::Deadline).then_some(Duration::from_millis(300));
            let taken = start_taking(&world.peer, request, &from, timeout);
            if end == End::Cancel {
                // It is applied, and so has left.
                world.back.stuck().await;
                world.peer.cancel(&taken.key);
            }
            let (error, _pages) = taken.error().await;
            assert!(
                matches!(error.kind(), ErrorKind::Aborted | ErrorKind::Timeout),
                "{what}: {error:?}"
            );
            world.back.turn(Flow::Open);
            let read = read(&world.peer, world.region.address(), len).await;
            assert!(read.unwrap() == world.bytes, "{what}: other bytes");
        }
    }
}

#[tokio::test]
async fn a_write_that_has_ended_half_sent_sends_nothing_of_what_its_memory_has_later() {
    let len = 16 << 20;
    let world = World::new(len).await;
    for end in [End::Deadline, End::Cancel] {
        world.region.memory().copy_in(0, &vec![0x22; len]).unwrap();
        world.there.turn(Flow::Left(1000));
        // Not taken away, but written to: what the kernel cannot send would end the connection, and that is lost anyway.
        let from = pages(len);
        from.copy_in(0, &vec![0x11; len]).unwrap();
        let request = Request::Write {
            addr: world.region.address(),
            from: Span::whole(Arc::clone(&from)),
        };
        let timeout = (end == End::Deadline).then_some(Duration::from_millis(300));
        let started = start(&world.peer, "write", request, timeout);
        if end == End::Cancel {
            world.there.stuck().await;
            world.peer.cancel(&started.key);
        }
        let error = started.ended.wait().await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{end:?}: {error:?}");
        from.copy_in(0, &vec![0xee; len]).unwrap();
        world.there.turn(Flow::Open);
        let there = read(&world.peer, world.region.address(), len).await.unwrap();
        assert!(
            there.iter().all(|byte| [0x11, 0x22].contains(byte)),
            "{end:?}: later bytes arrived"
        );
    }
}
