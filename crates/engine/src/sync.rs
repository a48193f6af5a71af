//! What several threads share is made of these. The models of `models` swap them for loom's, which tries every order in which
//! threads can get through them; nothing else is built with that.
//!
//! Statics keep the real ones: loom's live as long as one order.

#[cfg(memlane_loom)]
mod explored;

#[cfg(memlane_loom)]
pub(crate) use explored::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Notify, Ordering, RwLock,
};
#[cfg(not(memlane_loom))]
pub(crate) use {
    parking_lot::{Condvar, Mutex, MutexGuard, RwLock},
    std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    tokio::sync::Notify,
};
