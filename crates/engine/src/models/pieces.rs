//! Large operations that several lanes take apart, while lanes end and operations are given up.

use super::{Ends, explore, thread};
use crate::{
    error::{Error, ErrorKind},
    lane::{
        bulk::{Bulk, BulkQueue, PIECE_BYTES},
        giving_up::GiveUp,
    },
    mailbox::Mailbox,
    op::{Completion, CompletionSink, Done, Operation, OperationKey, Request},
    region::{memory::Memory, span::Span},
};
use std::{collections::HashSet, sync::Arc};

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

#[test]
fn a_large_operation_that_meets_the_last_lane_when_it_fails_is_taken_or_ended() {
    explore(|| {
        let ends = Ends::new(is_told);
        let queue: Arc<BulkQueue> = Arc::default();
        let commands: Arc<Mailbox<()>> = Arc::default();
        let mut membership = queue.join();
        let bulk = large(&queue, &ends, 2);
        let caller = {
            let (queue, commands) = (Arc::clone(&queue), Arc::clone(&commands));
            thread(move || {
                // As a link does: queued first, then told; a lane that is gone is opened anew, and takes what is there.
                queue.push(bulk);
                if commands.push(()).is_err() {
                    let _membership = queue.join();
                    serve(&queue);
                }
            })
        };
        // As a lane does that fails with what it has not looked at yet.
        drop(commands.close());
        membership.failed(&Error::new(ErrorKind::PeerClosed));
        caller.join().unwrap();
        assert_eq!(ends.count(), 1);
        assert!(queue.is_empty());
    });
}
