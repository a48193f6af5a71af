//! Counters: relaxed, written where things happen, read by `stats()`; no decision is taken on them.

use memlane_wire::Status;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows, on a cache line of its own: the callers' threads and the I/O thread count side by side.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one endpoint, as target and as initiator.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    pub(crate) legacy: Counter,
    pub(crate) evicted: Counter,
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    pub(crate) sends: Counter,
    pub(crate) receives: Counter,
    pub(crate) failed: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) bytes_read: Counter,
    pub(crate) bytes_written: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) bytes_received: Counter,
    pub(crate) bytes_served: Counter,
    pub(crate) bytes_stored: Counter,
    pub(crate) protocol_errors: Counter,
    pub(crate) auth_failures: Counter,
    pub(crate) lanes_dialled: Counter,
    pub(crate) lanes_poisoned: Counter,
    rejected: [Counter; Status::ALL.len()],
}

impl Stats {
    /// Counts a refusal by the status that says why, on the legacy wire too, where only a close says it.
    pub(crate) fn reject(&self, status: Status) {
        if let Some(counter) = self.rejected.get(status.wire() as usize) {
            counter.add(1);
        }
    }

    pub(crate) fn snapshot(&self, open: u64, limits: serde_json::Map<String, serde_json::Value>) -> Snapshot {
        Snapshot {
            connections: Connections {
                open,
                accepted: self.accepted.value(),
                refused: self.refused.value(),
                legacy: self.legacy.value(),
                evicted: self.evicted.value(),
            },
            operations: Operations {
                reads: self.reads.value(),
                writes: self.writes.value(),
                sends: self.sends.value(),
                receives: self.receives.value(),
                failed: self.failed.value(),
                timed_out: self.timed_out.value(),
                cancelled: self.cancelled.value(),
            },
            bytes: Bytes {
                read: self.bytes_read.value(),
                written: self.bytes_written.value(),
                sent: self.bytes_sent.value(),
                received: self.bytes_received.value(),
                served: self.bytes_served.value(),
                stored: self.bytes_stored.value(),
            },
            rejected: Status::ALL
                .iter()
                .filter(|status| **status != Status::Ok)
                .map(|status| {
                    (
                        status.name().to_owned(),
                        self.rejected[status.wire() as usize].value().into(),
                    )
                })
                .collect(),
            protocol_errors: self.protocol_errors.value(),
            auth_failures: self.auth_failures.value(),
            lanes: Lanes {
                dialled: self.lanes_dialled.value(),
                poisoned: self.lanes_poisoned.value(),
            },
            limits,
        }
    }
}

/// What `stats()` tells, with the keys that JavaScript sees.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    connections: Connections,
    operations: Operations,
    bytes: Bytes,
    rejected: serde_json::Map<String, serde_json::Value>,
    protocol_errors: u64,
    auth_failures: u64,
    lanes: Lanes,
    limits: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct Connections {
    open: u64,
    accepted: u64,
    refused: u64,
    legacy: u64,
    evicted: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Operations {
    reads: u64,
    writes: u64,
    sends: u64,
    receives: u64,
    failed: u64,
    timed_out: u64,
    cancelled: u64,
}

#[derive(Debug, Serialize)]
struct Bytes {
    read: u64,
    written: u64,
    sent: u64,
    received: u64,
    served: u64,
    stored: u64,
}

#[derive(Debug, Serialize)]
struct Lanes {
    dialled: u64,
    poisoned: u64,
}
