//! Who is woken for ends, and when.

use super::wired::*;
use crate::{
    io::pipe::{Behaviour, pipe},
    lane::Command,
    mailbox::Mailbox,
    op::{Completion, CompletionSink, Issuer, Operation, OperationKey, Request, Ticket},
    region::{memory::Memory, span::Span},
};
use memlane_wire::{Header, Mode, Status, StatusFrame};
use parking_lot::Mutex;
use std::{
    ops::Range,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Counts ends, and at each wake-up notes how many there were. Wants to be woken again when it was.
#[derive(Default)]
struct Sleeper(Mutex<(usize, Vec<usize>)>);

impl CompletionSink for Sleeper {
    fn complete(&self, completion: Completion) -> bool {
        assert!(completion.result.is_ok());
        self.0.lock().0 += 1;
        true
    }

    fn wake(&self) {
        let mut state = self.0.lock();
        let ends = state.0;
        if state.1.last() != Some(&ends) {
            state.1.push(ends);
        }
    }
}

/// How many ends there were at each wake-up, when so many answers come at once.
async fn wakes(answers: u32) -> Vec<usize> {
    let (wired, far) = by_hand(1, Behaviour::default());
    let sleeper = Arc::new(Sleeper::default());
    let issuer = Issuer::local(Arc::clone(&sleeper) as _);
    for id in 0..answers {
        let operation = Operation {
            ticket: Ticket::new(Arc::clone(&issuer), u64::from(id), "ping"),
            request: Request::Ping,
            timeout: None,
        };
        assert!(wired.commands.push(Command::Submit(operation)).is_ok());
    }
    far[0].greet().await;
    far[0].hear(answers as usize * Header::LEN).await;
    let frames = (0..answers).flat_map(|number| StatusFrame::new(number, Status::Ok).encode());
    far[0].say(&frames.collect::<Vec<_>>()).await;
    everybody_rests().await;
    std::mem::take(&mut sleeper.0.lock().1)
}

#[tokio::test(start_paused = true)]
async fn answers_that_come_together_wake_whoever_waits_once() {
    assert_eq!(wakes(1).await, [1]);
    assert_eq!(wakes(40).await, [40]);
}

#[tokio::test(start_paused = true)]
async fn of_a_flood_of_answers_half_are_told_before_the_others_are_looked_at() {
    let wakes = wakes(200).await;
    assert_eq!((wakes.first(), wakes.last()), (Some(&100), Some(&200)));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_no_answer_wakes_whoever_waits_at_once() {
    let sleeper = Arc::new(Sleeper::default());
    let issuer = Issuer::local(Arc::clone(&sleeper) as _);
    for id in 0..2 {
        Ticket::new(Arc::clone(&issuer), id, "ping").complete(Ok(crate::op::Done::Nothing));
    }
    assert_eq!(sleeper.0.lock().1, [1, 2]);
}

/// At each wake-up asks the lane for something, and notes whether it took it.
struct Asking(Arc<crate::mailbox::Mailbox<Command>>, Mutex<Vec<bool>>);

impl CompletionSink for Asking {
    fn complete(&self, completion: Completion) -> bool {
        assert!(completion.result.is_err());
        true
    }

    fn wake(&self) {
        self.1.lock().push(self.0.push(Command::Work(0)).is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_woken_by_the_failure_of_a_lane_finds_it_closed() {
    let (wired, far) = by_hand(1, Behaviour::default());
    let asking = Arc::new(Asking(Arc::clone(&wired.commands), Mutex::default()));
    let issuer = Issuer::local(Arc::clone(&asking) as _);
    for id in 0..3 {
        let operation = Operation {
            ticket: Ticket::new(Arc::clone(&issuer), id, "ping"),
            request: Request::Ping,
            timeout: None,
        };
        assert!(wired.commands.push(Command::Submit(operation)).is_ok());
    }
    far[0].greet().await;
    far[0].hear(3 * Header::LEN).await;
    // Of a request that was never made.
    far[0].say(&StatusFrame::new(77, Status::Ok).encode()).await;
    wired.lane.await.unwrap();
    let taken = std::mem::take(&mut *asking.1.lock());
    assert!(!taken.is_empty() && taken.iter().all(|&taken| !taken), "{taken:?}");
}

/// Cancels these when it is first woken, as JavaScript does that has heard enough.
struct Canceller {
    commands: Arc<Mailbox<Command>>,
    these: Range<u64>,
    itself: Weak<Self>,
    was_woken: AtomicBool,
    answered: AtomicUsize,
    cancelled: AtomicUsize,
}

impl CompletionSink for Canceller {
    fn complete(&self, completion: Completion) -> bool {
        match completion.result {
            Ok(_) => self.answered.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.cancelled.fetch_add(1, Ordering::Relaxed),
        };
        true
    }

    fn wake(&self) {
        if self.was_woken.swap(true, Ordering::Relaxed) {
            return;
        }
        let itself = self.itself.upgrade().unwrap();
        for id in self.these.clone() {
            let key = OperationKey::new(Arc::clone(&itself) as _, id);
            assert!(self.commands.push(Command::Cancel(key)).is_ok());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answers_behind_a_flood_of_which_some_are_cancelled_meanwhile_are_gone_through_to_the_last() {
    const READS: usize = 200;
    let (near, far) = pipe(Behaviour::default(), Behaviour::default());
    let (commands, _bulk, _lane) = lane_over(vec![near], Mode::Legacy);
    let canceller = Arc::new_cyclic(|itself| Canceller {
        commands: Arc::clone(&commands),
        these: 110..190,
        itself: Weak::clone(itself),
        was_woken: AtomicBool::new(false),
        answered: AtomicUsize::new(0),
        cancelled: AtomicUsize::new(0),
    });
    let issuer = Issuer::local(Arc::clone(&canceller) as _);
    for id in 0..READS as u64 {
        let into = Span::whole(Memory::private(8).unwrap());
        let operation = Operation {
            ticket: Ticket::new(Arc::clone(&issuer), id, "read"),
            request: Request::Read { addr: 1, into },
            timeout: None,
        };
        assert!(commands.push(Command::Submit(operation)).is_ok());
    }
    let far = Far(far);
    far.hear(READS * Header::LEN).await;
    far.say(&[7; READS * 8]).await;
    // The lane is awake for something else, so that no cancel wakes it once more.
    assert!(commands.push(Command::Abandon).is_ok());
    everybody_rests().await;
    let ends = [&canceller.answered, &canceller.cancelled].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(ends, [READS - 80, 80]);
}
