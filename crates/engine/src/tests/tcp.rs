//! Two endpoints over real sockets.

use super::support::*;
use crate::{
    error::ErrorKind,
    op::{Done, channel},
    region::Access,
};
use memlane_wire::Mode;

#[tokio::test]
async fn what_is_written_is_there_and_what_is_there_is_read() {
    for mode in [Mode::Native, Mode::Legacy] {
        let (target, _initiator, peer) = pair(mode).await;
        let region = target.alloc("kv", 5 << 20, Access::READ_WRITE).unwrap();
        for (seed, len) in [1, 17, 4096, 8193, (1 << 20) - 1, (1 << 20) + 1, 5 << 20]
            .into_iter()
            .enumerate()
        {
            let bytes = pattern(len, seed as u64);
            let addr = region.address() + ((5 << 20) - len) as u64;
            assert_eq!(write(&peer, addr, &bytes).await.unwrap(), Done::Bytes(len as u64));
            assert!(read(&peer, addr, len).await.unwrap() == bytes, "{len} bytes, {mode:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_has_its_code_and_the_lane_goes_on() {
    let (target, _initiator, peer) = pair(Mode::Native).await;
    let region = target.alloc("weights", 1000, Access::READ).unwrap();
    let base = region.address();
    let kind = |result: Result<Vec<u8>, crate::error::Error>| result.unwrap_err().kind();
    assert_eq!(kind(read(&peer, base - 1, 1).await), ErrorKind::RegionNotFound);
    assert_eq!(kind(read(&peer, base, 1001).await), ErrorKind::OutOfRange);
    let refused = write(&peer, base, &[0; 100_000]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OutOfRange);
    let refused = write(&peer, base, &[0; 1000]).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.operation()),
        (ErrorKind::Access, Some("write"))
    );
    assert!(refused.peer().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(read(&peer, base, 1000).await.unwrap(), vec![0; 1000]);
    assert!(initiator_dialled(&_initiator) == 1, "refusals cost no connection");
}

fn initiator_dialled(endpoint: &crate::endpoint::Endpoint) -> u64 {
    let stats: serde_json::Value = serde_json::from_str(&endpoint.stats()).unwrap();
    stats["lanes"]["dialled"].as_u64().unwrap()
}

#[tokio::test]
async fn messages_reach_receives_posted_before_and_after_them() {
    let (target, _initiator, peer) = pair(Mode::Native).await;
    let first = recv(&target, 100, None, false);
    assert_eq!(send(&peer, 7, b"before").await.unwrap(), Done::Bytes(6));
    let Done::Message(message) = first.ended.wait().await.unwrap() else {
        panic!()
    };
    assert_eq!((message.bytes, message.message_bytes, message.tag), (6, 6, 7));
    assert_eq!(&bytes_of(&first.into)[..6], b"before");

    let sending = start(
        &peer,
        "send",
        crate::op::Request::Send {
            tag: 9,
            from: crate::region::span::Span::copied(b"after").unwrap(),
        },
        None,
    );
    let second = recv(&target, 3, Some(9), false);
    let Done::Message(message) = second.ended.wait().await.unwrap() else {
        panic!()
    };
    assert_eq!((message.bytes, message.message_bytes, message.tag), (3, 5, 9));
    assert_eq!(bytes_of(&second.into), b"aft");
    assert_eq!(sending.ended.wait().await.unwrap_err().kind(), ErrorKind::MessageSize);
}

#[tokio::test]
async fn nobody_listening_is_a_connect_error_and_closing_ends_what_is_open() {
    let (target, port) = listening_with(crate::config::Limits::default()).await;
    let (ticket, _, closed) = channel::ticket("close");
    target.close(ticket);
    closed.wait().await.unwrap();
    let initiator = endpoint_with(crate::config::Limits::default());
    let peer = initiator.connect("127.0.0.1", port, Mode::Native).unwrap();
    assert_eq!(read(&peer, 1, 1).await.unwrap_err().kind(), ErrorKind::Connect);
    let waiting = recv(&initiator, 1, None, false);
    let (ticket, _, closed) = channel::ticket("close");
    initiator.close(ticket);
    closed.wait().await.unwrap();
    assert_eq!(waiting.ended.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(read(&peer, 1, 1).await.unwrap_err().kind(), ErrorKind::Closed);
}
