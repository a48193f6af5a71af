//! A lane and a session over a pipe that delivers in small pieces and cuts anywhere; time is virtual.

use super::support::*;
use crate::{
    config::Limits,
    error::{Error, ErrorKind},
    io::pipe::{Behaviour, Pipe, pipe},
    lane::{
        Command, Dial, Lane, LaneParts,
        bulk::{Bulk, BulkQueue},
        giving_up::GiveUp,
    },
    mailbox::Mailbox,
    op::{Done, Operation, OperationKey, Request, channel},
    recv::Posted,
    region::{Access, Region, memory::Memory, span::Span},
    session::Session,
    target::Target,
};
use memlane_wire::Mode;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// One lane of `initiator` into one session of `target`.
struct Wired {
    target: Arc<Target>,
    region: Arc<Region>,
    commands: Arc<Mailbox<Command>>,
    bulk: Arc<BulkQueue>,
    lane: JoinHandle<()>,
    session: JoinHandle<()>,
}

const REGION: usize = 3 << 20;

fn wired(mode: Mode, there: Behaviour, back: Behaviour) -> Wired {
    let target = Target::new(Arc::default()).unwrap();
    let region = target.registry.alloc("kv", REGION, Access::READ_WRITE).unwrap();
    let (near, far) = pipe(there, back);
    let admission = target.admit("127.0.0.1:9".parse().unwrap()).unwrap();
    let session = tokio::spawn(Session::new(far, Arc::clone(&target), admission, "127.0.0.1:9".into()));
    let (commands, bulk, lane) = lane(near, mode);
    Wired {
        target,
        region,
        commands,
        bulk,
        lane,
        session,
    }
}

/// A lane that dials this end of a pipe at once.
fn lane(near: Pipe, mode: Mode) -> (Arc<Mailbox<Command>>, Arc<BulkQueue>, JoinHandle<()>) {
    let initiator = Target::new(Arc::default()).unwrap();
    let (commands, bulk) = (Arc::new(Mailbox::default()), Arc::new(BulkQueue::default()));
    let parts = LaneParts {
        commands: Arc::clone(&commands),
        mode,
        preface: initiator.preface().unwrap(),
        bulk: Some(bulk.join()),
        limits: Arc::clone(&initiator.limits),
        stats: Arc::clone(&initiator.stats),
    };
    let dial: Dial<Pipe> = Box::pin(async move { Ok(near) });
    (commands, bulk, tokio::spawn(Lane::new(parts, dial)))
}

impl Wired {
    fn start(&self, request: Request, timeout: Duration) -> Started {
        let (ticket, sink, ended) = channel::ticket("operation");
        let operation = Operation {
            ticket,
            request,
            timeout: Some(timeout),
        };
        let command = match Bulk::take_apart(operation, tokio::time::Instant::now()) {
            Ok(bulk) => {
                self.bulk.push(bulk);
                Command::Work
            }
            Err(small) => Command::Submit(small),
        };
        match self.commands.push(command) {
            Ok(()) => {}
            Err(Command::Submit(refused)) => refused.ticket.complete(Err(Error::new(ErrorKind::PeerClosed))),
            Err(_) => self.bulk.give_up(&GiveUp::All(&Error::new(ErrorKind::PeerClosed))),
        }
        Started {
            ended,
            key: OperationKey::new(sink, 0),
        }
    }

    async fn write(&self, at: u64, bytes: &[u8]) -> Result<Done, Error> {
        let request = Request::Write {
            addr: self.region.address() + at,
            from: Span::copied(bytes).unwrap(),
        };
        self.start(request, Duration::from_secs(1000)).ended.wait().await
    }

    async fn read(&self, at: u64, len: usize) -> Result<Vec<u8>, Error> {
        let into = Span::whole(Memory::private(len).unwrap());
        let request = Request::Read {
            addr: self.region.address() + at,
            into: into.clone(),
        };
        self.start(request, Duration::from_secs(1000)).ended.wait().await?;
        Ok(bytes_of(&into))
    }

    fn post(&self, room: usize) -> Receiving {
        let into = Span::whole(Memory::private(room).unwrap());
        let (ticket, sink, ended) = channel::ticket("recv");
        self.target.receives.post(Posted {
            ticket,
            into: into.clone(),
            tag: None,
            exact: false,
        });
        Receiving {
            ended,
            into,
            key: OperationKey::new(sink, 0),
        }
    }

    async fn send(&self, bytes: &[u8]) -> Result<Done, Error> {
        let request = Request::Send {
            tag: 3,
            from: Span::copied(bytes).unwrap(),
        };
        self.start(request, Duration::from_secs(1000)).ended.wait().await
    }
}

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
async fn a_deadline_ends_a_read_and_its_late_answer_reaches_nobody_else() {
    // Nothing comes back until the pipe has room, and it has none for a while: 4 bytes a step is slow, not dead.
    let wired = wired(
        Mode::Native,
        Behaviour::default(),
        Behaviour {
            room: 70,
            step: 70,
            ..Behaviour::default()
        },
    );
    let bytes = pattern(1000, 1);
    wired.write(0, &bytes).await.unwrap();
    let into = Span::whole(Memory::private(1000).unwrap());
    let late = wired.start(
        Request::Read {
            addr: wired.region.address(),
            into: into.clone(),
        },
        Duration::ZERO,
    );
    let error = late.ended.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let before = bytes_of(&into);
    assert!(before != bytes, "the answer was still on its way");
    assert!(wired.read(500, 500).await.unwrap() == bytes[500..]);
    assert!(bytes_of(&into) == before, "an ended operation's memory is quiet");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_write_that_is_half_sent_ends_its_lane_and_says_that_its_outcome_is_unknown() {
    let wired = wired(
        Mode::Native,
        Behaviour {
            room: 1000,
            ..Behaviour::default()
        },
        Behaviour::default(),
    );
    wired.write(0, &[0; 8]).await.unwrap();
    let session = wired.session;
    session.abort();
    let _ = session.await;
    let (near, far) = pipe(
        Behaviour {
            room: 1000,
            ..Behaviour::default()
        },
        Behaviour::default(),
    );
    let (commands, bulk, lane) = lane(near, Mode::Legacy);
    let stuck = Wired {
        commands,
        bulk,
        lane,
        session: tokio::spawn(async {}),
        ..wired
    };
    let from = Span::copied(&[1; 100_000]).unwrap();
    let write = stuck.start(Request::Write { addr: 1, from }, Duration::from_secs(1000));
    tokio::time::sleep(Duration::from_millis(1)).await;
    stuck.commands.push(Command::Cancel(write.key)).unwrap();
    let error = write.ended.wait().await.unwrap_err();
    assert_eq!((error.kind(), error.is_outcome_unknown()), (ErrorKind::Aborted, true));
    stuck.lane.await.unwrap();
    drop(far);
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
    wired.target.fence(Arc::clone(&wired.region), || {}).await;
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

/// A legacy lane whose peer takes `room` bytes and then nothing.
fn stuck(room: usize) -> (Wired, Pipe) {
    let whole = wired(Mode::Native, Behaviour::default(), Behaviour::default());
    let (near, far) = pipe(
        Behaviour {
            room,
            ..Behaviour::default()
        },
        Behaviour::default(),
    );
    let (commands, bulk, lane) = lane(near, Mode::Legacy);
    (
        Wired {
            commands,
            bulk,
            lane,
            ..whole
        },
        far,
    )
}

fn writing(wired: &Wired, len: usize) -> Started {
    let from = Span::copied(&vec![1; len]).unwrap();
    wired.start(Request::Write { addr: 1, from }, Duration::from_secs(1000))
}

#[tokio::test(start_paused = true)]
async fn a_small_write_that_is_given_up_beside_a_large_one_leaves_the_lane_alone() {
    let (stuck, far) = stuck(10);
    // The small one was copied behind its header; the large one is what the kernel still looks at.
    let (small, large) = (writing(&stuck, 200), writing(&stuck, 100_000));
    tokio::time::sleep(Duration::from_millis(1)).await;
    stuck.commands.push(Command::Cancel(small.key)).unwrap();
    assert_eq!(small.ended.wait().await.unwrap_err().kind(), ErrorKind::Aborted);
    let drained = tokio::spawn(drain(far));
    assert_eq!(large.ended.wait().await.unwrap(), Done::Bytes(100_000));
    drained.abort();
}

#[tokio::test(start_paused = true)]
async fn departures_behind_one_that_was_given_up_still_end_when_they_have_left() {
    let (stuck, far) = stuck(10);
    let writes: Vec<_> = (0..6).map(|_| writing(&stuck, 200)).collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    for place in [1, 3] {
        stuck.commands.push(Command::Cancel(writes[place].key.clone())).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let drained = tokio::spawn(drain(far));
    let began = tokio::time::Instant::now();
    for (place, write) in writes.into_iter().enumerate() {
        let end = write.ended.wait().await;
        assert_eq!(end.is_err(), place == 1 || place == 3, "write {place}: {end:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    drained.abort();
}

async fn drain(far: Pipe) {
    use crate::io::{Transport, raw::RecvSegment};
    let mut bytes = vec![0; 1 << 16];
    while std::future::poll_fn(|cx| far.poll_recv(cx, &mut [RecvSegment::bytes(&mut bytes)]))
        .await
        .is_ok_and(|n| n > 0)
    {}
}
