//! What happened and when, as a digest; and how numbers are told.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// What is noted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Dialled = 1,
    Refused,
    Accepted,
    Cut,
    Read,
    Failed,
    Began,
    Ended,
    Fault,
}

/// Everything that happened, in its order, as one number.
#[derive(Debug)]
pub(super) struct Trace {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    digest: u64,
    events: u64,
    dials: Vec<u64>,
}

const FNV: (u64, u64) = (0xcbf2_9ce4_8422_2325, 0x0000_0100_0000_01b3);

fn absorb(digest: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(digest, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(FNV.1))
}

/// One digest for all of these.
pub(super) fn digest_of<'a>(digests: impl Iterator<Item = &'a str>) -> String {
    format!(
        "{:016x}",
        digests.fold(FNV.0, |digest, one| absorb(digest, one.as_bytes()))
    )
}

impl Trace {
    pub(super) fn new() -> Self {
        let state = State {
            digest: FNV.0,
            events: 0,
            dials: Vec::new(),
        };
        Self {
            began: Instant::now(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn note(&self, what: Happening, who: u64) {
        let at = self.micros();
        let mut state = self.state.lock();
        let digest = absorb(state.digest, &[what as u8]);
        state.digest = absorb(absorb(digest, &who.to_le_bytes()), &at.to_le_bytes());
        state.events += 1;
        if matches!(what, Happening::Dialled) {
            state.dials.push(at);
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn micros(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn events(&self) -> u64 {
        self.state.lock().events
    }

    pub(super) fn digest(&self) -> String {
        format!("{:016x}", self.state.lock().digest)
    }

    /// When dials began, in microseconds, since it was last asked.
    pub(super) fn take_dials(&self) -> Vec<u64> {
        std::mem::take(&mut self.state.lock().dials)
    }
}

/// Percentiles of microseconds, in milliseconds.
pub(super) fn percentiles(mut micros: Vec<u64>) -> Value {
    micros.sort_unstable();
    let at = |share: f64| {
        let rank = (micros.len() as f64 * share).ceil() as usize;
        micros.get(rank.saturating_sub(1)).map(|value| *value as f64 / 1000.0)
    };
    json!({ "count": micros.len(), "p50_ms": at(0.5), "p99_ms": at(0.99), "p99_9_ms": at(0.999), "most_ms": at(1.0) })
}

/// Most events within `window` microseconds, by windows that begin at multiples of it.
pub(super) fn busiest(micros: &[u64], window: u64) -> usize {
    let mut most = 0;
    for run in micros.chunk_by(|one, next| one / window == next / window) {
        most = most.max(run.len());
    }
    most
}
