//! The hot paths that are measured, each as a `Path`: by time in `benches/time.rs`, by instructions in
//! `benches/instructions.rs`.

#![cfg(feature = "paths")]

mod completions;
mod engine;
#[path = "../../../crates/node/src/names.rs"]
#[allow(dead_code, reason = "the queue of ends needs one function of it")]
mod names;
#[path = "../../../crates/node/src/numbers.rs"]
#[allow(dead_code, reason = "`names` needs one function of it")]
mod numbers;
mod path;
mod wire;

pub use path::{Path, Steps};

// The queue of ends is a file of the binding, whose crate links only inside Node. It is compiled here as it is, and finds
// this crate where it looks for `napi`; `completions.rs` has the little that it wants of it.
extern crate self as napi;
pub use completions::napi::{Status, threadsafe_function};

/// Every path, in the order in which they are told.
pub fn paths() -> Vec<Path> {
    let mut paths = wire::paths();
    paths.extend(engine::paths());
    paths.extend(completions::paths());
    paths
}
