//! Operations of several parts of which one fails: the others are given up at once.

use super::{support::*, wired::*};
use crate::{
    config::Limits,
    error::ErrorKind,
    io::pipe::{Behaviour, pipe},
    lane::{
        Command,
        queue::{Piece, Tiny},
    },
    mailbox::Mailbox,
    op::{Done, Operation, Parts, Request, Waiter, channel},
    region::{memory::Memory, span::Span},
};
use memlane_wire::{Header, Mode, Opcode, Status, StatusFrame};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::Instant};

const LONG: Duration = Duration::from_secs(1000);
const MIB: usize = 1 << 20;

fn private(len: usize) -> Span {
    Span::whole(Memory::private(len).unwrap())
}

/// Two lanes of one link, and the far end of each.
struct Two {
    first: Wired,
    second: (Arc<Mailbox<Command>>, JoinHandle<()>),
    far: (Far, Far),
}

async fn two(there: Behaviour) -> Two {
    let (first, mut far) = by_hand(1, there);
    let (near, other) = pipe(there, Behaviour::default());
    let second = lane_of(&first.bulk, vec![near], Mode::Native);
    let far = (far.remove(0), Far(other));
    // Two pings, so that both stand before anything large is there.
    for (commands, far) in [(&first.commands, &far.0), (&second.0, &far.1)] {
        let (ticket, _, ended) = channel::ticket("ping");
        let operation = Operation {
            ticket,
            request: Request::Ping,
            timeout: None,
        };
        commands.push(Command::Submit(operation)).unwrap();
        far.greet().await;
        far.request().await;
        far.say(&StatusFrame::new(0, Status::Ok).encode()).await;
        ended.wait().await.unwrap();
    }
    Two { first, second, far }
}

impl Two {
    fn start(&self, request: Request) -> Started {
        let started = self.first.start(request, LONG);
        self.second.0.push(Command::Work(1)).unwrap();
        started
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_read_that_fails_on_one_lane_waits_for_no_answer_on_another() {
    let two = two(Behaviour::default()).await;
    let into = private(16 * MIB);
    let read = two.start(Request::Read {
        addr: 0,
        into: into.clone(),
    });
    everybody_rests().await;
    // The second lane's first piece is half there.
    two.far.1.request().await;
    two.far.1.say(&StatusFrame::new(1, Status::Ok).encode()).await;
    two.far.1.say(&[7; 1000]).await;
    everybody_rests().await;
    let began = Instant::now();
    two.far.0.say(&StatusFrame::new(1, Status::OutOfRange).encode()).await;
    assert_eq!(read.ended.wait().await.unwrap_err().kind(), ErrorKind::OutOfRange);
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    assert!(two.first.bulk.is_empty(), "nothing more is started");
    // Its memory is quiet, and the lane goes on behind the bytes that go nowhere.
    let before = bytes_of(&into);
    two.far.1.say(&vec![8; MIB - 1000]).await;
    // Four more were on the wire, one of them since the first was answered.
    two.far.1.hear(4 * Header::LEN).await;
    for sequence in 2..6 {
        two.far.1.say(&StatusFrame::new(sequence, Status::Ok).encode()).await;
        two.far.1.say(&vec![8; MIB]).await;
    }
    let (ticket, _, next) = channel::ticket("read");
    let request = Request::Read {
        addr: 5,
        into: private(1),
    };
    let operation = Operation {
        ticket,
        request,
        timeout: None,
    };
    two.second.0.push(Command::Submit(operation)).unwrap();
    assert_eq!(two.far.1.request().await.addr, 5);
    two.far.1.say(&StatusFrame::new(6, Status::Ok).encode()).await;
    two.far.1.say(&[1]).await;
    assert_eq!(next.wait().await.unwrap(), Done::Bytes(1));
    assert!(bytes_of(&into) == before, "an ended operation's memory is quiet");
}

#[tokio::test(start_paused = true)]
async fn a_large_write_that_fails_on_one_lane_lets_what_is_half_sent_on_another_leave_if_it_moves() {
    for moves in [true, false] {
        let two = two(Behaviour {
            room: 1000,
            ..Behaviour::default()
        })
        .await;
        let from = private(16 * MIB);
        let write = two.start(Request::Write {
            addr: 0,
            from: from.clone(),
        });
        everybody_rests().await;
        let began = Instant::now();
        two.far.0.say(&StatusFrame::new(1, Status::AccessDenied).encode()).await;
        // The refused piece is half sent as well, and leaves.
        two.far.0.hear(Header::LEN + MIB).await;
        if moves {
            two.far.1.hear(Header::LEN + MIB).await;
        }
        let error = write.ended.wait().await.unwrap_err();
        assert_eq!((error.kind(), error.is_outcome_unknown()), (ErrorKind::Access, true));
        let drain = Duration::from_millis(Limits::default().drain_time);
        let spent = began.elapsed();
        if moves {
            assert!(spent < Duration::from_millis(100), "{spent:?}");
            two.far.1.say(&StatusFrame::new(1, Status::Ok).encode()).await;
            everybody_rests().await;
            assert!(!two.second.1.is_finished(), "the lane goes on");
        } else {
            assert!(spent >= drain && spent < drain + Duration::from_secs(1), "{spent:?}");
            two.second.1.await.unwrap();
        }
        assert_eq!(from.leases(), 1, "nobody looks at the bytes any more");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_small_parts_that_fails_ends_though_others_are_never_answered() {
    let (wired, far) = by_hand(1, Behaviour::default());
    let (ticket, _, ended) = channel::ticket("list");
    let parts = Parts::new(ticket, 50, 50 * 8, Opcode::Read, true, wired.bulk.holders());
    let into = private(400);
    let pieces = (0..50).map(|entry| Piece {
        opcode: Opcode::Read,
        addr: u64::from(entry),
        span: into.slice(entry as usize * 8, 8),
        waiter: Waiter::Part {
            parts: Arc::clone(&parts),
            entry,
        },
        deadline: None,
        repeated: false,
    });
    wired
        .commands
        .push(Command::Parts(pieces.map(Tiny::Piece).collect()))
        .unwrap();
    let (other, far) = (wired.start(Request::Ping, LONG), &far[0]);
    far.greet().await;
    far.hear(51 * Header::LEN).await;
    for sequence in 0..3 {
        far.say(&StatusFrame::new(sequence, Status::Ok).encode()).await;
        far.say(&[1; 8]).await;
    }
    far.say(&StatusFrame::new(3, Status::NoSuchRegion).encode()).await;
    let began = Instant::now();
    let error = ended.wait().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.failed_entry()),
        (ErrorKind::RegionNotFound, Some(3))
    );
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    assert_eq!(into.leases(), 1, "nobody stores bytes any more");
    for sequence in 4..50 {
        far.say(&StatusFrame::new(sequence, Status::Ok).encode()).await;
        far.say(&[2; 8]).await;
    }
    far.say(&StatusFrame::new(50, Status::Ok).encode()).await;
    assert_eq!(other.ended.wait().await.unwrap(), Done::Nothing);
    assert_eq!(bytes_of(&into)[24..], [0; 376]);
}

#[tokio::test(start_paused = true)]
async fn a_large_write_whose_deadline_passes_half_way_says_that_its_outcome_is_unknown() {
    let (wired, far) = by_hand(1, Behaviour::default());
    let from = private(64 * MIB);
    let write = wired.start(Request::Write { addr: 0, from }, Duration::from_secs(5));
    far[0].greet().await;
    far[0].hear(2 * MIB).await;
    let error = write.ended.wait().await.unwrap_err();
    assert_eq!((error.kind(), error.is_outcome_unknown()), (ErrorKind::Timeout, true));
}
