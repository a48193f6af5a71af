//! Endpoints, operations and patterns for tests.

use crate::{
    config::Limits,
    context::Context,
    endpoint::{Endpoint, Wanted},
    error::Error,
    op::{CompletionSink, Done, Operation, OperationKey, Request, Ticket, channel},
    peer::Peer,
    region::{memory::Memory, span::Span},
};
use memlane_wire::Mode;
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

pub(crate) fn endpoint_with(limits: Limits) -> Endpoint {
    Endpoint::new(Context::on(Handle::current(), limits).unwrap()).unwrap()
}

/// A listening endpoint and its port.
pub(crate) async fn listening_with(limits: Limits) -> (Endpoint, u16) {
    let endpoint = endpoint_with(limits);
    let (ticket, _, ended) = channel::ticket("listen");
    endpoint.listen("127.0.0.1", 0, ticket);
    ended.wait().await.unwrap();
    let info: serde_json::Value = serde_json::from_str(&endpoint.info()).unwrap();
    let port = info["port"].as_u64().unwrap() as u16;
    (endpoint, port)
}

/// Two endpoints, the first listening, and the second's view of it.
pub(crate) async fn pair(mode: Mode) -> (Endpoint, Endpoint, Arc<Peer>) {
    let (target, port) = listening_with(Limits::default()).await;
    let initiator = endpoint_with(Limits::default());
    let peer = initiator.connect("127.0.0.1", port, mode).unwrap();
    (target, initiator, peer)
}

pub(crate) struct Started {
    pub(crate) ended: channel::Ended,
    pub(crate) key: OperationKey,
}

pub(crate) fn start(peer: &Peer, name: &'static str, request: Request, timeout: Option<Duration>) -> Started {
    let (sink, ended) = channel::once();
    peer.submit(Operation {
        ticket: Ticket::new(peer.issuer(Arc::clone(&sink)), 0, name),
        request,
        timeout,
    });
    Started {
        ended,
        key: OperationKey::new(sink, 0),
    }
}

const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

pub(crate) async fn read(peer: &Peer, addr: u64, len: usize) -> Result<Vec<u8>, Error> {
    let into = Span::whole(Memory::private(len).unwrap());
    let started = start(
        peer,
        "read",
        Request::Read {
            addr,
            into: into.clone(),
        },
        PATIENCE,
    );
    let done = started.ended.wait().await?;
    assert_eq!(done, Done::Bytes(len as u64));
    Ok(bytes_of(&into))
}

pub(crate) async fn write(peer: &Peer, addr: u64, bytes: &[u8]) -> Result<Done, Error> {
    let from = Span::copied(bytes).unwrap();
    start(peer, "write", Request::Write { addr, from }, PATIENCE)
        .ended
        .wait()
        .await
}

pub(crate) async fn send(peer: &Peer, tag: u64, bytes: &[u8]) -> Result<Done, Error> {
    let from = Span::copied(bytes).unwrap();
    start(peer, "send", Request::Send { tag, from }, PATIENCE)
        .ended
        .wait()
        .await
}

pub(crate) struct Receiving {
    pub(crate) ended: channel::Ended,
    pub(crate) into: Span,
    pub(crate) key: OperationKey,
}

pub(crate) fn recv(endpoint: &Endpoint, room: usize, tag: Option<u64>, exact: bool) -> Receiving {
    let into = Span::whole(Memory::private(room).unwrap());
    let (ticket, sink, ended) = channel::ticket("recv");
    let from = None;
    endpoint.recv(into.clone(), Wanted { tag, from, exact }, ticket);
    let sink: Arc<dyn CompletionSink> = sink;
    Receiving {
        ended,
        into,
        key: OperationKey::new(sink, 0),
    }
}

pub(crate) fn bytes_of(span: &Span) -> Vec<u8> {
    let mut bytes = vec![0; span.len()];
    span.copy_out(0, &mut bytes).unwrap();
    bytes
}

/// Bytes that differ at every place and from seed to seed.
pub(crate) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
