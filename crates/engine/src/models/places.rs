//! Places of accepted connections: never more than the limits, each given back, and whoever waits for the last hears of it.

use super::{block_on, explore, thread};
use crate::{
    config::Limits,
    sync::{AtomicUsize, Ordering},
    target::Target,
};
use std::sync::Arc;
use tokio::time::Instant;

fn target(most: u64, of_one_source: u64) -> Arc<Target> {
    let limits = Limits {
        max_connections: most,
        max_connections_per_source: of_one_source,
        ..Limits::default()
    };
    Target::new(Arc::new(limits)).unwrap()
}

const FROM: [&str; 2] = ["127.0.0.1:9", "127.0.0.2:9"];

#[test]
fn no_more_connections_have_a_place_than_the_limits_say_and_each_gives_its_own_back() {
    for (most, of_one_source, from) in [(1, 9, FROM), (9, 1, [FROM[0], FROM[0]])] {
        explore(move || {
            let (target, there) = (target(most, of_one_source), Arc::new(AtomicUsize::new(0)));
            let come = move |target: &Arc<Target>, there: &AtomicUsize, from: &str| {
                if let Some(admission) = target.admit(from.parse().unwrap()) {
                    assert_eq!(there.fetch_add(1, Ordering::SeqCst), 0);
                    there.fetch_sub(1, Ordering::SeqCst);
                    drop(admission);
                }
            };
            let other = {
                let (target, there) = (Arc::clone(&target), Arc::clone(&there));
                thread(move || (0..2).for_each(|_| come(&target, &there, from[0])))
            };
            come(&target, &there, from[1]);
            other.join().unwrap();
            assert!(target.admit(from[0].parse().unwrap()).is_some(), "all are free again");
        });
    }
}

#[test]
fn whoever_closes_an_endpoint_hears_when_the_last_connection_has_gone_and_none_comes_behind_it() {
    explore(|| {
        let target = target(9, 9);
        let first = target.admit(FROM[0].parse().unwrap());
        let sessions = {
            let target = Arc::clone(&target);
            thread(move || {
                let second = target.admit(FROM[1].parse().unwrap());
                drop(first);
                drop(second);
            })
        };
        target.close(Instant::now());
        block_on(target.sessions_ended());
        assert!(target.admit(FROM[0].parse().unwrap()).is_none());
        sessions.join().unwrap();
    });
}
