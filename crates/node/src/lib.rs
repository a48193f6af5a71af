//! The Node-API binding of the engine: numbers go down, one wake-up per batch of completions comes up.
//!
//! Every function is a module function that takes the number of an attachment and numeric handles: a class method costs
//! three to ten times as much to call. `submit` is the hot path; `attachment` is what one loaded copy of the JavaScript
//! side owns; `completion` is the way back.

#![allow(
    unreachable_pub,
    reason = "the binding macro wants public items and nothing imports this crate"
)]

mod attachment;
mod completion;
mod context;
mod directory;
mod endpoint;
mod error;
mod events;
mod handles;
mod names;
mod numbers;
mod peer;
#[cfg(memlane_asan)]
mod planted;
mod receive;
mod region;
mod stats;
mod submit;
mod view;
