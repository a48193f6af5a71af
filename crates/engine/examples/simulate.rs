//! `npm run simulate -- --peers 10000 --seed 1`: thousands of processes on virtual time; the report is JSON.

use memlane_engine::simulation::{Options, run};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

/// The system's allocator, counting.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with what it was called with; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the contract is that of the trait.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the contract is that of the trait.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `block` came from `alloc` above with this layout, hence from the system's.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let mut options = Options {
        peers: 10_000,
        seed: 1,
        heap: || ALLOCATED.load(Ordering::Relaxed),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
        match (name.as_str(), value) {
            ("--peers", Some(peers @ 1..=1_000_000)) => options.peers = peers as u32,
            ("--seed", Some(seed)) => options.seed = seed,
            _ => {
                eprintln!("simulate: {name} is not understood; --peers N (1 to 1,000,000), --seed N");
                return ExitCode::from(2);
            }
        }
    }
    println!("{:#}", run(options));
    ExitCode::SUCCESS
}
