//! Operations of several parts, whose parts end on several threads.

use super::{Bytes, Ends, explore, thread};
use crate::{
    error::{Error, ErrorKind},
    op::{Done, PartHolders, Parts},
};
use memlane_wire::Opcode;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

#[derive(Debug, Default)]
struct Holders(AtomicUsize);

impl PartHolders for Holders {
    fn part_failed(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn failed(kind: ErrorKind) -> Result<(), Error> {
    Err(Error::new(kind))
}

/// One thread for each list of results; the operation ends once, as `expected` says, and then its memory is quiet.
fn ended(results: fn() -> [Vec<Result<(), Error>>; 2], expected: fn(Result<Done, Error>)) {
    explore(move || {
        let memory: Arc<[Bytes; 2]> = Arc::default();
        let touched = Arc::clone(&memory);
        let ends = Ends::new(move |completion| {
            // Whoever hears of the end may use the memory of every part.
            touched.iter().for_each(Bytes::are_quiet);
            expected(completion.result);
        });
        let holders = Arc::new(Holders::default());
        let known: Arc<dyn PartHolders> = Arc::clone(&holders) as _;
        let results = results();
        let pieces = results.iter().map(Vec::len).sum::<usize>() as u32;
        let fails = results.iter().flatten().any(Result::is_err);
        let parts = Parts::new(ends.ticket(), pieces, 7, Opcode::Write, false, Arc::downgrade(&known));
        let lanes: Vec<_> = results
            .into_iter()
            .enumerate()
            .map(|(lane, results)| {
                let (parts, memory) = (Arc::clone(&parts), Arc::clone(&memory));
                thread(move || {
                    for result in results {
                        // What a lane does last with a part is to let go of its memory.
                        memory[lane].store();
                        parts.finish(1, 0, result);
                    }
                })
            })
            .collect();
        lanes.into_iter().for_each(|lane| lane.join().unwrap());
        assert_eq!(ends.count(), 1);
        assert_eq!(parts.has_failed(), fails);
        assert!(holders.0.load(Ordering::Relaxed) <= 1, "the others are told once");
        drop(parts);
        assert_eq!(ends.count(), 1);
    });
}

#[test]
fn an_operation_ends_once_with_the_last_of_its_parts_and_its_memory_is_quiet_then() {
    ended(
        || [vec![Ok(()), Ok(())], vec![Ok(())]],
        |result| assert_eq!(result.unwrap(), Done::Bytes(7)),
    );
}

#[test]
fn of_parts_that_fail_on_two_lanes_one_says_how_the_operation_ends_and_it_says_that_it_is_half_done() {
    ended(
        || [vec![Ok(()), failed(ErrorKind::Limit)], vec![failed(ErrorKind::Timeout)]],
        |result| {
            let error = result.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Limit | ErrorKind::Timeout));
            assert!(error.is_outcome_unknown(), "a part of it has been applied");
        },
    );
}

#[test]
fn whoever_sees_that_a_part_has_failed_sees_with_what() {
    explore(|| {
        let ends = Ends::new(|_| ());
        let holders: Arc<dyn PartHolders> = Arc::<Holders>::default();
        let parts = Parts::new(ends.ticket(), 2, 7, Opcode::Read, false, Arc::downgrade(&holders));
        let failing = {
            let parts = Arc::clone(&parts);
            thread(move || parts.finish(1, 0, failed(ErrorKind::Timeout)))
        };
        if parts.has_failed() {
            assert_eq!(parts.error().map(|error| error.kind()), Some(ErrorKind::Timeout));
        }
        parts.finish(1, 0, Ok(()));
        failing.join().unwrap();
        assert_eq!(ends.count(), 1);
    });
}
