//! Where connections come from, how often they are tried, and whose messages they carry.

use super::support::*;
use crate::{
    config::Limits,
    context::Context,
    endpoint::{Endpoint, Wanted},
    error::{Error, ErrorKind},
    instance_from, instance_text,
    op::{Done, Request, channel},
    peer::Peer,
    region::{Access, memory::Memory, span::Span},
};
use memlane_wire::Mode;
use std::time::Duration;
use tokio::{net::TcpListener, runtime::Handle};

fn number(endpoint: &Endpoint, room: &str, name: &str) -> u64 {
    let stats: serde_json::Value = serde_json::from_str(&endpoint.stats()).unwrap();
    stats[room][name].as_u64().unwrap()
}

fn dialled(endpoint: &Endpoint) -> u64 {
    number(endpoint, "lanes", "dialled")
}

/// A port that refuses.
async fn dead_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

fn large() -> Request {
    Request::Read {
        addr: 1 << 20,
        into: Span::whole(Memory::private(64 << 20).unwrap()),
    }
}

fn message(tag: u64) -> Request {
    Request::Send {
        tag,
        from: Span::copied(b"hello").unwrap(),
    }
}

#[tokio::test]
async fn a_peer_that_is_out_of_reach_is_dialled_by_one_lane_for_all() {
    let initiator = endpoint_with(Limits {
        lanes_per_peer: 8,
        ..Limits::default()
    });
    let peer = initiator.connect("127.0.0.1", dead_port().await, Mode::Native).unwrap();
    for expected in 1..=4 {
        let mut started = vec![start(&peer, "read", Request::Ping, None)];
        if expected > 1 {
            // The first lane, the other seven, and that of messages.
            started.push(start(&peer, "read", large(), None));
            started.push(start(&peer, "send", message(1), None));
        }
        for one in started {
            assert_eq!(one.ended.wait().await.unwrap_err().kind(), ErrorKind::Connect);
        }
        assert_eq!(dialled(&initiator), expected);
    }
}

#[tokio::test]
async fn a_peer_that_comes_back_is_reached_by_the_next_operation() {
    let port = dead_port().await;
    let initiator = endpoint_with(Limits::default());
    let peer = initiator.connect("127.0.0.1", port, Mode::Native).unwrap();
    for _ in 0..6 {
        let failed = start(&peer, "read", Request::Ping, None).ended.wait().await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Connect);
    }
    let target = endpoint_with(Limits::default());
    let (ticket, _, listening) = channel::ticket("listen");
    target.listen("127.0.0.1", port, ticket);
    listening.wait().await.unwrap();
    let reached = start(&peer, "read", Request::Ping, Some(Duration::from_secs(5)));
    assert_eq!(reached.ended.wait().await.unwrap(), Done::Nothing);
    // And nothing is left of the wait: lanes that are opened now do not wait for each other.
    let region = target.alloc("kv", 16 << 20, Access::READ).unwrap();
    assert_eq!(read(&peer, region.address(), 16 << 20).await.unwrap().len(), 16 << 20);
}

#[tokio::test]
async fn an_operation_that_waits_for_the_next_dial_keeps_its_deadline_and_its_cancel() {
    // The handshake fails too when nobody ever speaks: a proxy in front of a peer that is down.
    let initiator = endpoint_with(Limits {
        handshake_timeout: 1,
        ..Limits::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = initiator.connect("127.0.0.1", port, Mode::Native).unwrap();
    for _ in 0..6 {
        let failed = start(&peer, "read", Request::Ping, None).ended.wait().await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Connect);
    }
    // At least a quarter of a second is to be waited by now.
    let late = start(&peer, "read", Request::Ping, Some(Duration::from_millis(1)));
    assert_eq!(late.ended.wait().await.unwrap_err().kind(), ErrorKind::Timeout);
    let cancelled = start(&peer, "send", message(1), None);
    peer.cancel(&cancelled.key);
    assert_eq!(cancelled.ended.wait().await.unwrap_err().kind(), ErrorKind::Aborted);
    assert_eq!(dialled(&initiator), 6);
    // Another peer is not waited for.
    let (other, port) = listening_with(Limits::default()).await;
    let region = other.alloc("kv", 1, Access::READ).unwrap();
    let healthy = initiator.connect("127.0.0.1", port, Mode::Legacy).unwrap();
    read(&healthy, region.address(), 1).await.unwrap();
    let (ticket, _, closed) = channel::ticket("close");
    peer.close(ticket);
    assert_eq!(closed.wait().await.unwrap(), Done::Nothing);
}

async fn ping(peer: &Peer) -> Result<Done, Error> {
    start(peer, "read", Request::Ping, None).ended.wait().await
}

/// Who sent the next message that the peer sends, and from where.
async fn sender(target: &Endpoint, peer: &Peer) -> (Option<String>, String) {
    let receiving = recv(target, 8, None, false);
    send(peer, 1, b"x").await.unwrap();
    let Done::Message(message) = receiving.ended.wait().await.unwrap() else {
        panic!()
    };
    let address = message.from.rsplit_once(':').unwrap().0.to_owned();
    (message.instance.as_ref().map(instance_text), address)
}

fn instance(endpoint: &Endpoint) -> Option<String> {
    let info: serde_json::Value = serde_json::from_str(&endpoint.info()).unwrap();
    info["memlane"]["instance"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn connections_come_from_the_local_address_and_are_shared_by_it() {
    let (target, port) = listening_with(Limits::default()).await;
    let context = Context::on(Handle::current(), Limits::default()).unwrap();
    let mut peers = Vec::new();
    for (from, connections) in [
        (None, 1),
        (Some("127.0.0.2"), 2),
        (Some("127.0.0.3"), 3),
        (Some("127.0.0.2"), 3),
    ] {
        let endpoint = Endpoint::new(context.clone()).unwrap();
        if let Some(from) = from {
            endpoint.set_local_address(from.parse().unwrap());
        }
        let peer = endpoint.connect("127.0.0.1", port, Mode::Native).unwrap();
        ping(&peer).await.unwrap();
        assert_eq!(number(&target, "connections", "accepted"), connections, "{from:?}");
        peers.push((endpoint, peer, from.unwrap_or("127.0.0.1")));
    }
    for (_endpoint, peer, from) in peers {
        assert_eq!(sender(&target, &peer).await.1, from);
    }
}

#[tokio::test]
async fn a_local_address_that_cannot_reach_the_peer_says_so() {
    let (_target, port) = listening_with(Limits::default()).await;
    for (from, why) in [
        ("::1", "the peer has no IPv6 address, and localAddress is ::1"),
        // Reserved for documentation: no machine has it.
        ("192.0.2.1", "from localAddress 192.0.2.1: "),
    ] {
        let endpoint = endpoint_with(Limits::default());
        endpoint.set_local_address(from.parse().unwrap());
        let peer = endpoint.connect("127.0.0.1", port, Mode::Native).unwrap();
        let error = ping(&peer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn each_endpoint_of_a_context_sends_by_a_lane_that_says_who_it_is_and_closes_with_its_last_peer() {
    let (target, port) = listening_with(Limits::default()).await;
    let context = Context::on(Handle::current(), Limits::default()).unwrap();
    let endpoints = [(); 2].map(|()| Endpoint::new(context.clone()).unwrap());
    let connect = |index: usize| endpoints[index].connect("127.0.0.1", port, Mode::Native).unwrap();
    let (first, second, other) = (connect(0), connect(0), connect(1));
    for (peer, index, connections) in [(&first, 0, 2), (&second, 0, 2), (&other, 1, 3)] {
        ping(peer).await.unwrap();
        assert_eq!(sender(&target, peer).await.0, instance(&endpoints[index]));
        assert_eq!(number(&target, "connections", "accepted"), connections);
    }
    let legacy = endpoints[0].connect("127.0.0.1", port, Mode::Legacy).unwrap();
    assert_eq!(sender(&target, &legacy).await.0, None);

    let closed = async |peer: &Peer| {
        let (ticket, _, closed) = channel::ticket("close");
        peer.close(ticket);
        closed.wait().await.unwrap();
    };
    closed(&legacy).await;
    closed(&first).await;
    // The other peer of the same endpoint, and the other endpoint, send by the connections that they had.
    for (peer, index) in [(&second, 0), (&other, 1)] {
        assert_eq!(sender(&target, peer).await.0, instance(&endpoints[index]));
    }
    assert_eq!(number(&target, "connections", "accepted"), 4);
    closed(&second).await;
    let ended = async {
        while number(&target, "connections", "open") != 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    assert_eq!(sender(&target, &other).await.0, instance(&endpoints[1]));
    assert_eq!(number(&target, "connections", "accepted"), 4);
}

#[tokio::test]
async fn a_receive_from_a_peer_takes_what_that_endpoint_sends_and_nothing_else() {
    let (one, one_port) = listening_with(Limits::default()).await;
    let (two, two_port) = listening_with(Limits::default()).await;
    let theirs = two.connect("127.0.0.1", one_port, Mode::Native).unwrap();
    let stranger = endpoint_with(Limits::default());
    let strangers = stranger.connect("127.0.0.1", one_port, Mode::Native).unwrap();
    let peer = one.connect("127.0.0.1", two_port, Mode::Native).unwrap();
    one.identify(&peer, instance_from(&instance(&two).unwrap()).unwrap());
    let (ticket, _, received) = channel::ticket("recv");
    let wanted = Wanted {
        from: Some(&peer),
        ..Wanted::default()
    };
    one.recv(Span::whole(Memory::private(8).unwrap()), wanted, ticket);
    let waiting = start(&strangers, "send", message(1), None);
    send(&theirs, 2, b"x").await.unwrap();
    let Done::Message(got) = received.wait().await.unwrap() else {
        panic!()
    };
    assert_eq!(got.tag, 2);
    let any = recv(&one, 8, None, false);
    assert!(matches!(any.ended.wait().await.unwrap(), Done::Message(message) if message.tag == 1));
    assert_eq!(waiting.ended.wait().await.unwrap(), Done::Bytes(5));
}
