//! The small form of the simulation: the same code as `npm run simulate`, with 200 processes.

use super::{Options, run};
use serde_json::Value;

fn simulated(peers: u32, seed: u64) -> Value {
    run(Options {
        peers,
        seed,
        heap: || 0,
    })
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let digest = |seed| simulated(20, seed)["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest(7), digest(7));
    assert_ne!(digest(7), digest(8));
}

#[test]
fn all_connect_and_read_where_the_limits_have_room() {
    let report = simulated(200, 1);
    assert_eq!(report["room"]["first_read"]["count"], 200);
    assert_eq!(report["room"]["failed"], 0);
}

#[test]
fn after_an_outage_all_come_back_within_half_a_second_and_not_in_step() {
    let report = simulated(200, 2);
    for outage in report["restart"]["outages"].as_array().unwrap() {
        let recovered = &outage["recovered"];
        assert_eq!(recovered["count"], 200, "{outage}");
        // The longest wait, connecting, and a description before the read.
        assert!(recovered["most_ms"].as_f64().unwrap() < 600.0, "{outage}");
        // One window of 25 in which all of them dial would be a herd.
        let busiest = outage["busiest_10_ms_after_a_second"].as_u64().unwrap();
        assert!(busiest <= 40, "{outage}");
    }
}

#[test]
fn a_peer_that_is_slow_or_silent_moves_nobody_elses_reads_and_its_own_end_by_their_deadlines() {
    let report = simulated(200, 3);
    for name in ["one_reads_from_all", "all_read_from_one"] {
        let runs = &report["slow"][name];
        assert_eq!(runs["nobody"]["others"]["reads"]["count"], 199 * 20);
        assert_eq!(runs["others_unmoved"], true, "{runs}");
        assert_eq!(runs["one_slow"]["the_slow_one"]["reads"]["count"], 20);
        let silent = &runs["one_silent"]["the_slow_one"];
        assert_eq!(silent["failures"]["ERR_TIMEOUT"], 20);
        // The deadline of each read, on a clock of whole milliseconds.
        assert!(
            silent["failed_after"]["most_ms"].as_f64().unwrap() <= 1001.0,
            "{silent}"
        );
    }
}
