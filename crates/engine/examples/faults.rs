//! `npm run test:model` runs worlds of the simulation by this: a line of JSON for each that broke a promise, and one for all.

use memlane_engine::simulation::faults::live;
use serde_json::json;
use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// Panics, which a task of the engine would take with it.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    let (mut from, mut count, mut step) = (1, 1, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
        match (name.as_str(), value) {
            ("--from", Some(value)) => from = value,
            ("--count", Some(value)) => count = value,
            ("--step", Some(value @ 1..)) => step = value,
            _ => {
                eprintln!("faults: {name} is not understood; --from N, --count N, --step N");
                return ExitCode::from(2);
            }
        }
    }
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        tell(panic);
    }));
    let began = Instant::now();
    let (mut operations, mut succeeded, mut faults, mut virtual_s, mut broken) = (0, 0, 0, 0.0, 0);
    let mut digest = String::new();
    for seed in (0..count).map(|index| from + index * step) {
        let panics = PANICS.load(Ordering::Relaxed);
        let mut world = live(seed);
        if PANICS.load(Ordering::Relaxed) > panics {
            world.violations.push("a panic".to_owned());
        }
        operations += world.operations;
        succeeded += world.succeeded;
        faults += world.faults;
        virtual_s += world.virtual_s;
        digest = world.digest;
        if !world.violations.is_empty() {
            broken += 1;
            println!(
                "{}",
                json!({ "seed": seed, "digest": digest, "violations": world.violations })
            );
        }
    }
    let total = json!({
        "worlds": count, "operations": operations, "succeeded": succeeded, "faults": faults, "virtual_s": virtual_s,
        "seconds": began.elapsed().as_secs_f64(), "broken": broken, "last_digest": digest,
    });
    println!("{total}");
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
