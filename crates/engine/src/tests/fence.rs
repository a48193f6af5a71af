//! The fence of a region that messages land in.

use super::{support::*, wired::everybody_rests};
use crate::{
    endpoint::Wanted,
    error::ErrorKind,
    fence::{Holders, fence},
    io::{
        Transport,
        pipe::{Behaviour, Pipe, pipe},
        raw::SendSegment,
    },
    op::channel::{self, Ended},
    recv::Posted,
    region::{Access, Region},
    session::Session,
    target::Target,
};
use memlane_wire::{Header, Opcode};
use std::{sync::Arc, time::Duration};

/// A target with a legacy sender that stays in our hands.
fn fed(target: &Arc<Target>) -> Pipe {
    let (near, far) = pipe(Behaviour::default(), Behaviour::default());
    let admission = target.admit("127.0.0.3:9".parse().unwrap()).unwrap();
    tokio::spawn(Session::new(far, Arc::clone(target), admission, "127.0.0.3:9".into()));
    near
}

async fn say(pipe: &Pipe, bytes: &[u8]) {
    std::future::poll_fn(|cx| pipe.poll_send(cx, &[SendSegment::bytes(bytes)]))
        .await
        .unwrap();
}

fn post(target: &Target, region: &Region) -> Ended {
    let (ticket, _, ended) = channel::ticket("recv");
    let into = region.span(0, region.len()).unwrap();
    target.receives.post(Posted {
        ticket,
        into,
        tag: None,
        from: None,
        exact: false,
    });
    ended
}

async fn fence_holds_in_time(target: &Target, region: Arc<Region>) {
    let began = tokio::time::Instant::now();
    target.registry.close(&region);
    let fence = fence(Arc::clone(&region), Duration::from_secs(2));
    let held = tokio::time::timeout(Duration::from_secs(60), fence).await;
    assert!(held.is_ok(), "the fence holds at all");
    assert!(began.elapsed() <= Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(region.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn holds_in_time_though_a_message_is_half_received_there() {
    let target = Target::new(Arc::default()).unwrap();
    let _holders = Holders::new(Arc::clone(&target));
    let region = target.registry.alloc("inbox", 1000, Access::NONE).unwrap();
    let receiving = post(&target, &region);
    let sender = fed(&target);
    say(&sender, &Header::new(Opcode::Send, 1000, 0).encode()).await;
    say(&sender, &[7; 500]).await;
    everybody_rests().await;
    fence_holds_in_time(&target, region).await;
    assert_eq!(receiving.wait().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn holds_at_once_though_a_receive_there_has_claimed_a_message_that_trickles_in() {
    let target = Target::new(Arc::default()).unwrap();
    let _holders = Holders::new(Arc::clone(&target));
    let region = target.registry.alloc("inbox", 1000, Access::NONE).unwrap();
    let sender = fed(&target);
    say(&sender, &Header::new(Opcode::Send, 1000, 0).encode()).await;
    say(&sender, &[7; 500]).await;
    everybody_rests().await;
    let claiming = post(&target, &region);
    fence_holds_in_time(&target, region).await;
    assert_eq!(claiming.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    // The message is for the next receive.
    let other = target.registry.alloc("other", 1000, Access::NONE).unwrap();
    let next = post(&target, &other);
    say(&sender, &[7; 500]).await;
    next.wait().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_half_close_behind_many_requests_leaves_none_of_them_unanswered() {
    let target = Target::new(Arc::default()).unwrap();
    let region = target.registry.alloc("kv", 20_000, Access::READ).unwrap();
    let (near, far) = pipe(
        Behaviour::default(),
        Behaviour {
            room: 64 << 10,
            ..Behaviour::default()
        },
    );
    let admission = target.admit("127.0.0.3:9".parse().unwrap()).unwrap();
    tokio::spawn(Session::new(far, Arc::clone(&target), admission, "127.0.0.3:9".into()));
    let requests: Vec<u8> = (0..40)
        .flat_map(|_| Header::new(Opcode::Read, 12_000, region.address()).encode())
        .collect();
    say(&near, &requests).await;
    near.shutdown_write();
    let mut answered = 0;
    loop {
        let mut bytes = vec![0; 1 << 20];
        let got = std::future::poll_fn(|cx| near.poll_recv(cx, &mut [crate::io::raw::RecvSegment::bytes(&mut bytes)]));
        match got.await.unwrap() {
            0 => break,
            count => answered += count,
        }
    }
    assert_eq!(answered, 40 * 12_000);
}

#[tokio::test]
async fn an_endpoint_that_closes_ends_what_its_peers_have_outstanding() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let initiator = endpoint_with(crate::config::Limits::default());
    let peer = initiator
        .connect("127.0.0.1", port, memlane_wire::Mode::Legacy)
        .unwrap();
    let into = crate::region::span::Span::whole(crate::region::memory::Memory::private(100).unwrap());
    let reading = start(&peer, "read", crate::op::Request::Read { addr: 1, into }, None);
    drop(peer);
    let (ticket, _, closed) = channel::ticket("close");
    initiator.close(ticket);
    closed.wait().await.unwrap();
    assert_eq!(reading.ended.wait().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn holds_though_another_endpoint_reads_and_receives_into_the_region() {
    let limits = crate::config::Limits {
        drain_time: 20,
        ..crate::config::Limits::default()
    };
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    for whole_endpoint in [false, true] {
        let (owner, other) = (endpoint_with(limits.clone()), endpoint_with(limits.clone()));
        let region = owner.alloc("scratch", 5 << 20, Access::NONE).unwrap();
        let peer = other.connect("127.0.0.1", port, memlane_wire::Mode::Legacy).unwrap();
        let into = || region.span(0, 5 << 20).unwrap();
        let large = start(&peer, "read", crate::op::Request::Read { addr: 1, into: into() }, None);
        let small = region.span(0, 10).unwrap();
        let small = start(&peer, "read", crate::op::Request::Read { addr: 1, into: small }, None);
        let (ticket, _, receiving) = channel::ticket("recv");
        other.recv(into(), Wanted::default(), ticket);
        let (ticket, _, closed) = channel::ticket("close");
        if whole_endpoint {
            owner.close(ticket);
        } else {
            owner.close_region(&region, ticket);
        }
        closed.wait().await.unwrap();
        assert_eq!(region.in_flight(), 0);
        for ended in [large.ended, small.ended, receiving] {
            assert_eq!(ended.wait().await.unwrap_err().kind(), ErrorKind::Closed);
        }
    }
}
