//! The way into a task: what is pushed is looked at, whatever the task is about to do.

use super::{Bell, Ends, explore, thread};
use crate::{
    error::{Error, ErrorKind},
    mailbox::Mailbox,
    op::{Done, Ticket},
};
use std::{
    sync::Arc,
    task::{Context, Waker},
};

#[test]
fn a_task_that_sleeps_is_woken_for_what_is_pushed() {
    explore(|| {
        let mailbox = Arc::new(Mailbox::default());
        let senders: Vec<_> = (0..2)
            .map(|number| {
                let mailbox = Arc::clone(&mailbox);
                thread(move || mailbox.push(number).unwrap())
            })
            .collect();
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let mut seen = Vec::new();
        while seen.len() < 2 {
            mailbox.take(&mut seen);
            if seen.len() < 2 && mailbox.sleep(&Context::from_waker(&waker)) {
                bell.sleep();
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

/// A caller hands an operation over to a lane that is cancelled, answered, or ends in that moment, by `end`, which gives back
/// what nobody looked at. It opens another one where it finds the lane gone, as a link does.
fn handed_over(end: fn(&Mailbox<Ticket>, &mut Vec<Ticket>)) {
    explore(move || {
        let ends = Ends::new(|_| ());
        let mailbox = Arc::new(Mailbox::default());
        let caller = {
            let (mailbox, tickets) = (Arc::clone(&mailbox), [ends.ticket(), ends.ticket()]);
            thread(move || {
                for ticket in tickets {
                    if let Err(refused) = mailbox.push(ticket) {
                        refused.complete(Ok(Done::Nothing));
                    }
                }
            })
        };
        let mut taken = Vec::new();
        mailbox.take(&mut taken);
        // Answered.
        taken.drain(..).for_each(|ticket| ticket.complete(Ok(Done::Nothing)));
        end(&mailbox, &mut taken);
        for ticket in taken {
            ticket.complete(Err(Error::new(ErrorKind::PeerClosed)));
        }
        caller.join().unwrap();
        assert_eq!(ends.count(), 2);
        drop(mailbox);
        assert_eq!(ends.count(), 2, "nothing was left lying");
    });
}

#[test]
fn an_operation_that_meets_a_lane_that_fails_ends_once() {
    handed_over(|mailbox, taken| taken.extend(mailbox.close()));
}

#[test]
fn an_operation_that_meets_a_lane_that_has_nothing_to_do_and_goes_ends_once() {
    handed_over(|mailbox, taken| {
        while !mailbox.close_if_empty() {
            mailbox.take(taken);
        }
    });
}
