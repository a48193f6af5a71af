//! Operations that end early, over a pipe that gets stuck where the test says; time is virtual.

use super::{support::*, wired::*};
use crate::{
    error::ErrorKind,
    io::pipe::{Behaviour, pipe},
    lane::Command,
    mailbox::Mailbox,
    op::{Completion, CompletionSink, Done, Issuer, Operation, Request, Ticket, channel},
    region::{memory::Memory, span::Span},
};
use memlane_wire::{Mode, Status, StatusFrame};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

fn writing(wired: &Wired, len: usize) -> Started {
    let from = Span::copied(&vec![1; len]).unwrap();
    wired.start(Request::Write { addr: 1, from }, Duration::from_secs(1000))
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
    everybody_rests().await;
    stuck.commands.push(Command::Cancel(write.key)).unwrap();
    let error = write.ended.wait().await.unwrap_err();
    assert_eq!((error.kind(), error.is_outcome_unknown()), (ErrorKind::Aborted, true));
    stuck.lane.await.unwrap();
    drop(far);
}

#[tokio::test(start_paused = true)]
async fn a_small_write_that_is_given_up_beside_a_large_one_leaves_the_lane_alone() {
    let (stuck, far) = stuck(10);
    // The small one was copied behind its header; the large one is what the kernel still looks at.
    let (small, large) = (writing(&stuck, 200), writing(&stuck, 100_000));
    everybody_rests().await;
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
    everybody_rests().await;
    for place in [1, 3] {
        stuck.commands.push(Command::Cancel(writes[place].key.clone())).unwrap();
    }
    everybody_rests().await;
    let drained = tokio::spawn(drain(far));
    let began = tokio::time::Instant::now();
    for (place, write) in writes.into_iter().enumerate() {
        let end = write.ended.wait().await;
        assert_eq!(end.is_err(), place == 1 || place == 3, "write {place}: {end:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    drained.abort();
}

/// Looks, in the moment of an end, whether the lane would still take another operation.
struct Looking {
    commands: Arc<Mailbox<Command>>,
    was_open: Mutex<Vec<bool>>,
    told: Arc<dyn CompletionSink>,
}

impl CompletionSink for Looking {
    fn complete(&self, completion: Completion) -> bool {
        self.was_open.lock().push(self.commands.push(Command::Work(0)).is_ok());
        self.told.complete(completion)
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_hears_of_the_end_of_a_lane_can_give_it_nothing_more_to_fail() {
    let (wired, far) = by_hand(1, Behaviour::default());
    let (told, ended) = channel::once();
    let looking = Arc::new(Looking {
        commands: Arc::clone(&wired.commands),
        was_open: Mutex::default(),
        told,
    });
    let sink: Arc<dyn CompletionSink> = Arc::clone(&looking) as _;
    let read = Operation {
        ticket: Ticket::new(Issuer::local(sink), 0, "read"),
        request: Request::Read {
            addr: 1,
            into: Span::whole(Memory::private(8).unwrap()),
        },
        timeout: Some(Duration::from_secs(1000)),
    };
    wired.commands.push(Command::Submit(read)).unwrap();
    far[0].greet().await;
    far[0].request().await;
    // A number that was never sent.
    far[0].say(&StatusFrame::new(7, Status::Ok).encode()).await;
    assert_eq!(ended.wait().await.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(*looking.was_open.lock(), [false]);
    wired.lane.await.unwrap();
}
