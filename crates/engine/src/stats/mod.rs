//! Counters: relaxed, written where things happen, read by `stats()`; no decision is taken on them but on queued bytes.
//!
//! Everything is counted once, for the smallest thing that has it: a peer, a region, an endpoint as target. What is larger
//! adds up ([`ledger`]): an endpoint its peers and regions, a context its endpoints.

mod ledger;
mod queued;
mod report;

pub(crate) use ledger::{Counted, Ledger};
pub(crate) use queued::{Charge, Queue};
pub(crate) use report::{Lanes, Totals, context_report, endpoint_report, peer_report, region_report};

use memlane_wire::Status;
use report::{Bytes, Connections, Operations};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one peer: what this side has asked of it.
///
/// In the order of who writes them, a cache line each: callers and I/O threads count side by side and take no line from each
/// other.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Stats {
    // Callers.
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    pub(crate) sends: Counter,
    /// Descriptions and pings.
    pub(crate) describes: Counter,
    /// Operations that found a lane missing, or never looked for one.
    pub(crate) dialling: Counter,
    pub(crate) queue: Queue,
    reused_told: AtomicU64,
    closed: AtomicBool,
    /// Processors fetch lines in pairs.
    apart: [u64; 8],
    // Whoever ends operations: an I/O thread.
    pub(crate) ended: Counter,
    pub(crate) failed: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) bytes_read: Counter,
    pub(crate) bytes_written: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) protocol_errors: Counter,
    pub(crate) lanes_dialled: Counter,
    pub(crate) lanes_poisoned: Counter,
}

const _: () = assert!(std::mem::offset_of!(Stats, ended) == 128);

impl Stats {
    /// For a peer that may have `most_queued` bytes of private copies at once.
    pub(crate) fn new(most_queued: u64) -> Self {
        Self {
            queue: Queue::new(most_queued),
            ..Self::default()
        }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Counts one that ended before it could be handed over as if it had been: nothing fails that was not counted.
    pub(crate) fn refuse(&self, operation: &str) {
        self.dialling.add(1);
        let kind = match operation {
            "read" => &self.reads,
            "write" => &self.writes,
            "send" => &self.sends,
            _ => &self.describes,
        };
        kind.add(1);
        self.ended.add(1);
    }

    /// Operations that needed no dial. Never less than it told before: the two numbers that it is made of are counted one
    /// after the other, and whoever asks in between would see it fall.
    fn reused(&self) -> u64 {
        let dialling = self.dialling.value();
        let reused = self.issued().saturating_sub(dialling);
        self.reused_told.fetch_max(reused, Ordering::Relaxed).max(reused)
    }

    fn issued(&self) -> u64 {
        self.reads.value() + self.writes.value() + self.sends.value() + self.describes.value()
    }
}

impl Counted for Stats {
    fn totals(&self) -> Totals {
        // What ended before what began: seen the other way round, more might have ended, or failed, than began.
        let ended = self.ended.value();
        let (timed_out, cancelled) = (self.timed_out.value(), self.cancelled.value());
        let failed = self.failed.value();
        Totals {
            operations: Operations {
                reads: self.reads.value(),
                writes: self.writes.value(),
                sends: self.sends.value(),
                describes: self.describes.value(),
                failed,
                timed_out,
                cancelled,
                in_flight: self.issued().saturating_sub(ended),
                ..Operations::default()
            },
            bytes: Bytes {
                read: self.bytes_read.value(),
                written: self.bytes_written.value(),
                sent: self.bytes_sent.value(),
                ..Bytes::default()
            },
            lanes: Lanes {
                dialled: self.lanes_dialled.value(),
                reused: self.reused(),
                poisoned: self.lanes_poisoned.value(),
                ..Lanes::default()
            },
            protocol_errors: self.protocol_errors.value(),
            queued_bytes: self.queue.bytes(),
            peers: u64::from(!self.closed.load(Ordering::Relaxed)),
            ..Totals::default()
        }
    }
}

/// The counters of one region: what peers did to it. Written by the I/O threads of its endpoint.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct RegionStats {
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    pub(crate) served: Counter,
    pub(crate) stored: Counter,
}

impl Counted for RegionStats {
    fn totals(&self) -> Totals {
        Totals {
            bytes: Bytes {
                served: self.served.value(),
                stored: self.stored.value(),
                ..Bytes::default()
            },
            ..Totals::default()
        }
    }
}

/// The counters of one endpoint as target, and those of its peers and regions.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct EndpointStats {
    pub(crate) accepted: Counter,
    pub(crate) disconnected: Counter,
    pub(crate) refused: Counter,
    pub(crate) legacy: Counter,
    pub(crate) evicted: Counter,
    pub(crate) receives: Counter,
    pub(crate) bytes_received: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) protocol_errors: Counter,
    pub(crate) auth_failures: Counter,
    rejected: [Counter; Status::ALL.len()],
    pub(crate) peers: Ledger<Stats>,
    pub(crate) regions: Arc<Ledger<RegionStats>>,
    closed: AtomicBool,
}

impl EndpointStats {
    /// Counts a refusal by the status that says why, on the legacy wire too, where only a close says it.
    pub(crate) fn reject(&self, status: Status) {
        if let Some(counter) = self.rejected.get(status.wire() as usize) {
            counter.add(1);
        }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

impl Counted for EndpointStats {
    fn totals(&self) -> Totals {
        let disconnected = self.disconnected.value();
        let mut totals = Totals {
            connections: Connections {
                open: self.accepted.value().saturating_sub(disconnected),
                accepted: self.accepted.value(),
                refused: self.refused.value(),
                legacy: self.legacy.value(),
                evicted: self.evicted.value(),
            },
            operations: Operations {
                receives: self.receives.value(),
                timed_out: self.timed_out.value(),
                ..Operations::default()
            },
            bytes: Bytes {
                received: self.bytes_received.value(),
                ..Bytes::default()
            },
            rejected: std::array::from_fn(|status| self.rejected[status].value()),
            protocol_errors: self.protocol_errors.value(),
            auth_failures: self.auth_failures.value(),
            ..Totals::default()
        };
        totals += self.peers.totals();
        totals += self.regions.totals();
        totals
    }
}
