//! What happened in a world, and what should not have.

use super::{
    super::trace::{Happening, Trace},
    Outcome,
};
use crate::{
    error::Error,
    op::{Completion, CompletionSink, Done},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    mem::take,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

/// How much later than its deadline an operation may end: tokio's clock goes by whole milliseconds.
const SLACK: Duration = Duration::from_millis(5);

/// Everything that is counted and checked.
///
/// - Each operation ends exactly once, by its deadline.
/// - A write that succeeded is in memory then; one that failed for certain never is (`slots`).
/// - Nothing of an operation's memory is touched when it has ended: what was read into it is overwritten then and looked at in
///   the end, what was written from it is overwritten with bytes that must never turn up anywhere.
/// - No byte of a region changes when its `close` has resolved.
/// - A message arrives once, if its send succeeded, and never if it failed for certain.
/// - In the end nothing is queued and nothing in flight; every connection has been given back (`ending`).
/// - A connection that is cut, or a peer that is started anew, costs at most one failed operation of a lane, and a second.
pub(super) struct Ledger {
    trace: Trace,
    state: Mutex<State>,
    began: AtomicU64,
}

#[derive(Default)]
struct State {
    ends: Vec<Arc<Ends>>,
    succeeded: u64,
    faults: u64,
    violations: Vec<String>,
    /// Memory that nobody may touch any more: what it is, and whether it is as it was left.
    quiet: Vec<(String, Box<dyn Fn() -> bool + Send>)>,
    /// Messages, by the number of their send.
    received: BTreeSet<u64>,
    sent: BTreeSet<u64>,
    refused: BTreeSet<u64>,
}

/// The ends of one operation, of which there is to be one.
pub(super) struct Ends {
    pub(super) id: u64,
    name: &'static str,
    told: Mutex<Vec<Result<Done, Error>>>,
    first: Notify,
}

impl CompletionSink for Ends {
    fn complete(&self, completion: Completion) -> bool {
        self.told.lock().push(completion.result);
        self.first.notify_one();
        false
    }
}

impl Ledger {
    pub(super) fn new(trace: Trace) -> Self {
        Self {
            trace,
            state: Mutex::default(),
            began: AtomicU64::new(0),
        }
    }

    pub(super) fn note(&self, what: Happening, who: u64) {
        if matches!(what, Happening::Fault) {
            self.state.lock().faults += 1;
        }
        self.trace.note(what, who);
    }

    pub(super) fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            let what = format!("{:.3} s: {}", self.trace.elapsed().as_secs_f64(), what());
            self.state.lock().violations.push(what);
        }
    }

    /// A number for the next operation, and where its end is told.
    pub(super) fn begin(&self, name: &'static str) -> Arc<Ends> {
        let id = self.began.fetch_add(1, Ordering::Relaxed);
        self.trace.note(Happening::Began, id);
        let ends = Arc::new(Ends {
            id,
            name,
            told: Mutex::default(),
            first: Notify::new(),
        });
        self.state.lock().ends.push(Arc::clone(&ends));
        ends
    }

    /// The end of an operation, which is to come within this time; `None` when it does not.
    pub(super) async fn end(&self, ends: &Ends, within: Duration) -> Option<Result<Done, Error>> {
        let began = Instant::now();
        let in_time = timeout(within + SLACK, ends.first.notified()).await.is_ok();
        self.expect(in_time, || {
            format!("{} {} has not ended within {within:?}", ends.name, ends.id)
        });
        if !in_time {
            // So much later, or never: that is to be known.
            let late = timeout(Duration::from_secs(100), ends.first.notified()).await.is_ok();
            let after = began.elapsed();
            self.expect(false, || {
                format!(
                    "… it has {}",
                    if late {
                        format!("after {after:?}")
                    } else {
                        "never".into()
                    }
                )
            });
        }
        let result = ends.told.lock().first().cloned();
        let code = match &result {
            None => 0,
            Some(Ok(_)) => 1,
            Some(Err(error)) => 2 + error.kind() as u64 * 2 + u64::from(error.is_outcome_unknown()),
        };
        self.trace.note(Happening::Ended, ends.id << 8 | code);
        if code == 1 {
            self.state.lock().succeeded += 1;
        }
        result
    }

    /// Nobody may touch this any more.
    pub(super) fn quiet(&self, what: String, is_quiet: impl Fn() -> bool + Send + 'static) {
        self.state.lock().quiet.push((what, Box::new(is_quiet)));
    }

    pub(super) fn received(&self, send: u64) {
        let is_first = self.state.lock().received.insert(send);
        self.expect(is_first, || format!("the message of send {send} was received twice"));
    }

    pub(super) fn sent(&self, send: u64, result: &Result<Done, Error>) {
        let mut state = self.state.lock();
        match result {
            Ok(_) => state.sent.insert(send),
            Err(error) if !error.is_outcome_unknown() => state.refused.insert(send),
            Err(_) => false,
        };
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.trace.elapsed()
    }

    /// What is to hold when nobody does anything any more.
    pub(super) fn close(&self) {
        let (ends, quiet, received, sent, refused) = {
            let mut state = self.state.lock();
            let State {
                ends,
                quiet,
                received,
                sent,
                refused,
                ..
            } = &mut *state;
            (take(ends), take(quiet), take(received), take(sent), take(refused))
        };
        for ends in ends {
            let count = ends.told.lock().len();
            self.expect(count == 1, || {
                format!("{} {} has ended {count} times", ends.name, ends.id)
            });
        }
        for (what, is_quiet) in quiet {
            self.expect(is_quiet(), || what);
        }
        for send in sent.difference(&received) {
            self.expect(false, || format!("send {send} succeeded and nobody has received it"));
        }
        for send in refused.intersection(&received) {
            self.expect(false, || format!("send {send} failed for certain and was received"));
        }
    }

    pub(super) fn outcome(&self, seed: u64) -> Outcome {
        let state = self.state.lock();
        Outcome {
            seed,
            operations: self.began.load(Ordering::Relaxed),
            succeeded: state.succeeded,
            faults: state.faults,
            virtual_s: self.trace.elapsed().as_secs_f64(),
            digest: self.trace.digest(),
            violations: state.violations.clone(),
        }
    }
}
