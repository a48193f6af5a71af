//! What is fuzzed of the engine: plain functions of an input's bytes, which panic where a promise is broken. `suites/fuzz` feeds
//! them, and the tests replay its corpus.
//!
//! Nothing in them is random and no time passes but virtual time, so that an input does the same in every run.

mod headers;
mod initiator;
mod input;
mod line;
mod preface;
mod rig;
mod session;
#[cfg(test)]
mod tests;

use crate::random::seeded;
use tokio::runtime::Builder;

/// A name, and what is done with an input of that name.
pub type Target = (&'static str, fn(&[u8]));

/// Everything that is fuzzed here.
pub const TARGETS: &[Target] = &[
    ("headers", |bytes| play(|| headers::run(bytes))),
    ("preface", |bytes| play(|| preface::run(bytes))),
    ("session", |bytes| play(|| session::run(bytes))),
    ("initiator", |bytes| play(|| initiator::run(bytes))),
];

/// Runs one input on a clock of its own.
fn play<F: Future<Output = ()>>(body: impl FnOnce() -> F) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without a driver needs nothing of the system");
    seeded::set(Some(0));
    runtime.block_on(async { body().await });
    drop(runtime);
    seeded::set(None);
}
