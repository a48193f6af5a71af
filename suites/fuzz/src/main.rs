//! libFuzzer's way into the engine: `MEMLANE_FUZZ_TARGET` names what is fed. `npm run fuzz` builds and runs it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use memlane_engine::fuzz::TARGETS;
use std::sync::OnceLock;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("MEMLANE_FUZZ_TARGET").unwrap_or_default();
        let Some((_, run)) = TARGETS.iter().find(|(target, _)| *target == name) else {
            eprintln!("MEMLANE_FUZZ_TARGET names no target: {name:?}");
            std::process::exit(2);
        };
        let _ = TARGET.set(*run);
    },
    |bytes: &[u8]| {
        if let Some(run) = TARGET.get() {
            run(bytes);
        }
    }
);
