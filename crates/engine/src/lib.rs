//! Memory regions served and reached over TCP. Knows nothing of Node.
//!
//! The way of one operation, top to bottom and back: [`endpoint`] and [`peer`] take it, `lane` puts it on the wire,
//! `session` on the other side checks it against the `region` registry and moves the bytes straight between socket and
//! memory, and its end comes back through the lane's in-flight table to the operation's [`op::Ticket`].
//! `docs/architecture.md` walks through it step by step.

pub mod auth;
mod backoff;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
pub mod collection;
pub mod config;
pub mod context;
pub mod endpoint;
pub mod error;
pub mod events;
mod fence;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod info;
mod io;
mod lane;
mod link;
pub mod log;
mod mailbox;
#[cfg(all(test, memlane_loom))]
mod models;
mod network;
mod notify;
pub mod op;
pub mod peer;
mod random;
mod recv;
pub mod region;
mod roster;
mod session;
mod shared;
#[cfg(any(test, feature = "simulation"))]
#[doc(hidden)]
pub mod simulation;
mod stats;
mod sync;
mod target;
pub mod tls;
mod weak;

pub use info::{instance_from, instance_text};
pub use memlane_wire::{Mode, Status};
pub use notify::NOTIFICATION_BYTES;

#[cfg(test)]
mod tests;
