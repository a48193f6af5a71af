//! TLS between a lane and a session, over a pipe that delivers in pieces and cuts anywhere; time is virtual.

use super::{support::*, wired::*};
use crate::{
    auth::Security,
    error::ErrorKind,
    io::{
        TlsTransport, Transport,
        pipe::{Behaviour, Pipe, pipe},
        raw::{RecvSegment, SendSegment},
    },
    lane::Command,
    op::{Done, Operation, Request, channel},
    session::Session,
    stats::Counted,
    target::Target,
    tls::{ClientCert, Credentials, Tls},
};
use memlane_wire::{Header, Mode, Opcode};
use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Certificates and keys of scripts/test-certificates.mjs.
macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("certificates/", $name, ".pem"))
    };
}

/// One certificate for all that we show, and belief in the fleet's authority.
fn showing(both: &[u8]) -> Credentials {
    Credentials {
        cert: Some(both.to_vec()),
        key: Some(both.to_vec()),
        ca: Some(pem!("fleet").to_vec()),
        client_cert: ClientCert::Require,
        server_name: None,
    }
}

fn good() -> Credentials {
    showing(pem!("good"))
}

fn tls(credentials: &Credentials) -> Arc<Tls> {
    Arc::new(Tls::new(credentials).unwrap())
}

type Over = TlsTransport<Pipe>;

fn secured(tls: &Arc<Tls>) -> Arc<Security> {
    Arc::new(Security {
        tls: Some(Arc::clone(tls)),
        ..Security::default()
    })
}

fn over([there, back]: [Behaviour; 2], ours: &Arc<Tls>, theirs: &Arc<Tls>) -> Wired {
    let (near, far) = pipe(there, back);
    let near: Over = TlsTransport::dialled(near, ours.dialled("127.0.0.1").unwrap());
    let far = TlsTransport::accepted(far, theirs);
    wired_over(near, far, Mode::Native, secured(ours), secured(theirs))
}

fn in_steps_of(step: usize) -> Behaviour {
    Behaviour {
        step,
        ..Behaviour::default()
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_whole_however_records_are_cut_up() {
    let both = tls(&good());
    for step in [1, 7, 64, 16_405, 16_406, 70_000, usize::MAX] {
        let wired = over([in_steps_of(step); 2], &both, &both);
        let most = if step < 16 { 20_000 } else { (2 << 20) + 3 };
        for len in [1, 8, 8193, 16_383, 16_384, 16_385, most] {
            let bytes = pattern(len, len as u64);
            wired.write(5, &bytes).await.unwrap();
            assert!(
                wired.read(5, len).await.unwrap() == bytes,
                "{len} bytes in steps of {step}"
            );
        }
        let receiving = wired.post(100);
        assert_eq!(wired.send(b"message").await.unwrap(), Done::Bytes(7));
        assert!(matches!(receiving.ended.wait().await.unwrap(), Done::Message(_)));
    }
}

/// A write, a read and a message, and how each ended.
async fn three(wired: &Wired) -> [Result<(), ErrorKind>; 3] {
    let bytes = pattern(40_000, 1);
    let receiving = wired.post(100);
    let (write, read, send) = (wired.write(0, &bytes), wired.read(0, 40_000), wired.send(b"message"));
    let (write, read, send) = tokio::join!(write, read, send);
    if let Ok(read) = &read {
        // Nobody says in which order the two are applied.
        assert!(*read == bytes || *read == vec![0; 40_000] || write.is_err());
    }
    drop(receiving);
    [write.map(drop), read.map(drop), send.map(drop)].map(|end| end.map_err(|error| error.kind()))
}

#[tokio::test(start_paused = true)]
async fn a_cut_at_any_byte_ends_every_operation_once() {
    let both = tls(&good());
    for back in [false, true] {
        let mut whole = 0;
        for cut in (0..4000).step_by(29).chain((4000..60_000).step_by(1499)) {
            let cutting = Behaviour {
                cut_after: Some(cut),
                step: 4000,
                ..Behaviour::default()
            };
            let way = if back {
                [in_steps_of(4000), cutting]
            } else {
                [cutting, in_steps_of(4000)]
            };
            let wired = over(way, &both, &both);
            let ends = three(&wired).await;
            let allowed = |end: &Result<(), ErrorKind>| {
                matches!(
                    end,
                    Ok(()) | Err(ErrorKind::PeerClosed | ErrorKind::Connect | ErrorKind::NoReceive)
                )
            };
            assert!(ends.iter().all(allowed), "cut at {cut}, back {back}: {ends:?}");
            whole += usize::from(ends.iter().all(Result::is_ok));
            wired.lane.abort();
            tokio::time::timeout(Duration::from_secs(300), wired.session)
                .await
                .unwrap()
                .unwrap();
        }
        assert!(whole < 60, "a cut must cost something: {whole} went through");
    }
}

/// A pipe between which every byte passes our hands.
struct Between {
    near: Far,
    far: Far,
}

/// A lane and a session with somebody between them.
fn watched(both: &Arc<Tls>) -> (Wired, Between) {
    let free = [Behaviour::default(); 2];
    let (near, to_near) = pipe(free[0], free[1]);
    let (to_far, far) = pipe(free[0], free[1]);
    let near: Over = TlsTransport::dialled(near, both.dialled("127.0.0.1").unwrap());
    let far = TlsTransport::accepted(far, both);
    let wired = wired_over(near, far, Mode::Native, secured(both), secured(both));
    (
        wired,
        Between {
            near: Far(to_near),
            far: Far(to_far),
        },
    )
}

#[tokio::test(start_paused = true)]
async fn a_bit_that_was_changed_on_its_way_is_never_taken_for_data() {
    let both = tls(&good());
    for flipped in (0..6000u64).step_by(97) {
        let (wired, between) = watched(&both);
        let relay = async {
            let mut passed = 0;
            loop {
                let ways = [(&between.near, &between.far), (&between.far, &between.near)];
                for (from, to) in ways {
                    let mut bytes = vec![0; 20_000];
                    let mut cx = Context::from_waker(Waker::noop());
                    match from.0.poll_recv(&mut cx, &mut [RecvSegment::bytes(&mut bytes)]) {
                        Poll::Ready(Ok(count)) if count > 0 => {
                            bytes.truncate(count);
                            if (passed..passed + count as u64).contains(&flipped) {
                                bytes[(flipped - passed) as usize] ^= 4;
                            }
                            passed += count as u64;
                            let _ = to.0.poll_send(&mut cx, &[SendSegment::bytes(&bytes)]);
                        }
                        Poll::Ready(_) => to.0.shutdown_write(),
                        Poll::Pending => {}
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let bytes = pattern(3000, flipped);
        let ended = tokio::select! {
            end = async {
                wired.write(0, &bytes).await?;
                wired.read(0, 3000).await
            } => end,
            () = relay => unreachable!(),
        };
        match ended {
            Ok(read) => assert!(read == bytes, "byte {flipped}"),
            Err(error) => assert!(
                // A length that was changed is waited for, as long as anything is.
                matches!(
                    error.kind(),
                    ErrorKind::Tls | ErrorKind::PeerClosed | ErrorKind::Connect | ErrorKind::Timeout
                ),
                "byte {flipped}: {error}"
            ),
        }
        let mut kept = vec![0; 3000];
        wired.region.span(0, 3000).unwrap().copy_out(0, &mut kept).unwrap();
        assert!(kept == bytes || kept.iter().all(|&byte| byte == 0), "byte {flipped}");
        wired.lane.abort();
        wired.session.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_changed_before_they_are_worn_out() {
    let worn = Arc::new(crate::tls::worn_out_after(8));
    let both = Arc::new(Tls::by(worn, &good()).unwrap());
    let wired = over([in_steps_of(70_000); 2], &both, &both);
    for round in 0..4 {
        let bytes = pattern(2 << 20, round);
        wired.write(0, &bytes).await.unwrap();
        assert!(wired.read(0, bytes.len()).await.unwrap() == bytes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_without_end_is_ended() {
    let both = tls(&good());
    let target = Target::secured(Arc::default(), secured(&both)).unwrap();
    let (near, far) = pipe(Behaviour::default(), Behaviour::default());
    let session = session_of(&target, TlsTransport::accepted(far, &both));
    let near = Far(near);
    // A ClientHello that declares 65,000 bytes, in records of 16 KiB.
    for index in 0..3u8 {
        let mut record = vec![7; 16_384];
        if index == 0 {
            record[..4].copy_from_slice(&[1, 0, 0xfd, 0xe8]);
        }
        near.say(&[&[22, 3, 3, 0x40, 0][..], &record].concat()).await;
    }
    assert!(near.hear(1).await.is_empty(), "its connection is ended");
    drop(near);
    session.await.unwrap();
    assert_eq!(target.stats.totals().auth_failures, 1);
}

#[tokio::test(start_paused = true)]
async fn a_legacy_peer_is_told_nothing_that_it_could_take_for_data() {
    let both = tls(&good());
    let target = Target::secured(Arc::default(), secured(&both)).unwrap();
    let (near, far) = pipe(Behaviour::default(), Behaviour::default());
    let session = session_of(&target, TlsTransport::accepted(far, &both));
    let near = Far(near);
    near.say(&Header::new(Opcode::Read, 7, 0x1000).encode()).await;
    assert!(near.hear(1).await.is_empty());
    drop(near);
    session.await.unwrap();
    assert_eq!(target.stats.totals().auth_failures, 1);
}

/// What a read by somebody with these credentials from somebody with those comes to, and how many were turned away.
async fn read_between(ours: &Credentials, theirs: &Credentials) -> (Result<(), (ErrorKind, String)>, u64) {
    let (ours, theirs) = (tls(ours), tls(theirs));
    let wired = over([Behaviour::default(); 2], &ours, &theirs);
    let read = wired.read(0, 64).await;
    wired.lane.abort();
    let _ = tokio::time::timeout(Duration::from_secs(300), wired.session).await;
    let read = read.map(drop).map_err(|error| (error.kind(), error.to_string()));
    (read, wired.target.stats.totals().auth_failures)
}

#[tokio::test(start_paused = true)]
async fn who_is_not_to_be_believed_is_told_why_and_counted() {
    let (foreign, expired) = (showing(pem!("foreign")), showing(pem!("expired")));
    let named = showing(pem!("named"));
    let bare = Credentials {
        cert: None,
        key: None,
        ..good()
    };
    let wanting = Credentials {
        server_name: Some("fleet.internal".to_owned()),
        ..good()
    };
    for (ours, theirs, says) in [
        (&good(), &foreign, "unknown authority"),
        (&good(), &expired, "has expired"),
        (&good(), &named, "but for DnsName(\"fleet.internal\")"),
        (&wanting, &good(), "not for fleet.internal"),
        (&foreign, &good(), "does not know the authority"),
        (&expired, &good(), "has expired"),
        (&bare, &good(), "requires a client certificate"),
        (&good(), &bare, "no certificate"),
    ] {
        let (read, turned_away) = read_between(ours, theirs).await;
        let (kind, text) = read.unwrap_err();
        assert_eq!((kind, turned_away), (ErrorKind::Tls, 1), "{says}: {text}");
        assert!(text.contains(says), "{says}: {text}");
    }
    for (ours, theirs) in [(&good(), &good()), (&wanting, &named)] {
        assert_eq!(read_between(ours, theirs).await, (Ok(()), 0));
    }
    let believed_by_nobody = Credentials {
        ca: None,
        client_cert: ClientCert::None,
        ..good()
    };
    let why = tls(&believed_by_nobody).dialled("127.0.0.1").err().unwrap();
    assert!(why.contains("tls.ca"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn who_speaks_tls_and_who_does_not_hear_so_of_each_other() {
    let both = tls(&good());
    for secured_target in [true, false] {
        let (near, far) = pipe(Behaviour::default(), Behaviour::default());
        let wired = if secured_target {
            let target = Target::secured(Arc::default(), secured(&both)).unwrap();
            (
                lane(near, Mode::Native),
                session_of(&target, TlsTransport::accepted(far, &both)),
                target,
            )
        } else {
            let target = Target::new(Arc::default()).unwrap();
            let near: Over = TlsTransport::dialled(near, both.dialled("127.0.0.1").unwrap());
            let bulk = Arc::default();
            let (commands, task) = secured_lane(&bulk, vec![near], Mode::Native, secured(&both));
            ((commands, bulk, task), session_of(&target, far), target)
        };
        let ((commands, _bulk, task), session, target) = wired;
        let (ticket, _, ended) = channel::ticket("ping");
        let operation = Operation {
            ticket,
            request: Request::Describe,
            timeout: None,
        };
        commands.push(Command::Submit(operation)).unwrap();
        let error = ended.wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        let says = if secured_target {
            "the peer speaks TLS"
        } else {
            "the peer speaks no TLS"
        };
        assert!(error.to_string().contains(says), "{error}");
        task.await.unwrap();
        session.await.unwrap();
        assert_eq!(target.stats.totals().auth_failures, 1);
    }
}

fn session_of<T: Transport>(target: &Arc<Target>, io: T) -> tokio::task::JoinHandle<()> {
    let admission = target.admit("127.0.0.4:9".parse().unwrap()).unwrap();
    tokio::spawn(Session::new(io, Arc::clone(target), admission, "127.0.0.4:9".into()))
}

/// What the other end hears when this one ends so.
async fn heard_of(end: impl FnOnce(Over)) -> std::io::Result<usize> {
    let both = tls(&good());
    let (near, far) = pipe(Behaviour::default(), Behaviour::default());
    let near: Over = TlsTransport::dialled(near, both.dialled("127.0.0.1").unwrap());
    let far = TlsTransport::accepted(far, &both);
    let send = std::future::poll_fn(|cx| near.poll_send(cx, &[SendSegment::bytes(b"word")]));
    let mut bytes = [0; 8];
    let hear = std::future::poll_fn(|cx| far.poll_recv(cx, &mut [RecvSegment::bytes(&mut bytes)]));
    let (sent, count) = tokio::join!(send, hear);
    assert_eq!((sent.unwrap(), count.unwrap()), (4, 4));
    end(near);
    std::future::poll_fn(|cx| far.poll_recv(cx, &mut [RecvSegment::bytes(&mut bytes)])).await
}

#[tokio::test(start_paused = true)]
async fn an_end_with_a_farewell_is_an_end_and_one_without_is_an_error() {
    assert_eq!(heard_of(drop).await.unwrap(), 0);
    assert_eq!(heard_of(|near| near.shutdown_write()).await.unwrap(), 0);
    let cut = heard_of(|near| near.cut()).await.unwrap_err();
    assert_eq!(cut.kind(), std::io::ErrorKind::UnexpectedEof);
}
