//! Large operations that several lanes take apart, while lanes end and operations are given up.

use super::{Ends, explore, explore_within, thread};
use crate::{
    error::{Error, ErrorKind},
    lane::{
        bulk::{Bulk, BulkQueue, Membership, PIECE_BYTES},
        giving_up::GiveUp,
    },
    mailbox::Mailbox,
    op::{Completion, CompletionSink, Done, Operation, OperationKey, Request},
    region::{memory::Memory, span::Span},
};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A write of so many pieces, none of whose pages is touched.
fn large(queue: &BulkQueue, ends: &Arc<Ends<impl Fn(Completion) + Send + Sync + 'static>>, pieces: usize) -> Bulk {
    let from = Span::whole(Memory::private(pieces * PIECE_BYTES).unwrap());
    let operation = Operation {
        ticket: ends.ticket(),
        request: Request::Write { addr: 0, from },
        timeout: None,
    };
    Bulk::take_apart(operation, || queue.holders()).unwrap_or_else(|_| unreachable!())
}

/// Not ended by what drops it last, for want of anybody who tells the end.
fn is_told(completion: Completion) {
    let forgotten = matches!(completion.result, Err(error) if error.kind() == ErrorKind::Closed);
    assert!(!forgotten);
}

/// What a lane does with the pieces that it finds.
fn serve(queue: &BulkQueue) {
    while let Some(piece) = queue.next() {
        drop(piece.span);
        piece.waiter.end(Ok(Done::Nothing));
    }
}

#[test]
fn every_piece_is_taken_once_by_one_of_two_lanes() {
    explore(|| {
        let ends = Ends::new(|completion| assert_eq!(completion.result.unwrap(), Done::Bytes(3 * PIECE_BYTES as u64)));
        let queue: Arc<BulkQueue> = Arc::default();
        queue.push(large(&queue, &ends, 3));
        let other = {
            let queue = Arc::clone(&queue);
            thread(move || serve(&queue))
        };
        serve(&queue);
        other.join().unwrap();
        assert_eq!(ends.count(), 1);
    });
}

#[test]
fn a_cancel_beside_lanes_that_take_pieces_ends_the_operation_once() {
    explore(|| {
        let ends = Ends::new(is_told);
        let queue: Arc<BulkQueue> = Arc::default();
        queue.push(large(&queue, &ends, 2));
        let lane = {
            let queue = Arc::clone(&queue);
            thread(move || serve(&queue))
        };
        let key = OperationKey::new(Arc::clone(&ends) as Arc<dyn CompletionSink>, 0);
        queue.give_up(&GiveUp::Cancelled(&HashSet::from([key])));
        lane.join().unwrap();
        assert_eq!(ends.count(), 1);
        assert!(queue.is_empty());
    });
}

/// What a lane is told by: numbers of operations.
type Told = Arc<Mailbox<u64>>;

/// Lanes of a link, what comes of one large operation that they meet, and how it ended.
#[derive(Default)]
struct World {
    queue: Arc<BulkQueue>,
    lanes: [Told; 2],
    ended_well: Arc<AtomicBool>,
}

impl World {
    /// The operation comes, on a thread of its own; whether it may end with the error of a lane, because the first one was told of
    /// it, or none `opens`.
    fn comes(
        &self,
        ends: &Arc<Ends<impl Fn(Completion) + Send + Sync + 'static>>,
        opens: bool,
    ) -> loom::thread::JoinHandle<bool> {
        let bulk = large(&self.queue, ends, 2);
        let (queue, lanes) = (Arc::clone(&self.queue), self.lanes.clone());
        thread(move || {
            // As a link does: queued first, then told; a lane that is gone is opened anew, and takes what is there.
            let number = queue.push(bulk);
            let is_told = lanes[0].push(number).is_ok();
            if !is_told && opens {
                let _membership = queue.join();
                serve(&queue);
            } else if !is_told {
                queue.is_not_served(number, &Error::new(ErrorKind::PeerClosed));
            }
            let _ = lanes[1].push(number);
            is_told || !opens
        })
    }

    fn ends(&self) -> Arc<Ends<impl Fn(Completion) + Send + Sync + use<>>> {
        let ended_well = Arc::clone(&self.ended_well);
        Ends::new(move |completion| match completion.result {
            Ok(done) => {
                assert_eq!(done, Done::Bytes(2 * PIECE_BYTES as u64));
                ended_well.store(true, Ordering::Relaxed);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::PeerClosed),
        })
    }
}

/// A lane that has nothing to do, again and again, until it goes.
fn go(queue: &BulkQueue, lane: &Told, mut membership: Membership) {
    while !membership.goes(lane) {
        let mut told = Vec::new();
        lane.take(&mut told);
        told.into_iter().for_each(|number| membership.told(number));
        serve(queue);
    }
    // As a lane that is dropped.
    membership.failed(&Error::new(ErrorKind::Closed));
}

/// A lane that fails with what it has not looked at yet.
fn fail(_: &BulkQueue, lane: &Told, mut membership: Membership) {
    lane.close().into_iter().for_each(|number| membership.told(number));
    membership.failed(&Error::new(ErrorKind::PeerClosed));
}

/// A lane whose connection has ended, and that dials again where there is anything to dial for.
fn end(queue: &BulkQueue, lane: &Told, mut membership: Membership) {
    loop {
        let mut told = Vec::new();
        lane.take(&mut told);
        if !told.is_empty() && !queue.is_empty() || membership.stays(&Error::new(ErrorKind::PeerClosed)) {
            return go(queue, lane, membership);
        }
        if lane.close_if_empty() {
            return;
        }
        membership.rejoin();
    }
}

type Course = fn(&BulkQueue, &Told, Membership);

#[derive(Clone, Copy, PartialEq)]
enum Next {
    /// A lane that is gone is opened anew.
    Opens,
    /// That fails.
    Fails,
}

/// A large operation meets lanes that do this: it ends once, and well, unless it `may_fail` with a lane that was told of it.
fn met(courses: &'static [Course], next: Next, may_fail: bool) {
    // Of three threads there are too many orders.
    let preemptions = (courses.len() > 1).then_some(3);
    explore_within(preemptions, move || {
        let world = World::default();
        // One that is not there is refused.
        world.lanes[courses.len()..].iter().for_each(|lane| drop(lane.close()));
        let ends = world.ends();
        let memberships: Vec<_> = courses.iter().map(|_| world.queue.join()).collect();
        let comes = world.comes(&ends, next == Next::Opens);
        let mut lanes: Vec<_> = std::iter::zip(courses, memberships).zip(world.lanes.clone()).collect();
        let ((course, membership), lane) = lanes.remove(0);
        let others: Vec<_> = lanes
            .into_iter()
            .map(|((course, membership), lane)| {
                let queue = Arc::clone(&world.queue);
                thread(move || course(&queue, &lane, membership))
            })
            .collect();
        course(&world.queue, &lane, membership);
        others.into_iter().for_each(|other| other.join().unwrap());
        let is_lost = comes.join().unwrap();
        assert_eq!(ends.count(), 1);
        assert!(world.queue.is_empty());
        assert!(world.ended_well.load(Ordering::Relaxed) || is_lost && may_fail);
    });
}

#[test]
fn a_large_operation_that_meets_the_last_lane_when_it_goes_for_idleness_is_served() {
    met(&[go], Next::Opens, false);
}

#[test]
fn a_large_operation_that_meets_the_last_lane_when_it_fails_is_served_unless_the_lane_was_told_of_it() {
    met(&[fail], Next::Opens, true);
}

#[test]
fn a_large_operation_that_meets_the_last_lane_when_its_connection_ends_is_served() {
    met(&[end], Next::Opens, false);
}

#[test]
fn a_large_operation_that_meets_two_lanes_that_go_is_served() {
    met(&[go, go], Next::Opens, false);
    met(&[end, go], Next::Opens, false);
}

#[test]
fn a_large_operation_that_meets_two_lanes_of_which_one_fails_is_served_unless_that_was_told_of_it() {
    met(&[fail, go], Next::Opens, true);
    met(&[fail, fail], Next::Opens, true);
    met(&[fail, end], Next::Opens, true);
}

#[test]
fn a_large_operation_for_which_no_lane_can_be_opened_ends_or_is_served_by_one_that_is_there() {
    met(&[fail], Next::Fails, true);
    met(&[fail, go], Next::Fails, true);
    met(&[fail, fail], Next::Fails, true);
}
