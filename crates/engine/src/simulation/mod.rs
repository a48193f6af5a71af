//! Thousands of processes in one, on virtual time: the engine's own contexts, peers, links, lanes, back-off and sessions over
//! a network in memory. `npm run simulate` runs it; `docs/scale.md` tells what came of it.
//!
//! The same seed gives the same trace: one thread, a clock that moves when everybody waits, random numbers by seed. Time that
//! a processor needs is not in it, time that somebody waits is.

pub mod faults;
mod fleet;
mod network;
mod restart;
mod room;
mod slow;
#[cfg(test)]
mod tests;
mod trace;

use crate::{random::seeded, region::address::begin_world};
use serde_json::{Value, json};
use std::{sync::Arc, time::Instant};
use tokio::runtime::Builder;
use trace::Trace;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Processes.
    pub peers: u32,
    /// Everything that is random follows from it.
    pub seed: u64,
    /// Bytes that the program has allocated now.
    pub heap: fn() -> usize,
}

/// All scenarios: what they measured, and a digest of everything that happened, by which two runs are told apart.
pub fn run(options: Options) -> Value {
    let Options { peers, seed, .. } = options;
    let scenarios = [
        ("room", scenario(options, room::run)),
        ("restart", scenario(options, restart::run)),
        ("slow", scenario(options, slow::run)),
    ];
    let digests = scenarios
        .iter()
        .map(|(_, report)| report["digest"].as_str().unwrap_or_default());
    let digest = trace::digest_of(digests);
    let mut report = json!({ "peers": peers, "seed": seed, "digest": digest });
    for (name, scenario) in scenarios {
        report[name] = scenario;
    }
    report
}

/// One run's world: what its scenarios are about, and what is noted of them.
struct World {
    options: Options,
    trace: Arc<Trace>,
}

fn scenario(options: Options, body: impl AsyncFnOnce(&World) -> Value) -> Value {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let Ok(runtime) = runtime else { return Value::Null };
    seeded::set(Some(options.seed));
    begin_world();
    let began = Instant::now();
    let mut report = runtime.block_on(async {
        let trace = Arc::new(Trace::new());
        let world = World {
            options,
            trace: Arc::clone(&trace),
        };
        let mut report = body(&world).await;
        report["events"] = json!(trace.events());
        report["digest"] = json!(trace.digest());
        report["virtual_s"] = json!(trace.elapsed().as_secs_f64());
        report
    });
    // What is dropped with it still draws numbers.
    drop(runtime);
    seeded::set(None);
    report["processor_s"] = json!((began.elapsed().as_secs_f64() * 100.0).round() / 100.0);
    report
}
