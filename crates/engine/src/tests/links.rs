//! Lanes that peers share, large operations that lanes share, and lists.

use super::support::*;
use crate::{
    config::Limits,
    context::Context,
    endpoint::Endpoint,
    error::ErrorKind,
    op::{Direction, Done, List, Request, Ticket, channel},
    peer::Peer,
    random::withheld,
    region::{Access, Region, memory::Memory, span::Span},
};
use memlane_wire::Mode;
use std::sync::Arc;
use tokio::runtime::Handle;

fn private(len: usize) -> Span {
    Span::whole(Memory::private(len).unwrap())
}

/// A remote address, and the local range.
struct Entry {
    addr: u64,
    span: Span,
}

async fn list(peer: &Peer, direction: Direction, entries: Vec<Entry>) -> Result<Done, crate::error::Error> {
    let (sink, ended) = channel::once();
    let mut list = List::for_entries(entries.len());
    for Entry { addr, span } in &entries {
        let (memory, at) = span.place();
        assert!(list.push(*addr, memory, at, span.len()));
    }
    peer.submit_list(Ticket::new(peer.issuer(sink), 0, "list"), direction, list, None);
    ended.wait().await
}

fn entry(region: &Region, at: usize, span: Span) -> Entry {
    Entry {
        addr: region.address() + at as u64,
        span,
    }
}

fn accepted(endpoint: &Endpoint) -> u64 {
    let stats: serde_json::Value = serde_json::from_str(&endpoint.stats()).unwrap();
    stats["connections"]["accepted"].as_u64().unwrap()
}

#[tokio::test]
async fn a_list_of_small_and_large_entries_is_one_operation() {
    for mode in [Mode::Native, Mode::Legacy] {
        let (target, _initiator, peer) = pair(mode).await;
        let region = target.alloc("kv", 8 << 20, Access::READ_WRITE).unwrap();
        let lengths = [1, 64, 3 << 20, 8193, (1 << 20) + 7, 5];
        let mut at = 0;
        let mut writes = Vec::new();
        let mut reads = Vec::new();
        let mut into = Vec::new();
        for (seed, &len) in lengths.iter().enumerate() {
            writes.push(entry(&region, at, Span::copied(&pattern(len, seed as u64)).unwrap()));
            into.push(private(len));
            reads.push(entry(&region, at, into[seed].clone()));
            at += len;
        }
        assert_eq!(
            list(&peer, Direction::Write, writes).await.unwrap(),
            Done::Bytes(at as u64)
        );
        assert_eq!(
            list(&peer, Direction::Read, reads).await.unwrap(),
            Done::Bytes(at as u64)
        );
        for (seed, span) in into.iter().enumerate() {
            assert!(
                bytes_of(span) == pattern(lengths[seed], seed as u64),
                "entry {seed}, {mode:?}"
            );
        }
        assert_eq!(list(&peer, Direction::Read, Vec::new()).await.unwrap(), Done::Bytes(0));
        let stats: serde_json::Value = serde_json::from_str(&peer.stats()).unwrap();
        assert_eq!(stats["bytes"]["read"], at);
        assert_eq!(stats["bytes"]["written"], at);
    }
}

#[tokio::test]
async fn a_list_fails_with_the_entry_that_failed_and_the_lanes_go_on() {
    let (target, _initiator, peer) = pair(Mode::Native).await;
    let region = target.alloc("kv", 4 << 20, Access::READ).unwrap();
    let mut entries: Vec<_> = (0..50).map(|index| entry(&region, index * 64, private(64))).collect();
    entries[33] = entry(&region, (4 << 20) - 63, private(64));
    let error = list(&peer, Direction::Read, entries).await.unwrap_err();
    assert_eq!((error.kind(), error.failed_entry()), (ErrorKind::OutOfRange, Some(33)));
    let entries = vec![entry(&region, 0, private(64)), entry(&region, 5, private(4 << 20))];
    let error = list(&peer, Direction::Read, entries).await.unwrap_err();
    assert_eq!((error.kind(), error.failed_entry()), (ErrorKind::OutOfRange, Some(1)));
    assert_eq!(
        list(&peer, Direction::Read, vec![entry(&region, 0, private(9))])
            .await
            .unwrap(),
        Done::Bytes(9)
    );
}

#[tokio::test]
async fn endpoints_of_a_context_share_their_lanes_to_a_peer() {
    let (target, port) = listening_with(Limits::default()).await;
    let region = target.alloc("kv", 100, Access::READ).unwrap();
    let context = Context::on(Handle::current(), Limits::default()).unwrap();
    let mut peers = Vec::new();
    for _ in 0..20 {
        let endpoint = Endpoint::new(context.clone()).unwrap();
        let peer = endpoint.connect("127.0.0.1", port, Mode::Native).unwrap();
        read(&peer, region.address(), 100).await.unwrap();
        peers.push((endpoint, peer));
    }
    assert_eq!(accepted(&target), 1);
    // Other contexts have their own.
    let other = endpoint_with(Limits::default());
    let peer = other.connect("127.0.0.1", port, Mode::Native).unwrap();
    read(&peer, region.address(), 100).await.unwrap();
    assert_eq!(accepted(&target), 2);
}

#[tokio::test]
async fn closing_a_peer_ends_its_own_operations_and_nobody_elses() {
    let (target, port) = listening_with(Limits::default()).await;
    let context = Context::on(Handle::current(), Limits::default()).unwrap();
    let endpoint = Endpoint::new(context.clone()).unwrap();
    let (mine, theirs) = (
        endpoint.connect("127.0.0.1", port, Mode::Native).unwrap(),
        endpoint.connect("127.0.0.1", port, Mode::Native).unwrap(),
    );
    // Messages that nobody receives yet: both are outstanding on the lane that both peers use.
    let send = |peer: &Peer, tag| {
        let request = Request::Send {
            tag,
            from: Span::copied(b"hello").unwrap(),
        };
        start(peer, "send", request, None)
    };
    let (first, second) = (send(&mine, 1), send(&theirs, 2));
    let (ticket, _, closed) = channel::ticket("close");
    mine.close(ticket);
    closed.wait().await.unwrap();
    assert_eq!(first.ended.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    let receiving = recv(&target, 10, Some(2), false);
    assert!(matches!(receiving.ended.wait().await.unwrap(), Done::Message(_)));
    assert_eq!(second.ended.wait().await.unwrap(), Done::Bytes(5));
    assert_eq!(read(&mine, 0, 1).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_large_operation_uses_the_lanes_that_it_may_and_small_ones_have_their_own() {
    for (lanes, expected) in [(1, 1), (2, 2), (4, 4), (16, 5)] {
        let (target, port) = listening_with(Limits::default()).await;
        let region = target.alloc("kv", 16 << 20, Access::READ_WRITE).unwrap();
        let initiator = endpoint_with(Limits {
            lanes_per_peer: lanes,
            ..Limits::default()
        });
        let peer = initiator.connect("127.0.0.1", port, Mode::Native).unwrap();
        let bytes = pattern(16 << 20, lanes);
        write(&peer, region.address(), &bytes).await.unwrap();
        assert!(read(&peer, region.address(), 16 << 20).await.unwrap() == bytes);
        read(&peer, region.address(), 1).await.unwrap();
        assert_eq!(accepted(&target), expected, "{lanes} lanes");
    }
}

#[tokio::test]
async fn a_large_operation_ends_with_its_deadline_its_cancel_and_a_target_that_is_not_there() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let initiator = endpoint_with(Limits::default());
    let peer = initiator.connect("127.0.0.1", port, Mode::Legacy).unwrap();
    let request = || Request::Read {
        addr: 1 << 20,
        into: private(64 << 20),
    };
    let late = start(&peer, "read", request(), Some(std::time::Duration::from_millis(20)));
    assert_eq!(late.ended.wait().await.unwrap_err().kind(), ErrorKind::Timeout);
    let cancelled = start(&peer, "read", request(), None);
    peer.cancel(&cancelled.key);
    assert_eq!(cancelled.ended.wait().await.unwrap_err().kind(), ErrorKind::Aborted);
    drop(silent);
    let (gone, port) = listening_with(Limits::default()).await;
    let (ticket, _, closed) = channel::ticket("close");
    gone.close(ticket);
    closed.wait().await.unwrap();
    let peer: Arc<Peer> = initiator.connect("127.0.0.1", port, Mode::Native).unwrap();
    for _ in 0..3 {
        let refused = start(&peer, "read", request(), None);
        assert_eq!(refused.ended.wait().await.unwrap_err().kind(), ErrorKind::Connect);
    }
}

#[tokio::test]
async fn a_notification_comes_behind_the_write_that_it_tells_of() {
    let (target, _initiator, peer) = pair(Mode::Native).await;
    let region = target.alloc("kv", 4 << 20, Access::READ_WRITE).unwrap();
    for len in [1, 3 << 20] {
        let receiving = recv(&target, 100, Some(77), false);
        let (sink, ended) = channel::once();
        let ticket = Ticket::new(peer.issuer(sink), 0, "write");
        let bytes = pattern(len, 5);
        peer.write_and_notify(ticket, region.address() + 9, Span::copied(&bytes).unwrap(), 77, None);
        let Done::Message(message) = receiving.ended.wait().await.unwrap() else {
            panic!()
        };
        // The write is there when its notification is.
        let mut written = vec![0; len];
        region.memory().copy_out(9, &mut written).unwrap();
        assert!(written == bytes);
        assert_eq!((message.tag, message.bytes), (77, 16));
        let told = bytes_of(&receiving.into);
        assert_eq!(told[..8], (region.address() + 9).to_le_bytes());
        assert_eq!(told[8..16], (len as u64).to_le_bytes());
        assert_eq!(ended.wait().await.unwrap(), Done::Bytes(len as u64));
    }
    // A write that is refused tells nobody.
    let (sink, ended) = channel::once();
    let ticket = Ticket::new(peer.issuer(sink), 0, "write");
    peer.write_and_notify(ticket, 1, Span::copied(b"x").unwrap(), 78, None);
    assert_eq!(ended.wait().await.unwrap_err().kind(), ErrorKind::RegionNotFound);
    let receiving = recv(&target, 100, Some(78), false);
    assert!(target.cancel_recv(&receiving.key));
}

fn reading(peer: &Peer, region: &Region, len: usize) -> Started {
    let request = Request::Read {
        addr: region.address(),
        into: private(len),
    };
    start(peer, "read", request, None)
}

#[tokio::test]
async fn an_operation_whose_lane_cannot_be_opened_ends_with_why_and_alone() {
    let (target, _initiator, peer) = pair(Mode::Native).await;
    let region = target.alloc("kv", 3 << 20, Access::READ).unwrap();
    let large = reading(&peer, &region, 3 << 20);
    let refused = withheld::during(|| {
        let from = Span::copied(b"hello").unwrap();
        let send = start(&peer, "send", Request::Send { tag: 1, from }, None);
        [reading(&peer, &region, 1), send]
    });
    for refused in refused {
        assert_eq!(refused.ended.wait().await.unwrap_err().kind(), ErrorKind::Internal);
    }
    assert_eq!(large.ended.wait().await.unwrap(), Done::Bytes(3 << 20));
}

#[tokio::test]
async fn a_large_operation_whose_lanes_cannot_be_opened_ends_with_why_unless_there_is_one() {
    let (target, port) = listening_with(Limits::default()).await;
    let initiator = endpoint_with(Limits {
        lanes_per_peer: 5,
        ..Limits::default()
    });
    let peer = initiator.connect("127.0.0.1", port, Mode::Native).unwrap();
    let region = target.alloc("kv", 16 << 20, Access::READ).unwrap();
    let refused = withheld::during(|| reading(&peer, &region, 16 << 20));
    assert_eq!(refused.ended.wait().await.unwrap_err().kind(), ErrorKind::Internal);
    // Worth one lane, then four of which three are not to be had.
    let first = reading(&peer, &region, 2 << 20);
    let second = withheld::during(|| reading(&peer, &region, 16 << 20));
    assert_eq!(first.ended.wait().await.unwrap(), Done::Bytes(2 << 20));
    assert_eq!(second.ended.wait().await.unwrap(), Done::Bytes(16 << 20));
    assert_eq!(accepted(&target), 1);
}
