//! Connections that end under operations: what goes by the next one, and what never goes twice.

use super::{support::*, wired::*};
use crate::{
    config::Limits,
    error::ErrorKind,
    io::pipe::Behaviour,
    lane::Command,
    op::{Done, Request},
    region::{Access, Region, memory::Memory, span::Span},
};
use memlane_wire::{Header, Mode, Preface, Status, StatusFrame};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

const LONG: Duration = Duration::from_secs(1000);

fn private(len: usize) -> Span {
    Span::whole(Memory::private(len).unwrap())
}

fn reading(wired: &Wired, addr: u64, into: &Span) -> Started {
    let into = into.clone();
    wired.start(Request::Read { addr, into }, LONG)
}

fn writing(wired: &Wired, len: usize) -> Started {
    let from = Span::copied(&vec![9; len]).unwrap();
    wired.start(Request::Write { addr: 7, from }, LONG)
}

fn sending(wired: &Wired) -> Started {
    let from = Span::copied(b"once").unwrap();
    wired.start(Request::Send { tag: 3, from }, LONG)
}

#[tokio::test(start_paused = true)]
async fn reads_that_a_reset_left_unanswered_succeed_by_the_next_connection_and_writes_are_never_repeated() {
    let (wired, far) = by_hand(2, Behaviour::default());
    let spans: Vec<_> = (0..100).map(|_| private(5)).collect();
    let reads: Vec<_> = (0..100).map(|at| reading(&wired, at as u64, &spans[at])).collect();
    let (write, send) = (writing(&wired, 10), sending(&wired));
    let mut far = far.into_iter();
    let (first, second) = (far.next().unwrap(), far.next().unwrap());
    first.greet().await;
    // Everything is on the wire, and two are answered.
    let on_the_wire = 102 * Header::LEN + 10 + 4;
    assert_eq!(first.hear(on_the_wire).await.len(), on_the_wire);
    for sequence in 0..2 {
        first.say(&StatusFrame::new(sequence, Status::Ok).encode()).await;
        first.say(&[sequence as u8; 5]).await;
    }
    drop(first);
    let serving = tokio::spawn(async move {
        second.greet().await;
        second.serve_reads().await
    });
    for (at, read) in reads.into_iter().enumerate() {
        assert_eq!(read.ended.wait().await.unwrap(), Done::Bytes(5), "read {at}");
        assert_eq!(bytes_of(&spans[at]), vec![at as u8; 5]);
    }
    for changing in [write, send] {
        let error = changing.ended.wait().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (ErrorKind::PeerClosed, true)
        );
    }
    wired.commands.push(Command::Close).unwrap();
    assert_eq!(serving.await.unwrap(), 98, "answered ones are not asked for again");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_resets_always_fails_each_read_once_and_is_not_dialled_for_ever() {
    let (wired, far) = by_hand(10, Behaviour::default());
    let reads: Vec<_> = (0..100).map(|at| reading(&wired, at, &private(5))).collect();
    // Large ones go in pieces, most of which wait: the operation gets no further.
    let large = reading(&wired, 0, &private(100 << 20));
    let mut dialled = 0;
    for far in far {
        if far.hear(Preface::LEN).await.is_empty() {
            break;
        }
        dialled += 1;
        let preface = crate::target::Target::new(Arc::default()).unwrap().preface().unwrap();
        far.say(&preface.encode()).await;
        far.hear(100 * Header::LEN).await;
    }
    for read in reads {
        let error = read.ended.wait().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (ErrorKind::PeerClosed, false)
        );
    }
    assert_eq!(large.ended.wait().await.unwrap_err().kind(), ErrorKind::PeerClosed);
    assert_eq!(dialled, 2);
    wired.lane.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_answer_has_begun_is_not_repeated() {
    let (wired, mut far) = by_hand(2, Behaviour::default());
    let into = private(1000);
    let (begun, behind) = (reading(&wired, 1, &into), reading(&wired, 2, &private(8)));
    let first = far.remove(0);
    first.greet().await;
    first.hear(2 * Header::LEN).await;
    first.say(&StatusFrame::new(0, Status::Ok).encode()).await;
    first.say(&[1; 500]).await;
    drop(first);
    assert_eq!(begun.ended.wait().await.unwrap_err().kind(), ErrorKind::PeerClosed);
    far[0].greet().await;
    assert_eq!(far[0].request().await.addr, 2);
    far[0].say(&StatusFrame::new(0, Status::Ok).encode()).await;
    far[0].say(&[2; 8]).await;
    assert_eq!(behind.ended.wait().await.unwrap(), Done::Bytes(8));
    assert_eq!(bytes_of(&into)[500..], [0; 500]);
}

#[tokio::test(start_paused = true)]
async fn a_read_of_whose_status_half_came_is_not_repeated() {
    let (wired, mut far) = by_hand(2, Behaviour::default());
    let (begun, behind) = (reading(&wired, 1, &private(8)), reading(&wired, 2, &private(8)));
    let first = far.remove(0);
    first.greet().await;
    first.hear(2 * Header::LEN).await;
    first.say(&StatusFrame::new(0, Status::Ok).encode()[..3]).await;
    drop(first);
    assert_eq!(begun.ended.wait().await.unwrap_err().kind(), ErrorKind::PeerClosed);
    far[0].greet().await;
    assert_eq!(far[0].request().await.addr, 2);
    wired.commands.push(Command::Cancel(behind.key)).unwrap();
    assert_eq!(behind.ended.wait().await.unwrap_err().kind(), ErrorKind::Aborted);
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_and_never_sent_goes_by_the_next_connection_whatever_it_is() {
    // A body that the far end does not take holds up what is behind it.
    let narrow = Behaviour {
        room: 1000,
        ..Behaviour::default()
    };
    let (wired, mut far) = by_hand(2, narrow);
    let half_sent = writing(&wired, 100_000);
    let first = far.remove(0);
    first.greet().await;
    everybody_rests().await;
    let (write, send) = (writing(&wired, 10), sending(&wired));
    everybody_rests().await;
    drop(first);
    let error = half_sent.ended.wait().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_outcome_unknown()),
        (ErrorKind::PeerClosed, true)
    );
    let second = &far[0];
    second.greet().await;
    let heard = second.hear(2 * Header::LEN + 14).await;
    assert_eq!(heard[Header::LEN..][..10], [9; 10]);
    assert_eq!(heard[2 * Header::LEN + 10..], *b"once");
    second.say(&StatusFrame::new(0, Status::Ok).encode()).await;
    second.say(&StatusFrame::new(1, Status::Ok).encode()).await;
    assert_eq!(write.ended.wait().await.unwrap(), Done::Bytes(10));
    assert_eq!(send.ended.wait().await.unwrap(), Done::Bytes(4));
}

#[tokio::test(start_paused = true)]
async fn a_large_operation_that_no_lane_had_begun_goes_by_the_next_connection_once() {
    for resets in [1, 2] {
        let narrow = Behaviour {
            room: 1000,
            ..Behaviour::default()
        };
        let (wired, far) = by_hand(3, narrow);
        let mut far = far.into_iter();
        // A body that the far end does not take holds up what is behind it.
        let begun = writing(&wired, 2 << 20);
        let first = far.next().unwrap();
        first.greet().await;
        everybody_rests().await;
        let waiting = reading(&wired, 0, &private(2 << 20));
        drop(first);
        let error = begun.ended.wait().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (ErrorKind::PeerClosed, true)
        );
        for _ in 1..resets {
            let next = far.next().unwrap();
            next.greet().await;
            next.request().await;
        }
        let last = far.next().unwrap();
        if resets == 1 {
            let serving = tokio::spawn(async move {
                last.greet().await;
                last.serve_reads().await
            });
            assert_eq!(waiting.ended.wait().await.unwrap(), Done::Bytes(2 << 20));
            wired.commands.push(Command::Close).unwrap();
            assert_eq!(serving.await.unwrap(), 2);
        } else {
            assert_eq!(waiting.ended.wait().await.unwrap_err().kind(), ErrorKind::PeerClosed);
            assert!(last.hear(1).await.is_empty(), "nobody dials a third time");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_a_deadline_and_a_fence_find_what_waits_for_the_next_connection() {
    let (wired, mut far) = by_hand(2, Behaviour::default());
    let region = wired.target.registry.alloc("scratch", 8, Access::NONE).unwrap();
    let spans: Vec<_> = (0..4).map(|_| private(8)).collect();
    let late = Request::Read {
        addr: 1,
        into: spans[0].clone(),
    };
    let late = wired.start(late, Duration::from_secs(2));
    let cancelled = reading(&wired, 2, &spans[1]);
    let fenced = reading(&wired, 3, &region.span(0, 8).unwrap());
    let lasting = reading(&wired, 4, &spans[3]);
    let first = far.remove(0);
    first.greet().await;
    first.hear(4 * Header::LEN).await;
    drop(first);
    // The next connection stands, but its target says nothing yet: all wait.
    everybody_rests().await;
    wired.commands.push(Command::Cancel(cancelled.key)).unwrap();
    assert_eq!(cancelled.ended.wait().await.unwrap_err().kind(), ErrorKind::Aborted);
    wired.target.registry.close(&region);
    wired.commands.push(Command::Revoke).unwrap();
    assert_eq!(fenced.ended.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(region.in_flight(), 0, "the fence waits for nobody");
    let began = tokio::time::Instant::now();
    assert_eq!(late.ended.wait().await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(
        began.elapsed() <= Duration::from_secs(2),
        "its deadline is the first one"
    );
    far[0].greet().await;
    assert_eq!(far[0].request().await.addr, 4, "what has ended is not asked for");
    wired.commands.push(Command::Close).unwrap();
    assert_eq!(lasting.ended.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    wired.lane.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn operations_that_come_as_the_connection_ends_go_by_the_next_one() {
    let (wired, mut far) = by_hand(2, Behaviour::default());
    let (first, second) = (far.remove(0), far.remove(0));
    let read = reading(&wired, 1, &private(1));
    first.greet().await;
    first.request().await;
    first.say(&StatusFrame::new(0, Status::Ok).encode()).await;
    first.say(&[1]).await;
    read.ended.wait().await.unwrap();
    // The lane finds the end of the stream and both operations in the same turn.
    drop(first);
    let (small, large) = (reading(&wired, 2, &private(3)), reading(&wired, 9, &private(8 << 20)));
    second.greet().await;
    assert_eq!(second.request().await.addr, 2);
    second.say(&StatusFrame::new(0, Status::Ok).encode()).await;
    second.say(&[2; 3]).await;
    assert_eq!(small.ended.wait().await.unwrap(), Done::Bytes(3));
    assert_eq!(second.request().await.addr, 9);
    wired.commands.push(Command::Cancel(large.key)).unwrap();
    assert_eq!(large.ended.wait().await.unwrap_err().kind(), ErrorKind::Aborted);
}

/// Ends the first connection with a reset, when it has heard `requests` READs; hands the next ones on.
async fn resetting(listener: TcpListener, requests: usize, resets: usize, port: u16) {
    for count in 0.. {
        let (mut from, _) = listener.accept().await.unwrap();
        if count < resets {
            let mut heard = vec![0; Preface::LEN];
            from.read_exact(&mut heard).await.unwrap();
            let preface = crate::target::Target::new(Arc::default()).unwrap().preface().unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut from, &preface.encode())
                .await
                .unwrap();
            from.read_exact(&mut vec![0; requests * Header::LEN]).await.unwrap();
            from.set_zero_linger().unwrap();
            continue;
        }
        let mut to = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tokio::spawn(async move {
            let _ = copy_bidirectional(&mut from, &mut to).await;
        });
    }
}

/// Reads under way behind a relay that resets; and the sides that have to stay for as long as they are.
async fn behind_resets(
    resets: usize,
) -> (
    [crate::endpoint::Endpoint; 2],
    Arc<crate::peer::Peer>,
    Arc<Region>,
    Vec<(Started, Span)>,
) {
    let (target, port) = listening_with(Limits::default()).await;
    let region = target.alloc("kv", 6400, Access::READ).unwrap();
    region.memory().copy_in(0, &pattern(6400, 3)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = listener.local_addr().unwrap().port();
    tokio::spawn(resetting(listener, 100, resets, port));
    let initiator = endpoint_with(Limits::default());
    let peer = initiator.connect("127.0.0.1", through, Mode::Native).unwrap();
    let reads = (0..100)
        .map(|at| {
            let into = private(64);
            let addr = region.address() + at * 64;
            let request = Request::Read {
                addr,
                into: into.clone(),
            };
            (start(&peer, "read", request, Some(Duration::from_secs(20))), into)
        })
        .collect();
    ([target, initiator], peer, region, reads)
}

#[tokio::test]
async fn a_hundred_reads_survive_a_reset_on_a_real_socket() {
    let (_sides, _peer, region, reads) = behind_resets(1).await;
    for (at, (read, into)) in reads.into_iter().enumerate() {
        assert_eq!(read.ended.wait().await.unwrap(), Done::Bytes(64));
        let mut stored = vec![0; 64];
        region.memory().copy_out(at * 64, &mut stored).unwrap();
        assert!(bytes_of(&into) == stored, "read {at}");
    }
}

#[tokio::test]
async fn the_second_reset_on_a_real_socket_is_final() {
    let ([target, _initiator], _peer, _region, reads) = behind_resets(2).await;
    for (read, _) in reads {
        assert_eq!(read.ended.wait().await.unwrap_err().kind(), ErrorKind::PeerClosed);
    }
    let stats: serde_json::Value = serde_json::from_str(&target.stats()).unwrap();
    assert_eq!(stats["connections"]["accepted"], 0, "there was no third connection");
}
