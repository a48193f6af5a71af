//! Who gets in with which token, over a pipe; and what those hear who do not.

use super::{support::Started, wired::*};
use crate::{
    auth::{Prefaces, Role, Security, Tokens},
    error::{Error, ErrorKind},
    io::{
        Transport,
        pipe::{Behaviour, pipe},
        raw::{RecvSegment, SendSegment},
    },
    lane::Command,
    op::{Done, Operation, OperationKey, Request, channel},
    region::{memory::Memory, span::Span},
    session::Session,
    stats::Counted,
    target::Target,
};
use memlane_wire::{AuthFrame, Header, Mode, Opcode, Preface};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

pub(super) type List<'a> = &'a [(&'a str, &'a str)];

pub(super) fn security(list: List<'_>) -> Arc<Security> {
    let mut tokens = Tokens::default();
    for (name, secret) in list {
        tokens.add(name, secret.as_bytes()).unwrap();
    }
    Arc::new(Security {
        tokens,
        ..Security::default()
    })
}

/// How a read ends between an initiator and a target with these tokens, and how many the target has turned away.
async fn read_between(ours: List<'_>, theirs: List<'_>, mode: Mode) -> (Result<Done, Error>, u64) {
    let both = [Behaviour::default(), Behaviour::default()];
    let wired = wired_by(mode, both, security(ours), security(theirs));
    let into = Span::whole(Memory::private(64).unwrap());
    let addr = wired.region.address();
    let read = wired.start(Request::Read { addr, into }, Duration::from_secs(1));
    let ended = read.ended.wait().await;
    (ended, wired.target.stats.totals().auth_failures)
}

#[tokio::test(start_paused = true)]
async fn a_peer_gets_in_with_any_token_of_the_target_and_with_none_where_none_is_asked_for() {
    let (rotated, trainer): (List<'_>, List<'_>) = (&[("new", "b"), ("old", "a")], &[("old", "a")]);
    let cases: [(List<'_>, List<'_>); 4] = [
        (&[], &[]),
        (&[("", "t")], &[("", "t")]),
        (trainer, rotated),
        (rotated, rotated),
    ];
    for (ours, theirs) in cases {
        let (ended, failures) = read_between(ours, theirs, Mode::Native).await;
        assert!(
            matches!(ended, Ok(Done::Bytes(64))),
            "{ours:?} to {theirs:?}: {ended:?}"
        );
        assert_eq!(failures, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_token_or_another_one_is_told_so_and_counted() {
    let cases: [(List<'_>, List<'_>, &str, u64); 6] = [
        (&[], &[("", "t")], "asks for a token", 1),
        (&[("", "t")], &[], "has no token", 1),
        (&[("", "t")], &[("", "t\0")], "refused the token", 1),
        (&[("", "t\0")], &[("", "t")], "refused the token", 1),
        (&[("a", "t")], &[("b", "t")], "refused the token", 1),
        (&[("", "t")], &[("b", "t")], "refused the token", 1),
    ];
    for (ours, theirs, says, counted) in cases {
        let (ended, failures) = read_between(ours, theirs, Mode::Native).await;
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{ours:?} to {theirs:?}: {error}");
        assert!(error.to_string().contains(says), "{ours:?} to {theirs:?}: {error}");
        assert_eq!(failures, counted, "{ours:?} to {theirs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_legacy_wire_is_closed_where_there_are_tokens() {
    let (ended, failures) = read_between(&[], &[("", "t")], Mode::Legacy).await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::PeerClosed);
    assert_eq!(failures, 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_a_token_sends_nothing_to_a_peer_on_the_legacy_wire() {
    for theirs in [&[] as List<'_>, &[("", "t")]] {
        let (ended, failures) = read_between(&[("", "t")], theirs, Mode::Legacy).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Auth);
        assert_eq!(failures, 0);
    }
}

/// A read that a lane with these tokens dials for, and the far ends of what it dials in turn.
fn dialling(tokens: List<'_>, count: usize) -> (Started, Vec<Far>) {
    let (near, far): (Vec<_>, Vec<_>) = (0..count)
        .map(|_| pipe(Behaviour::default(), Behaviour::default()))
        .map(|(near, far)| (near, Far(far)))
        .unzip();
    let (commands, _lane) = secured_lane(&Arc::default(), near, Mode::Native, security(tokens));
    let (ticket, sink, ended) = channel::ticket("read");
    let into = Span::whole(Memory::private(64).unwrap());
    let read = Operation {
        ticket,
        request: Request::Read { addr: 7, into },
        timeout: Some(Duration::from_secs(10)),
    };
    commands.push(Command::Submit(read)).unwrap();
    let key = OperationKey::new(sink, 0);
    (Started { ended, key }, far)
}

/// The initiator's preface and proof, answered by a preface alone.
async fn hear_proof(far: &Far, theirs: &Tokens) -> (Prefaces, AuthFrame) {
    let initiator = far.hear(Preface::LEN).await.try_into().unwrap();
    let target = first(theirs);
    far.say(&target).await;
    let proof = AuthFrame::take(&far.hear(AuthFrame::LEN).await).unwrap();
    (Prefaces { initiator, target }, proof)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_away_between_preface_and_proof_is_dialled_again() {
    let ours: List<'_> = &[("", "t")];
    let tokens = security(ours).tokens.clone();
    let (read, far) = dialling(ours, 2);
    let mut far = far.into_iter();
    let lost = far.next().unwrap();
    hear_proof(&lost, &tokens).await;
    drop(lost);
    let back = far.next().unwrap();
    let (prefaces, proof) = hear_proof(&back, &tokens).await;
    let (_, answer) = tokens.admit(0, &prefaces, proof).unwrap();
    back.say(&answer.encode()).await;
    assert_eq!(back.serve_one_read().await, 7);
    assert!(matches!(read.ended.wait().await, Ok(Done::Bytes(64))));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_away_before_its_proof_again_and_again_has_closed_and_not_refused() {
    let ours: List<'_> = &[("", "t")];
    let tokens = security(ours).tokens.clone();
    // Half an answer is none.
    for answered in [0, 1, AuthFrame::LEN - 1] {
        let (read, far) = dialling(ours, 3);
        let mut dialled = 0;
        for far in far.into_iter().take(2) {
            hear_proof(&far, &tokens).await;
            far.say(&vec![0; answered]).await;
            dialled += 1;
        }
        let error = read.ended.wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PeerClosed, "{answered} bytes: {error}");
        assert_eq!(dialled, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_from_a_peer_that_knows_another_secret_and_neither_is_dialled_again() {
    let ours: List<'_> = &[("", "t")];
    let tokens = security(ours).tokens.clone();
    for (answer, says) in [
        (AuthFrame::REFUSAL, "refused the token"),
        (AuthFrame([1; AuthFrame::LEN]), "does not know the token"),
    ] {
        let (read, far) = dialling(ours, 2);
        hear_proof(&far[0], &tokens).await;
        far[0].say(&answer.encode()).await;
        let error = read.ended.wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        // The lane has ended: nobody has said anything on the other pipe, and nobody will.
        assert_eq!(far[1].hear(1).await, Vec::<u8>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_says_that_it_refuses_and_nothing_more() {
    let target = Target::secured(Arc::default(), security(&[("", "t")])).unwrap();
    for (name, secret) in [("", "another"), ("no such name", "t")] {
        let ours = first(&security(&[(name, secret)]).tokens);
        let (near, session) = asked(&target, &[&ours[..], &[7; AuthFrame::LEN], &[3; 17]].concat()).await;
        near.hear(Preface::LEN).await;
        assert_eq!(near.hear(1000).await, AuthFrame::REFUSAL.encode());
        drop(near);
        session.await.unwrap();
    }
    assert_eq!(target.stats.totals().auth_failures, 2);
}

/// A session of the target's whose initiator is in our hands and has said `first`.
async fn asked(target: &Arc<Target>, first: &[u8]) -> (Far, tokio::task::JoinHandle<()>) {
    let (near, far) = pipe(Behaviour::default(), Behaviour::default());
    let admission = target.admit("127.0.0.4:9".parse().unwrap()).unwrap();
    let session = Session::new(far, Arc::clone(target), admission, "127.0.0.4:9".into());
    let (near, session) = (Far(near), tokio::spawn(session));
    near.say(first).await;
    (near, session)
}

/// What an initiator with these tokens says first.
fn first(tokens: &Tokens) -> [u8; Preface::LEN] {
    let mut preface = Target::new(Arc::default()).unwrap().preface().unwrap();
    preface.flags = Preface::FLAG_AUTH;
    preface.token_hint = tokens.dialled_hint().unwrap();
    preface.encode()
}

/// The same once it has said `ours`, and has proved that it knows the token that it dials with; and the proof.
async fn proven(
    target: &Arc<Target>,
    tokens: &Tokens,
    ours: [u8; Preface::LEN],
) -> (Far, tokio::task::JoinHandle<()>, AuthFrame) {
    let (near, session) = asked(target, &ours).await;
    let theirs: [u8; Preface::LEN] = near.hear(Preface::LEN).await.try_into().unwrap();
    let prefaces = Prefaces {
        initiator: ours,
        target: theirs,
    };
    let proof = tokens.dialled_proof(Role::Initiator, &prefaces).unwrap();
    near.say(&proof.encode()).await;
    let answer = AuthFrame::take(&near.hear(AuthFrame::LEN).await).unwrap();
    assert!(tokens.dialled_accepts(Role::Target, &prefaces, answer));
    (near, session, proof)
}

/// A session of the target's whose initiator is in our hands, and has come with the first of these tokens.
pub(super) async fn admitted(target: &Arc<Target>, tokens: &Tokens) -> (Far, tokio::task::JoinHandle<()>) {
    let (near, session, _) = proven(target, tokens, first(tokens)).await;
    (near, session)
}

#[tokio::test(start_paused = true)]
async fn a_proof_of_an_earlier_connection_opens_no_other_one() {
    let both = security(&[("", "t")]);
    let target = Target::secured(Arc::default(), Arc::clone(&both)).unwrap();
    let ours = first(&both.tokens);

    let (near, session, proof) = proven(&target, &both.tokens, ours).await;
    drop(near);
    session.await.unwrap();

    let (near, session) = asked(&target, &[&ours[..], &proof.encode()].concat()).await;
    near.hear(Preface::LEN).await;
    drop(near);
    session.await.unwrap();
    assert_eq!(target.stats.totals().auth_failures, 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_that_an_initiator_sends_before_its_proof_holds_is_served() {
    let target = Target::secured(Arc::default(), security(&[("", "t")])).unwrap();
    let region = target
        .registry
        .alloc("kv", 64, crate::region::Access::READ_WRITE)
        .unwrap();
    let write = Header::new(Opcode::Write, 64, region.address()).encode();
    let mut preface = Target::secured(Arc::default(), security(&[("", "t")]))
        .unwrap()
        .preface()
        .unwrap();
    for flags in [0, Preface::FLAG_AUTH] {
        preface.flags = flags;
        let said = [&preface.encode()[..], &[0; AuthFrame::LEN], &write, &[1; 64]].concat();
        let (near, session) = asked(&target, &said).await;
        assert_eq!(near.hear(Preface::LEN).await.len(), Preface::LEN);
        drop(near);
        session.await.unwrap();
    }
    let totals = target.stats.totals();
    assert_eq!((totals.auth_failures, totals.bytes.stored), (2, 0));
    let mut bytes = [7; 64];
    region.span(0, 64).unwrap().copy_out(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 64]);
}

#[tokio::test(start_paused = true)]
async fn a_proof_that_is_cut_short_is_counted_and_a_peer_that_goes_before_it_is_not() {
    let target = Target::secured(Arc::default(), security(&[("", "t")])).unwrap();
    let mut preface = Target::secured(Arc::default(), security(&[("", "t")]))
        .unwrap()
        .preface()
        .unwrap();
    preface.flags = Preface::FLAG_AUTH;
    for (proof, counted) in [(&[0; AuthFrame::LEN][..0], 0), (&[0; AuthFrame::LEN - 1][..], 1)] {
        let (near, session) = asked(&target, &[&preface.encode()[..], proof].concat()).await;
        near.hear(Preface::LEN).await;
        drop(near);
        session.await.unwrap();
        assert_eq!(target.stats.totals().auth_failures, counted, "{} bytes", proof.len());
    }
}

/// A peer that sends a preface without a token, and then without end.
struct Flood(parking_lot::Mutex<Vec<u8>>);

impl Transport for Flood {
    fn poll_recv(&self, _: &mut Context<'_>, segments: &mut [RecvSegment<'_>]) -> Poll<std::io::Result<usize>> {
        let mut first = self.0.lock();
        let segment = &mut segments[0];
        if first.is_empty() {
            let zeros = vec![0; segment.len()];
            segment.fill(0, &zeros);
            return Poll::Ready(Ok(zeros.len()));
        }
        segment.fill(0, &first);
        Poll::Ready(Ok(std::mem::take(&mut *first).len()))
    }

    fn poll_send(&self, _: &mut Context<'_>, segments: &[SendSegment<'_>]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(segments.iter().map(SendSegment::len).sum()))
    }

    fn shutdown_write(&self) {}
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_and_never_pauses_is_cut_when_the_drain_time_is_over() {
    let target = Target::secured(Arc::default(), security(&[("", "t")])).unwrap();
    let preface = Target::new(Arc::default()).unwrap().preface().unwrap().encode();
    let admission = target.admit("127.0.0.4:9".parse().unwrap()).unwrap();
    let flood = Flood(parking_lot::Mutex::new(preface.to_vec()));
    let session = tokio::spawn(Session::new(flood, target, admission, "127.0.0.4:9".into()));
    let began = tokio::time::Instant::now();
    while !session.is_finished() {
        // The clock does not move by itself while somebody is busy.
        tokio::time::advance(Duration::from_millis(50)).await;
        assert!(began.elapsed() < Duration::from_secs(4), "it is still there");
    }
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}
