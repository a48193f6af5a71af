//! What stats tell of peers, regions, endpoints and contexts, while they are there and afterwards.

use super::support::*;
use crate::{
    config::Limits,
    context::Context,
    endpoint::Endpoint,
    error::ErrorKind,
    op::{Request, channel},
    peer::Peer,
    region::{Access, span::Span},
};
use memlane_wire::Mode;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

fn told(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Whether what was told has at least these members.
fn has(told: &Value, expected: &Value) -> bool {
    match (told, expected) {
        (Value::Object(told), Value::Object(expected)) => expected
            .iter()
            .all(|(key, expected)| told.get(key).is_some_and(|told| has(told, expected))),
        (told, expected) => told == expected,
    }
}

#[track_caller]
fn tells(text: &str, expected: &Value) {
    let told = told(text);
    assert!(has(&told, expected), "{told:#} lacks {expected:#}");
}

async fn close(endpoint: &Endpoint) {
    let (ticket, _, closed) = channel::ticket("close");
    endpoint.close(ticket);
    closed.wait().await.unwrap();
}

async fn close_peer(peer: &Peer) {
    let (ticket, _, closed) = channel::ticket("close");
    peer.close(ticket);
    closed.wait().await.unwrap();
}

#[tokio::test]
async fn each_counts_its_own_and_what_is_larger_is_the_sum() {
    let (target, port) = listening_with(Limits::default()).await;
    let one = target.alloc("one", 4 << 20, Access::READ_WRITE).unwrap();
    let two = target.alloc("two", 100, Access::READ).unwrap();
    let context = Context::on(Handle::current(), Limits::default()).unwrap();
    let initiators = [(); 2].map(|()| Endpoint::new(context.clone()).unwrap());
    let connect = |index: usize| -> Arc<Peer> {
        let endpoint: &Endpoint = &initiators[index];
        endpoint.connect("127.0.0.1", port, Mode::Native).unwrap()
    };
    let (first, second, third) = (connect(0), connect(0), connect(1));
    read(&first, one.address(), 10).await.unwrap();
    read(&second, two.address(), 20).await.unwrap();
    write(&third, one.address(), &[1; 30]).await.unwrap();
    write(&third, two.address(), &[1]).await.unwrap_err();
    // Larger than a piece: one operation here, two requests there.
    read(&third, one.address(), 2 << 20).await.unwrap();

    tells(
        &first.stats(),
        &json!({ "operations": { "reads": 1, "writes": 0, "failed": 0, "inFlight": 0 }, "bytes": { "read": 10 },
            "lanes": { "dialled": 1, "reused": 0, "open": 2 } }),
    );
    tells(
        &second.stats(),
        &json!({ "operations": { "reads": 1 }, "bytes": { "read": 20, "written": 0 },
            "lanes": { "dialled": 0, "reused": 1, "open": 2 } }),
    );
    tells(
        &third.stats(),
        &json!({ "operations": { "reads": 1, "writes": 2, "failed": 1 }, "bytes": { "read": 2 << 20, "written": 30 },
            "lanes": { "dialled": 1, "reused": 2, "open": 2 } }),
    );
    tells(
        &one.figures().stats(),
        &json!({ "operations": { "reads": 3, "writes": 1 }, "bytes": { "served": (2 << 20) + 10, "stored": 30 }, "inFlight": 0 }),
    );
    tells(
        &two.figures().stats(),
        &json!({ "operations": { "reads": 1, "writes": 0 }, "bytes": { "served": 20, "stored": 0 } }),
    );
    tells(
        &target.stats(),
        &json!({ "bytes": { "served": (2 << 20) + 30, "stored": 30 }, "rejected": { "access_denied": 1 },
            "connections": { "accepted": 2, "open": 2 } }),
    );
    tells(
        &initiators[0].stats(),
        &json!({ "operations": { "reads": 2, "writes": 0 }, "bytes": { "read": 30 }, "lanes": { "dialled": 1, "open": 2 } }),
    );
    let all = json!({ "operations": { "reads": 3, "writes": 2, "failed": 1 }, "bytes": { "read": (2 << 20) + 30, "written": 30 },
        "lanes": { "dialled": 2, "reused": 3, "open": 2 }, "endpoints": 2, "peers": 3, "ioThreads": 1,
        "limits": { "maxQueuedBytesPerPeer": 256 << 20 } });
    tells(&context.stats(), &all);
}

#[tokio::test]
async fn the_last_figures_stay_and_sums_keep_what_has_gone() {
    let (target, port) = listening_with(Limits::default()).await;
    let region = target.alloc("kv", 100, Access::READ).unwrap();
    let context = Context::on(Handle::current(), Limits::default()).unwrap();
    let figures = region.figures();
    for round in 1..=3 {
        let endpoint = Endpoint::new(context.clone()).unwrap();
        let peer = endpoint.connect("127.0.0.1", port, Mode::Native).unwrap();
        read(&peer, region.address(), 100).await.unwrap();
        close_peer(&peer).await;
        tells(
            &peer.stats(),
            &json!({ "operations": { "reads": 1 }, "bytes": { "read": 100 }, "lanes": { "open": 0, "dialled": 1 } }),
        );
        drop(peer);
        tells(
            &endpoint.stats(),
            &json!({ "operations": { "reads": 1 }, "bytes": { "read": 100 } }),
        );
        tells(&context.stats(), &json!({ "endpoints": 1, "peers": 0 }));
        close(&endpoint).await;
        tells(&endpoint.stats(), &json!({ "operations": { "reads": 1 } }));
        drop(endpoint);
        tells(
            &context.stats(),
            &json!({ "operations": { "reads": round, "inFlight": 0 }, "lanes": { "dialled": round, "open": 0 }, "endpoints": 0 }),
        );
    }
    let (ticket, _, closed) = channel::ticket("close");
    target.close_region(&region, ticket);
    closed.wait().await.unwrap();
    drop(region);
    tells(
        &figures.stats(),
        &json!({ "operations": { "reads": 3 }, "bytes": { "served": 300 }, "inFlight": 0 }),
    );
    drop(figures);
    tells(&target.stats(), &json!({ "bytes": { "served": 300 } }));
}

#[tokio::test]
async fn what_is_in_flight_goes_down_with_every_end() {
    let (target, initiator, peer) = pair(Mode::Native).await;
    let local = initiator.alloc("local", 8, Access::NONE).unwrap();
    let messages: Vec<_> = (0..5)
        .map(|tag| {
            let from = local.span(0, 8).unwrap();
            start(
                &peer,
                "send",
                Request::Send { tag, from },
                Some(Duration::from_secs(10)),
            )
        })
        .collect();
    tells(&peer.stats(), &json!({ "operations": { "sends": 5, "inFlight": 5 } }));
    tells(&initiator.stats(), &json!({ "operations": { "inFlight": 5 } }));
    let receiving = recv(&target, 8, Some(3), false);
    receiving.ended.wait().await.unwrap();
    peer.cancel(&messages[0].key);
    let mut ends = Vec::new();
    for (tag, message) in messages.into_iter().enumerate() {
        if tag != 0 && tag != 3 {
            ends.push(message.ended);
            continue;
        }
        let end = message.ended.wait().await;
        assert_eq!(end.is_ok(), tag == 3, "{end:?}");
    }
    tells(
        &peer.stats(),
        &json!({ "operations": { "inFlight": 3, "cancelled": 1, "failed": 1 }, "bytes": { "sent": 8 } }),
    );
    close_peer(&peer).await;
    for end in ends {
        assert_eq!(end.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    }
    tells(&peer.stats(), &json!({ "operations": { "inFlight": 0, "failed": 4 } }));
    // What never began is counted all the same, as what it was, or more would fail than there were.
    assert_eq!(read(&peer, 1, 1).await.unwrap_err().kind(), ErrorKind::Closed);
    tells(
        &peer.stats(),
        &json!({ "operations": { "inFlight": 0, "reads": 1, "failed": 5 }, "lanes": { "reused": 4 } }),
    );
}

#[tokio::test]
async fn staged_bytes_are_queued_until_their_memory_is_freed() {
    let (target, port) = listening_with(Limits::default()).await;
    let region = target.alloc("kv", 4 << 20, Access::READ_WRITE).unwrap();
    let initiator = endpoint_with(Limits {
        max_queued_bytes: 1 << 20,
        ..Limits::default()
    });
    let peer = initiator.connect("127.0.0.1", port, Mode::Native).unwrap();
    let other = initiator.connect("127.0.0.1", port, Mode::Native).unwrap();
    let memory = peer.stage(1 << 20).unwrap();
    let span = Span::whole(memory);
    let part = span.slice(0, 10).unwrap();
    drop(span);
    tells(&peer.stats(), &json!({ "queuedBytes": 1 << 20 }));
    tells(&initiator.stats(), &json!({ "queuedBytes": 1 << 20 }));
    let error = peer.stage(1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(
        error.to_string().contains("maxQueuedBytesPerPeer is 1048576"),
        "{error}"
    );
    assert!(other.stage(1).is_ok(), "the limit is each peer's own");
    drop(part);
    tells(&peer.stats(), &json!({ "queuedBytes": 0 }));
    let from = Span::whole(peer.stage(2 << 20).unwrap());
    let addr = region.address();
    let written = start(&peer, "write", Request::Write { addr, from }, None);
    written.ended.wait().await.unwrap();
    tells(
        &peer.stats(),
        &json!({ "queuedBytes": 0, "bytes": { "written": 2 << 20 } }),
    );
}
