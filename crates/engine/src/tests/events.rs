//! Who is told that a peer came or went, and why.

use super::support::*;
use crate::{
    config::Limits,
    endpoint::Endpoint,
    events::{Event, MOST_WAITING},
    op::channel,
};
use memlane_wire::{Mode, Preface};
use std::{collections::VecDeque, net::SocketAddr, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The events of one endpoint, as lines.
struct Watch<'a> {
    endpoint: &'a Endpoint,
    told: VecDeque<String>,
    ended: channel::Ended,
}

impl<'a> Watch<'a> {
    fn start(endpoint: &'a Endpoint) -> Self {
        let (ticket, _, ended) = channel::ticket("events");
        endpoint.events().watch(ticket);
        Self {
            endpoint,
            told: VecDeque::new(),
            ended,
        }
    }

    /// The next line; `None` when there will be no more.
    async fn next(&mut self) -> Option<String> {
        while self.told.is_empty() {
            let (ticket, _, ended) = channel::ticket("events");
            let earlier = std::mem::replace(&mut self.ended, ended);
            let over = tokio::time::timeout(Duration::from_secs(10), earlier.wait())
                .await
                .expect("nothing happened")
                .is_err();
            self.told.extend(self.endpoint.events().take().0.iter().map(line));
            if over {
                break;
            }
            self.endpoint.events().watch(ticket);
        }
        self.told.pop_front()
    }
}

fn line(event: &Event) -> String {
    match event {
        Event::Peer(who) => format!("+{} {:?}", who.side.name(), who.mode),
        Event::Disconnect(who, why) => format!("-{} {}", who.side.name(), why.name()),
        Event::Error(error) => error.kind().code().to_owned(),
    }
}

async fn dialled(port: u16) -> tokio::net::TcpStream {
    tokio::net::TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port)))
        .await
        .unwrap()
}

fn preface() -> [u8; Preface::LEN] {
    crate::random::preface([7; 16]).unwrap().encode()
}

/// What a stranger does once it is connected, and the lines that come of it.
async fn told_of(limits: Limits, first: &[u8], leave: impl AsyncFnOnce(tokio::net::TcpStream)) -> Vec<String> {
    let (target, port) = listening_with(limits).await;
    let mut watch = Watch::start(&target);
    let mut stranger = dialled(port).await;
    stranger.write_all(first).await.unwrap();
    let mut told = Vec::new();
    told.extend(watch.next().await);
    leave(stranger).await;
    while !told.last().unwrap().starts_with('-') {
        told.extend(watch.next().await);
    }
    told
}

#[tokio::test]
async fn a_disconnect_says_why() {
    let limits = Limits::default;
    // With bytes unread a close is a reset.
    let polite = async |mut stranger: tokio::net::TcpStream| {
        stranger.read_exact(&mut [0; Preface::LEN]).await.unwrap();
    };
    let drop_it = async |stranger: tokio::net::TcpStream| drop(stranger);
    assert_eq!(
        told_of(limits(), &preface(), polite).await,
        ["+inbound Native", "-inbound closed"]
    );
    assert_eq!(
        told_of(limits(), &[1; 8], drop_it).await,
        ["+inbound Legacy", "-inbound closed"]
    );

    let reset = async |stranger: tokio::net::TcpStream| stranger.set_zero_linger().unwrap();
    assert_eq!(
        told_of(limits(), &preface(), reset).await,
        ["+inbound Native", "-inbound reset"]
    );

    let nonsense = async |mut stranger: tokio::net::TcpStream| {
        stranger.write_all(&[255; 17]).await.unwrap();
        let _ = stranger.read_to_end(&mut Vec::new()).await;
    };
    assert_eq!(
        told_of(limits(), &preface(), nonsense).await,
        ["+inbound Native", "ERR_PROTOCOL", "-inbound protocol"]
    );

    let stay = async |mut stranger: tokio::net::TcpStream| {
        let _ = stranger.read_to_end(&mut Vec::new()).await;
    };
    let mut hasty = limits();
    hasty.set("headerTimeoutMs", 1).unwrap();
    assert_eq!(
        told_of(hasty, &[1; 8], stay).await,
        ["+inbound Legacy", "-inbound timeout"]
    );

    // A READ of an address that is nobody's.
    let mut request = [0; 17];
    (request[0], request[16]) = (1, 1);
    assert_eq!(
        told_of(limits(), &request, stay).await,
        ["+inbound Legacy", "-inbound refused"]
    );
}

#[tokio::test]
async fn both_sides_are_told_and_closing_tells_the_rest_before_it_is_over() {
    for mode in [Mode::Native, Mode::Legacy] {
        let (target, initiator, peer) = pair(mode).await;
        let (mut theirs, mut ours) = (Watch::start(&target), Watch::start(&initiator));
        let (ticket, _, pinged) = channel::ticket("ping");
        peer.submit(crate::op::Operation {
            ticket,
            request: crate::op::Request::Ping,
            timeout: None,
        });
        pinged.wait().await.unwrap();
        assert_eq!(ours.next().await.unwrap(), format!("+outbound {mode:?}"));
        if mode == Mode::Native {
            assert_eq!(theirs.next().await.unwrap(), "+inbound Native");
        }
        let (ticket, _, closed) = channel::ticket("close");
        target.close(ticket);
        closed.wait().await.unwrap();
        if mode == Mode::Native {
            assert_eq!(theirs.next().await.unwrap(), "-inbound local");
        }
        assert_eq!(theirs.next().await, None);
        assert_eq!(ours.next().await.unwrap(), "-outbound closed");
        let (ticket, _, closed) = channel::ticket("close");
        initiator.close(ticket);
        closed.wait().await.unwrap();
        assert_eq!(ours.next().await, None);
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_told_as_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let initiator = endpoint_with(Limits::default());
    let mut watch = Watch::start(&initiator);
    let port = listener.local_addr().unwrap().port();
    let peer = initiator.connect("127.0.0.1", port, Mode::Native).unwrap();
    let pinged = start(&peer, "ping", crate::op::Request::Ping, None);
    let (mut accepted, _) = listener.accept().await.unwrap();
    accepted.read_exact(&mut [0; Preface::LEN]).await.unwrap();
    accepted.write_all(&preface()).await.unwrap();
    accepted.read_exact(&mut [0; 17]).await.unwrap();
    accepted.write_all(&[0; 8]).await.unwrap();
    pinged.ended.wait().await.unwrap();
    accepted.write_all(&[0; 8]).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), "+outbound Native");
    assert_eq!(watch.next().await.unwrap(), "ERR_PROTOCOL");
    assert_eq!(watch.next().await.unwrap(), "-outbound protocol");
}

#[tokio::test]
async fn more_connections_than_events_have_room_for_are_counted_to_the_last() {
    let mut limits = Limits::default();
    limits.set("maxConnectionsPerSource", 1000).unwrap();
    let (target, port) = listening_with(limits).await;
    let watch = Watch::start(&target);
    let all = 3 * MOST_WAITING;
    for _ in 0..all {
        let mut stranger = dialled(port).await;
        stranger.write_all(&[1]).await.unwrap();
    }
    let (ticket, _, closed) = channel::ticket("close");
    target.close(ticket);
    closed.wait().await.unwrap();
    let (kept, lost) = target.events().take();
    assert_eq!(kept.len(), MOST_WAITING);
    // Whoever came has gone again.
    assert_eq!((kept.len() as u64 + lost) % 2, 0);
    assert!(lost > MOST_WAITING as u64, "{lost}");
    drop(watch);
}
