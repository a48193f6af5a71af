//! Runs every path a fixed number of times, for callgrind to count `measured` alone.
//!
//! usage: instructions [TEXT]: the paths whose name has it. Prints a line for each, in the order in which callgrind's parts come:
//! calls, operations of a call, name.

use memlane_micro::{Steps, paths};
use std::{env, hint::black_box};

/// Calls before it counts: buffers have grown, the allocator has its bins.
const WARM: u32 = 3;
/// Calls that count.
const CALLS: u32 = 2;

/// What callgrind counts, told by its name; a part ends with each return.
#[inline(never)]
fn measured(steps: &mut dyn Steps) -> bool {
    steps.run();
    // Something to come back for: a call in the last place would be a jump, which callgrind does not see the end of.
    black_box(true)
}

fn main() {
    let only = env::args().nth(1).unwrap_or_default();
    for path in paths().into_iter().filter(|path| path.name.contains(&only)) {
        let mut steps = (path.make)();
        for _ in 0..WARM {
            steps.prepare();
            steps.run();
        }
        for _ in 0..CALLS {
            steps.prepare();
            assert!(measured(&mut *steps));
        }
        println!("{CALLS} {} {}", path.operations, path.name);
    }
}
