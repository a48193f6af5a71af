//! The end of an endpoint, as those who are connected to it see it; time is virtual.

use super::{support::*, wired::*};
use crate::{
    config::Limits,
    context::Context,
    endpoint::Endpoint,
    error::ErrorKind,
    io::pipe::Behaviour,
    op::{Done, channel},
    recv::Posted,
    region::{Access, memory::Memory, span::Span},
    target::Target,
};
use memlane_wire::{Header, Mode, Opcode, Status, StatusFrame};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_body_that_is_coming_in_may_get_there_and_nothing_is_taken_behind_it() {
    let target = Target::new(Arc::default()).unwrap();
    let region = target.registry.alloc("kv", 1000, Access::READ_WRITE).unwrap();
    let (writer, writing) = served(&target, Behaviour::default()).await;
    let (sender, sending) = served(&target, Behaviour::default()).await;
    let (idle, resting) = served(&target, Behaviour::default()).await;
    let (ticket, _, received) = channel::ticket("recv");
    let into = Span::whole(Memory::private(1000).unwrap());
    target.receives.post(Posted {
        ticket,
        into: into.clone(),
        tag: None,
        from: None,
        exact: false,
    });
    let write = Header::new(Opcode::Write, 1000, region.address());
    for (far, header) in [(&writer, write), (&sender, Header::new(Opcode::Send, 1000, 0))] {
        far.say(&header.encode()).await;
        far.say(&[1; 500]).await;
    }
    everybody_rests().await;
    target.close(Instant::now() + 10 * SECOND);
    // Those that have nothing to do are told at once.
    assert!(idle.hear(1).await.is_empty());
    drop(idle);
    resting.await.unwrap();
    tokio::time::sleep(5 * SECOND).await;
    for far in [&writer, &sender] {
        far.say(&[2; 500]).await;
        far.say(&Header::new(Opcode::Ping, 0, 0).encode()).await;
        assert_eq!(far.hear(100).await, StatusFrame::new(0, Status::Ok).encode());
    }
    assert!(matches!(received.wait().await.unwrap(), Done::Message(message) if message.bytes == 1000));
    drop((writer, sender));
    writing.await.unwrap();
    sending.await.unwrap();
    let mut stored = [0; 1000];
    region.memory().copy_out(0, &mut stored).unwrap();
    assert_eq!((stored[499], stored[500], stored[999]), (1, 2, 2));
    assert_eq!((bytes_of(&into)[0], bytes_of(&into)[999]), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_is_cut_when_the_time_is_over_in_whatever_it_hangs() {
    for patience in [Duration::ZERO, SECOND, 60 * SECOND] {
        let target = Target::new(Arc::default()).unwrap();
        let region = target.registry.alloc("kv", 1 << 20, Access::READ_WRITE).unwrap();
        let narrow = Behaviour {
            room: 1000,
            ..Behaviour::default()
        };
        // One in a body, one that reads no answer, one that only never says goodbye.
        let (writer, writing) = served(&target, narrow).await;
        let (reader, reading) = served(&target, narrow).await;
        let (silent, resting) = served(&target, narrow).await;
        writer
            .say(&Header::new(Opcode::Write, 1000, region.address()).encode())
            .await;
        writer.say(&[1; 500]).await;
        reader
            .say(&Header::new(Opcode::Read, 1 << 20, region.address()).encode())
            .await;
        everybody_rests().await;
        let began = Instant::now();
        target.close(began + patience);
        target.sessions_ended().await;
        let spent = began.elapsed();
        assert!(spent >= patience && spent <= patience + SECOND / 10, "{spent:?}");
        for session in [writing, reading, resting] {
            session.await.unwrap();
        }
        assert_eq!(region.in_flight(), 0);
        drop((writer, reader, silent));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_only_never_says_goodbye_is_worth_the_drain_time_of_the_limits() {
    let target = Target::new(Arc::default()).unwrap();
    let (silent, resting) = served(&target, Behaviour::default()).await;
    let began = Instant::now();
    target.close(began + 3600 * SECOND);
    resting.await.unwrap();
    let spent = began.elapsed();
    let drain = Duration::from_millis(Limits::default().drain_time);
    assert!(spent >= drain && spent < drain + SECOND, "{spent:?}");
    drop(silent);
}

#[tokio::test]
async fn an_endpoint_closes_within_the_time_that_it_is_given() {
    let (target, port) = listening_with(Limits::default()).await;
    let region = target.alloc("kv", 64 << 20, Access::READ).unwrap();
    // Asks for much and reads nothing.
    let greedy = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let header = Header::new(Opcode::Read, 64 << 20, region.address()).encode();
    std::io::Write::write_all(&mut &greedy, &header).unwrap();
    while region.in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let initiator = endpoint_with(Limits::default());
    let peer = initiator.connect("127.0.0.1", port, Mode::Native).unwrap();
    read(&peer, region.address(), 10).await.unwrap();
    let waiting = recv(&target, 10, None, false);
    let began = std::time::Instant::now();
    let (ticket, _, closed) = channel::ticket("close");
    target.close_within(Duration::from_millis(100), ticket);
    closed.wait().await.unwrap();
    let spent = began.elapsed();
    assert!(spent >= SECOND / 10 && spent < SECOND + SECOND / 10, "{spent:?}");
    assert_eq!(waiting.ended.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(region.in_flight(), 0);
    assert!(read(&peer, region.address(), 10).await.is_err());
    drop(greedy);
}

#[tokio::test]
async fn nobody_connects_to_an_endpoint_that_has_closed_on_whichever_thread_it_listened() {
    let limits = Limits {
        io_threads: 2,
        ..Limits::default()
    };
    let context = Context::new(limits).unwrap();
    let endpoint = Endpoint::new(context.clone()).unwrap();
    let (ticket, _, listening) = channel::ticket("listen");
    endpoint.listen("127.0.0.1", 0, ticket);
    listening.wait().await.unwrap();
    // Threads have their turns: the second one's goes by, and the first, which accepts, is busy for a while.
    let _second = context.shared().next_thread();
    let (busy, is_busy) = tokio::sync::oneshot::channel();
    let _first = context.shared().next_thread().spawn(async {
        busy.send(()).unwrap();
        std::thread::sleep(SECOND / 5);
    });
    is_busy.await.unwrap();
    let (ticket, _, closed) = channel::ticket("close");
    endpoint.close(ticket);
    closed.wait().await.unwrap();
    let (_, port) = endpoint.address();
    let refused = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}
