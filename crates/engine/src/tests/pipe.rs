//! A lane and a session over a pipe that delivers in small pieces and cuts anywhere; time is virtual.

use super::{support::*, wired::*};
use crate::{
    config::Limits,
    error::ErrorKind,
    fence::{Holders, fence},
    io::pipe::{Behaviour, pipe},
    lane::Command,
    op::{Done, Operation, Request, channel},
    session::Session,
};
use memlane_wire::Mode;
use std::{sync::Arc, time::Duration};

fn in_steps_of(step: usize) -> Behaviour {
    Behaviour {
        step,
        ..Behaviour::default()
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_whole_however_they_are_cut_up() {
    for mode in [Mode::Native, Mode::Legacy] {
        for step in [1, 2, 7, 16, 17, 18, 63, 64, 65, 4095, 70_000] {
            let wired = wired(mode, in_steps_of(step), in_steps_of(step));
            let most = if step < 16 { 9000 } else { (2 << 20) + 3 };
            for len in [1, 8, 300, 8192, 8193, most] {
                let bytes = pattern(len, step as u64);
                wired.write(5, &bytes).await.unwrap();
                assert!(
                    wired.read(5, len).await.unwrap() == bytes,
                    "{len} bytes in steps of {step}, {mode:?}"
                );
            }
            let receiving = wired.post(100);
            assert_eq!(wired.send(b"message").await.unwrap(), Done::Bytes(7));
            let Done::Message(message) = receiving.ended.wait().await.unwrap() else {
                panic!()
            };
            let tag = 3;
            assert_eq!((message.bytes, message.tag), (7, tag));
            assert_eq!(&bytes_of(&receiving.into)[..7], b"message");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_at_any_byte_ends_every_operation_once_and_loses_no_receive() {
    // Both prefaces, a write, a read, a message and their answers: cut the way there, then the way back, at each byte.
    for back in [false, true] {
        for cut in 0..300 {
            let cutting = Behaviour {
                cut_after: Some(cut),
                step: 50,
                ..Behaviour::default()
            };
            let whole = in_steps_of(50);
            let wired = if back {
                wired(Mode::Native, whole, cutting)
            } else {
                wired(Mode::Native, cutting, whole)
            };
            let receiving = wired.post(16);
            let (write, read, send) = tokio::join!(wired.write(0, &[7; 40]), wired.read(0, 40), wired.send(&[9; 16]));
            let ends = [write.map(|_| ()), read.map(|_| ()), send.map(|_| ())];
            for error in ends.iter().filter_map(|end| end.as_ref().err()) {
                assert!(
                    matches!(error.kind(), ErrorKind::PeerClosed | ErrorKind::Connect),
                    "cut after {cut}: {error:?}"
                );
            }
            if cut >= 250 {
                assert!(ends.iter().all(Result::is_ok), "nothing is that far: {ends:?}");
            }
            drop(wired.commands.close());
            wired.lane.abort();
            wired.session.abort();
            // The receive has its message, or waits for the next one.
            if ends[2].is_err() && wired.target.receives.cancel(&receiving.key) {
                assert_eq!(receiving.ended.wait().await.unwrap_err().kind(), ErrorKind::Aborted);
            } else {
                assert!(
                    matches!(receiving.ended.wait().await.unwrap(), Done::Message(_)),
                    "cut after {cut}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fence_waits_for_a_running_body_and_cuts_it_when_patience_ends() {
    let limits = Limits::default();
    let wired = wired(
        Mode::Native,
        Behaviour::default(),
        Behaviour {
            room: 1000,
            ..Behaviour::default()
        },
    );
    let _holders = Holders::new(Arc::clone(&wired.target));
    wired.write(0, &[5; 100]).await.unwrap();
    // A raw reader that asks for much and takes nothing.
    let (near, far) = pipe(
        Behaviour::default(),
        Behaviour {
            room: 1000,
            ..Behaviour::default()
        },
    );
    let admission = wired.target.admit("127.0.0.2:9".parse().unwrap()).unwrap();
    let greedy = tokio::spawn(Session::new(
        far,
        Arc::clone(&wired.target),
        admission,
        "127.0.0.2:9".into(),
    ));
    let request = memlane_wire::Header::new(memlane_wire::Opcode::Read, REGION as u64, wired.region.address()).encode();
    std::future::poll_fn(|cx| {
        use crate::io::{Transport, raw::SendSegment};
        near.poll_send(cx, &[SendSegment::bytes(&request)])
    })
    .await
    .unwrap();
    while wired.region.in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let began = tokio::time::Instant::now();
    wired.target.registry.close(&wired.region);
    fence(Arc::clone(&wired.region), Duration::from_millis(limits.drain_time)).await;
    assert!(began.elapsed() >= Duration::from_millis(limits.drain_time));
    assert!(began.elapsed() <= Duration::from_millis(limits.drain_time) + Duration::from_secs(1));
    assert_eq!(wired.region.in_flight(), 0);
    greedy.await.unwrap();
    assert_eq!(wired.read(0, 1).await.unwrap_err().kind(), ErrorKind::RegionNotFound);
}

#[tokio::test(start_paused = true)]
async fn an_idle_lane_goes_before_the_target_would_end_it() {
    let wired = wired(Mode::Native, Behaviour::default(), Behaviour::default());
    wired.read(0, 1).await.unwrap();
    let began = tokio::time::Instant::now();
    wired.lane.await.unwrap();
    wired.session.await.unwrap();
    let idle = Duration::from_millis(Limits::default().idle_timeout);
    assert!(
        began.elapsed() >= idle && began.elapsed() < idle + Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_fails_the_handshake_within_its_timeout() {
    let (near, _far) = pipe(Behaviour::default(), Behaviour::default());
    let (commands, _bulk, _lane) = lane(near, Mode::Native);
    let (ticket, _, ended) = channel::ticket("ping");
    commands
        .push(Command::Submit(Operation {
            ticket,
            request: Request::Ping,
            timeout: None,
        }))
        .unwrap();
    let began = tokio::time::Instant::now();
    let error = ended.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("handshake"), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(Limits::default().handshake_timeout));
}

#[tokio::test(start_paused = true)]
async fn a_large_write_that_is_cut_off_says_that_its_outcome_is_unknown_and_a_read_does_not() {
    for cut in [100, 1 << 20, (3 << 20) - 100] {
        let cutting = Behaviour {
            cut_after: Some(cut),
            ..Behaviour::default()
        };
        let error = wired(Mode::Native, cutting, Behaviour::default())
            .write(0, &vec![1; REGION])
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (ErrorKind::PeerClosed, true),
            "after {cut} bytes"
        );
        let cutting = Behaviour {
            cut_after: Some(cut),
            ..Behaviour::default()
        };
        let error = wired(Mode::Native, Behaviour::default(), cutting)
            .read(0, REGION)
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (ErrorKind::PeerClosed, false),
            "after {cut} bytes"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_no_endpoint_is_told_by_its_first_bytes() {
    use crate::io::{Transport, raw::SendSegment};
    let (near, far) = pipe(Behaviour::default(), Behaviour::default());
    let (commands, _bulk, _lane) = lane(near, Mode::Native);
    let (ticket, _, ended) = channel::ticket("ping");
    commands
        .push(Command::Submit(Operation {
            ticket,
            request: Request::Ping,
            timeout: None,
        }))
        .unwrap();
    let began = tokio::time::Instant::now();
    std::future::poll_fn(|cx| far.poll_send(cx, &[SendSegment::bytes(b"SSH-2.0-OpenSSH\r\n")]))
        .await
        .unwrap();
    let error = ended.wait().await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed()), (ErrorKind::Protocol, Duration::ZERO));
}
