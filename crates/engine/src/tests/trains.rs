//! Tiny entries of lists, which go many at a time: whatever happens to one of them, it is the same as for requests of their
//! own.

use super::{support::*, wired::*};
use crate::{
    error::{Error, ErrorKind},
    io::pipe::Behaviour,
    lane::{Command, queue::Tiny, train::Train},
    op::{Car, Completion, CompletionSink, Done, Issuer, OperationKey, Parts, Request, Ticket, channel},
    region::{Access, Registry, memory::Memory, span::Span},
};
use memlane_wire::{Header, Mode, Opcode, Status, StatusFrame};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(1000);

fn private(len: usize) -> Span {
    Span::whole(Memory::private(len).unwrap())
}

/// One list of entries of these lengths, one behind the other here and from `addr` on.
fn list(wired: &Wired, opcode: Opcode, addr: u64, whole: &Span, lengths: &[usize], timeout: Duration) -> Started {
    let (ticket, sink, ended) = channel::ticket("list");
    list_for(ticket, wired, opcode, addr, whole, lengths, timeout);
    Started {
        ended,
        key: OperationKey::new(sink, 0),
    }
}

fn list_for(
    ticket: Ticket,
    wired: &Wired,
    opcode: Opcode,
    addr: u64,
    whole: &Span,
    lengths: &[usize],
    timeout: Duration,
) {
    let mut at = 0;
    let cars = lengths.iter().enumerate().map(|(entry, &len)| {
        at += len;
        Car {
            addr: addr + (at - len) as u64,
            at: at - len,
            len: len as u32,
            entry: entry as u32,
        }
    });
    let cars: Vec<_> = cars.collect();
    let holders = wired.bulk.holders();
    let parts = Parts::new(ticket, lengths.len() as u32, at as u64, opcode, true, holders);
    let train = Train::new(opcode, whole.clone(), cars, parts, Some(Instant::now() + timeout));
    wired.commands.push(Command::Parts(vec![Tiny::Train(train)])).unwrap();
}

/// Looks at a memory in the moment in which an operation ends.
struct Look(Span, Mutex<Option<usize>>);

impl CompletionSink for Look {
    fn complete(&self, _: Completion) -> bool {
        *self.1.lock() = Some(self.0.leases());
        false
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_learns_of_the_end_of_a_list_finds_its_memory_quiet() {
    for (opcode, addr) in [
        (Opcode::Read, 0),
        (Opcode::Write, 0),
        (Opcode::Read, 1),
        (Opcode::Write, 1),
    ] {
        let wired = wired(Mode::Native, Behaviour::default(), Behaviour::default());
        let span = private(800);
        let look = Arc::new(Look(span.clone(), Mutex::default()));
        let ticket = Ticket::new(Issuer::local(Arc::clone(&look) as _), 0, "list");
        // From the region's start all is well, from nowhere all is refused.
        let addr = if addr == 0 { wired.region.address() } else { 1 };
        list_for(ticket, &wired, opcode, addr, &span, &[8; 100], LONG);
        everybody_rests().await;
        // The test's own, and the looker's.
        assert_eq!(*look.1.lock(), Some(2), "{opcode:?} at {addr}");
    }
}

fn failure(result: Result<Done, Error>) -> (ErrorKind, Option<u32>, bool) {
    let error = result.unwrap_err();
    (error.kind(), error.failed_entry(), error.is_outcome_unknown())
}

async fn ok(far: &Far, sequences: std::ops::Range<u32>, body: &[u8]) {
    for sequence in sequences {
        far.say(&StatusFrame::new(sequence, Status::Ok).encode()).await;
        far.say(body).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_moves_every_byte_however_its_requests_and_answers_are_cut() {
    let lengths: Vec<usize> = (0..500)
        .map(|index| (index * 37) % 211)
        .chain([8192, 0, 8192])
        .collect();
    let total: usize = lengths.iter().sum();
    for mode in [Mode::Native, Mode::Legacy] {
        for step in [1, 7, 17, 25, 1000, usize::MAX] {
            let behaviour = Behaviour {
                step,
                room: 5000,
                ..Behaviour::default()
            };
            let wired = wired(mode, behaviour, behaviour);
            let addr = wired.region.address() + 100;
            let bytes = pattern(total, step as u64);
            let from = Span::copied(&bytes).unwrap();
            let write = list(&wired, Opcode::Write, addr, &from, &lengths, LONG);
            assert_eq!(write.ended.wait().await.unwrap(), Done::Bytes(total as u64));
            let into = private(total);
            let read = list(&wired, Opcode::Read, addr, &into, &lengths, LONG);
            assert_eq!(read.ended.wait().await.unwrap(), Done::Bytes(total as u64));
            assert!(bytes_of(&into) == bytes, "{mode:?}, {step} bytes a step");
            assert_eq!(
                (from.leases(), into.leases()),
                (1, 1),
                "nobody looks at the bytes any more"
            );
            assert_eq!(wired.region.in_flight(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_refused_is_named_and_what_is_answered_behind_it_reaches_nobody() {
    let (wired, far) = by_hand(1, Behaviour::default());
    let (into, far) = (private(800), &far[0]);
    let read = list(&wired, Opcode::Read, 0, &into, &[8; 100], LONG);
    let other = wired.start(Request::Ping, LONG);
    far.greet().await;
    far.hear(101 * Header::LEN).await;
    ok(far, 0..70, &[1; 8]).await;
    far.say(&StatusFrame::new(70, Status::NoSuchRegion).encode()).await;
    let end = failure(read.ended.wait().await);
    assert_eq!(end, (ErrorKind::RegionNotFound, Some(70), false));
    assert_eq!(into.leases(), 1, "nobody stores bytes any more");
    ok(far, 71..100, &[2; 8]).await;
    ok(far, 100..101, &[]).await;
    assert_eq!(other.ended.wait().await.unwrap(), Done::Nothing);
    assert_eq!(bytes_of(&into)[..560], [1; 560]);
    assert_eq!(bytes_of(&into)[560..], [0; 240]);
}

#[tokio::test(start_paused = true)]
async fn a_list_ends_once_at_its_deadline_or_cancel_and_its_late_answers_reach_nobody() {
    for opcode in [Opcode::Read, Opcode::Write] {
        for is_cancelled in [false, true] {
            let (wired, far) = by_hand(1, Behaviour::default());
            let (span, far) = (private(800), &far[0]);
            let timeout = if is_cancelled { LONG } else { Duration::from_secs(3) };
            let body: &[u8] = if opcode == Opcode::Read { &[1; 8] } else { &[] };
            let started = list(&wired, opcode, 0, &span, &[8; 100], timeout);
            far.greet().await;
            let sent = if opcode == Opcode::Read { 0 } else { 8 };
            far.hear(100 * (Header::LEN + sent)).await;
            ok(far, 0..10, body).await;
            everybody_rests().await;
            if is_cancelled {
                wired.commands.push(Command::Cancel(started.key)).unwrap();
            }
            let kind = if is_cancelled {
                ErrorKind::Aborted
            } else {
                ErrorKind::Timeout
            };
            let end = failure(started.ended.wait().await);
            assert_eq!(end, (kind, Some(10), opcode == Opcode::Write));
            assert_eq!(span.leases(), 1, "nobody looks at the bytes any more");
            ok(far, 10..100, body).await;
            let other = wired.start(Request::Ping, LONG);
            far.request().await;
            ok(far, 100..101, &[]).await;
            assert_eq!(other.ended.wait().await.unwrap(), Done::Nothing);
            let stored = bytes_of(&span);
            assert_eq!(stored[80..], [0; 720], "{opcode:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_out_of_turn_or_for_what_is_not_sent_ends_the_connection_and_stores_nothing() {
    let full = Behaviour {
        room: 500,
        ..Behaviour::default()
    };
    // Of 100 writes, the socket has not taken the last.
    for (opcode, behaviour, sequence) in [
        (Opcode::Read, Behaviour::default(), 1),
        (Opcode::Read, Behaviour::default(), 100),
        (Opcode::Write, full, 0),
    ] {
        let (wired, far) = by_hand(1, behaviour);
        let (span, far) = (private(80_000), &far[0]);
        far.greet().await;
        let started = list(&wired, opcode, 0, &span, &[800; 100], LONG);
        everybody_rests().await;
        far.say(&StatusFrame::new(sequence, Status::Ok).encode()).await;
        if opcode == Opcode::Read {
            far.say(&[7; 800]).await;
        }
        let (kind, _, unknown) = failure(started.ended.wait().await);
        assert_eq!(
            (kind, unknown),
            (ErrorKind::Protocol, opcode == Opcode::Write),
            "{sequence}"
        );
        assert!(bytes_of(&span).iter().all(|&byte| byte == 0));
        assert_eq!(span.leases(), 1);
        wired.lane.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn reads_of_a_list_that_a_reset_left_unanswered_go_by_the_next_connection_and_writes_never_twice() {
    let (wired, far) = by_hand(2, Behaviour::default());
    let mut far = far.into_iter();
    let (first, second) = (far.next().unwrap(), far.next().unwrap());
    let (into, from) = (private(1500), private(50));
    let read = list(&wired, Opcode::Read, 0, &into, &[5; 300], LONG);
    let write = list(&wired, Opcode::Write, 0, &from, &[5; 10], LONG);
    first.greet().await;
    let on_the_wire = 310 * Header::LEN + 50;
    assert_eq!(first.hear(on_the_wire).await.len(), on_the_wire);
    for sequence in 0..100_u32 {
        let body = [(sequence * 5) as u8; 5];
        ok(&first, sequence..sequence + 1, &body).await;
    }
    everybody_rests().await;
    drop(first);
    let serving = tokio::spawn(async move {
        second.greet().await;
        second.serve_reads().await
    });
    assert_eq!(read.ended.wait().await.unwrap(), Done::Bytes(1500));
    let expected: Vec<u8> = (0..1500).map(|at| (at / 5 * 5) as u8).collect();
    assert!(bytes_of(&into) == expected);
    let end = failure(write.ended.wait().await);
    assert_eq!(end, (ErrorKind::PeerClosed, Some(0), true));
    wired.commands.push(Command::Close).unwrap();
    assert_eq!(serving.await.unwrap(), 200, "answered ones are not asked for again");
}

#[tokio::test(start_paused = true)]
async fn the_fence_of_a_local_region_waits_for_no_list_that_only_its_peer_could_end() {
    for opcode in [Opcode::Read, Opcode::Write] {
        let (wired, far) = by_hand(1, Behaviour::default());
        let registry = Registry::default();
        let region = registry.alloc("scratch", 800, Access::NONE).unwrap();
        let started = list(&wired, opcode, 0, &region.span(0, 800).unwrap(), &[8; 100], LONG);
        far[0].greet().await;
        far[0].hear(Header::LEN).await;
        everybody_rests().await;
        registry.close(&region);
        wired.commands.push(Command::Revoke).unwrap();
        everybody_rests().await;
        assert_eq!(region.in_flight(), 0, "{opcode:?}");
        if opcode == Opcode::Read {
            assert_eq!(failure(started.ended.wait().await).0, ErrorKind::Closed);
        } else {
            // What was written has left the region: it may still succeed.
            ok(&far[0], 0..100, &[]).await;
            assert_eq!(started.ended.wait().await.unwrap(), Done::Bytes(800));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_waits_for_a_connection_ends_with_it() {
    let (wired, far) = by_hand(1, Behaviour::default());
    let from = private(80);
    let write = list(&wired, Opcode::Write, 0, &from, &[8; 10], LONG);
    drop(far);
    assert_eq!(failure(write.ended.wait().await), (ErrorKind::Connect, Some(0), false));
    assert_eq!(from.leases(), 1);
}
