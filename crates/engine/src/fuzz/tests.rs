//! Replays the corpus: what fuzzing found once is looked at by every run of the tests.

use super::TARGETS;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The inputs that are kept for a target.
fn corpus(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../suites/fuzz/corpus")
        .join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() > 10, "{} inputs for {name}", inputs.len());
    inputs
}

fn replay(name: &str) {
    let (_, run) = TARGETS.iter().find(|(target, _)| *target == name).unwrap();
    for input in corpus(name) {
        let bytes = fs::read(&input).unwrap();
        let held = std::panic::catch_unwind(|| run(&bytes));
        assert!(
            held.is_ok(),
            "again with: npm run fuzz -- --target {name} --replay {}",
            input.display()
        );
    }
}

#[test]
fn a_stream_of_requests_comes_out_the_same_however_it_is_cut() {
    replay("headers");
}

#[test]
fn nobody_gets_further_than_its_preface_and_its_proof_allow() {
    replay("preface");
}

#[test]
fn a_session_answers_and_stores_what_the_model_says() {
    replay("session");
}

#[test]
fn a_lying_target_ends_each_operation_once_and_touches_no_other_byte() {
    replay("initiator");
}
