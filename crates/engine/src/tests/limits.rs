//! Limits of time that only a clock of our own reaches at will.

use super::wired::*;
use crate::{
    backoff::Backoff,
    config::Limits,
    error::ErrorKind,
    io::{
        Transport,
        pipe::{Behaviour, Pipe, pipe},
        raw::SendSegment,
    },
    lane::{Command, Dialler, Lane, LaneParts},
    mailbox::Mailbox,
    op::{Operation, Request, channel},
    region::{Access, span::Span},
    roster::Destined,
    session::Session,
    stats::Counted,
    target::Target,
};
use memlane_wire::{Header, Mode, Opcode};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

fn millis(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// Whether it took the limit's time, and at most a second more.
#[track_caller]
fn kept(began: Instant, limit: Duration) {
    let took = began.elapsed();
    assert!(
        took >= limit && took <= limit + Duration::from_secs(1),
        "{took:?} of {limit:?}"
    );
}

/// A target with a region of 100 bytes, and where that begins.
fn target_with_region() -> (Arc<Target>, u64) {
    let target = Target::new(Arc::default()).unwrap();
    let region = target.registry.alloc("kv", 100, Access::WRITE).unwrap();
    (target, region.address())
}

/// A session whose peer says these bytes and then nothing; resolves when the session has ended.
async fn session_after(target: Arc<Target>, bytes: Vec<u8>) -> Arc<Target> {
    let (near, far) = pipe(Behaviour::default(), Behaviour::default());
    let admission = target.admit("127.0.0.1:9".parse().unwrap()).unwrap();
    let session = tokio::spawn(Session::new(far, Arc::clone(&target), admission, "127.0.0.1:9".into()));
    std::future::poll_fn(|cx| near.poll_send(cx, &[SendSegment::bytes(&bytes)]))
        .await
        .unwrap();
    session.await.unwrap();
    drop(near);
    target
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_gets_nowhere_ends_with_the_connect_timeout() {
    let target = Target::new(Arc::default()).unwrap();
    let commands = Arc::new(Mailbox::default());
    let backoff = Arc::new(Backoff::default());
    let parts = LaneParts {
        commands: Arc::clone(&commands),
        mode: Mode::Native,
        preface: target.preface().unwrap(),
        security: Arc::default(),
        bulk: None,
        turn: backoff.turn(),
        backoff,
        limits: Arc::clone(&target.limits),
        stats: Arc::default(),
        destined: Destined::to("127.0.0.1:9".into()),
    };
    let dialler: Dialler<Pipe> = Box::new(|| Box::pin(std::future::pending()));
    tokio::spawn(Lane::new(parts, dialler));
    let (ticket, _, ended) = channel::ticket("ping");
    let operation = Operation {
        ticket,
        request: Request::Ping,
        timeout: None,
    };
    commands.push(Command::Submit(operation)).unwrap();
    let began = Instant::now();
    let error = ended.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("connect timeout"), "{error}");
    kept(began, millis(Limits::default().connect_timeout));
}

#[tokio::test(start_paused = true)]
async fn a_lane_whose_peer_moves_no_byte_ends_with_the_progress_timeout() {
    let (stuck, _far) = stuck(1000);
    let from = Span::copied(&[1; 100_000]).unwrap();
    let began = Instant::now();
    let write = stuck.start(Request::Write { addr: 1, from }, Duration::from_secs(1000));
    let error = write.ended.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("progress timeout"), "{error}");
    kept(began, millis(Limits::default().progress_timeout));
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_the_time_of_what_it_waits_for() {
    let limits = Limits::default();
    let (target, address) = target_with_region();
    let write = Header::new(Opcode::Write, 100, address).encode();
    // Ten seconds more than an initiator's, which is the one to close.
    let idle = millis(limits.idle_timeout) + Duration::from_secs(10);
    let complete = Header::new(Opcode::Send, 0, 0).encode();
    let cases: [(&str, Vec<u8>, Duration, u64, u64); 4] = [
        ("half a magic", b"meml".to_vec(), millis(limits.handshake_timeout), 1, 0),
        (
            "a request and half a header",
            [&complete[..], &write[..9]].concat(),
            millis(limits.header_timeout),
            1,
            0,
        ),
        (
            "a write and half of its body",
            [&write[..], &[1; 50]].concat(),
            millis(limits.progress_timeout),
            1,
            0,
        ),
        ("a request", complete.to_vec(), idle, 0, 1),
    ];
    for (what, bytes, limit, timed_out, evicted) in cases {
        let began = Instant::now();
        let before = target.stats.totals();
        let target = session_after(Arc::clone(&target), bytes).await;
        let took = began.elapsed();
        assert!(
            took >= limit && took <= limit + Duration::from_secs(1),
            "{what}: {took:?} of {limit:?}"
        );
        let totals = target.stats.totals();
        assert_eq!(
            (
                totals.operations.timed_out - before.operations.timed_out,
                totals.connections.evicted - before.connections.evicted,
                totals.connections.open
            ),
            (timed_out, evicted, 0),
            "{what}"
        );
    }
}
