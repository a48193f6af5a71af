//! What `stats()` tells, with the keys that JavaScript sees.

use crate::config::Limits;
use memlane_wire::Status;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::ops::AddAssign;

macro_rules! sums {
    ($($name:ident { $($field:ident),* })*) => {
        $(
            #[derive(Clone, Copy, Debug, Default, Serialize)]
            #[serde(rename_all = "camelCase")]
            pub(crate) struct $name {
                $(pub(crate) $field: u64,)*
            }

            impl AddAssign for $name {
                fn add_assign(&mut self, other: Self) {
                    $(self.$field += other.$field;)*
                }
            }
        )*
    };
}

sums! {
    Connections { open, accepted, refused, legacy, evicted }
    Operations { reads, writes, sends, describes, receives, failed, timed_out, cancelled, in_flight }
    Bytes { read, written, sent, received, served, stored }
    Lanes { open, dialled, reused, poisoned }
}

/// All there is to add up. What goes up and down as well is 0 for whatever has gone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) connections: Connections,
    pub(crate) operations: Operations,
    pub(crate) bytes: Bytes,
    /// `open` is for whoever knows the links: peers share them.
    pub(crate) lanes: Lanes,
    pub(crate) rejected: [u64; Status::ALL.len()],
    pub(crate) protocol_errors: u64,
    pub(crate) auth_failures: u64,
    pub(crate) queued_bytes: u64,
    /// Open ones.
    pub(crate) peers: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.operations += other.operations;
        self.bytes += other.bytes;
        self.lanes += other.lanes;
        for (sum, count) in self.rejected.iter_mut().zip(other.rejected) {
            *sum += count;
        }
        self.protocol_errors += other.protocol_errors;
        self.auth_failures += other.auth_failures;
        self.queued_bytes += other.queued_bytes;
        self.peers += other.peers;
    }
}

fn limits_of(limits: &Limits) -> Map<String, Value> {
    let rows = limits.list().into_iter();
    rows.map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn endpoint_value(totals: &Totals, lanes_open: u64, limits: &Limits) -> Value {
    let rejected: Map<String, Value> = Status::ALL
        .iter()
        .filter(|status| **status != Status::Ok)
        .map(|status| (status.name().to_owned(), totals.rejected[status.wire() as usize].into()))
        .collect();
    json!({
        "connections": totals.connections,
        "operations": totals.operations,
        "bytes": totals.bytes,
        "rejected": rejected,
        "protocolErrors": totals.protocol_errors,
        "authFailures": totals.auth_failures,
        "lanes": Lanes { open: lanes_open, ..totals.lanes },
        "queuedBytes": totals.queued_bytes,
        "limits": limits_of(limits),
    })
}

pub(crate) fn endpoint_report(totals: &Totals, lanes_open: u64, limits: &Limits) -> String {
    endpoint_value(totals, lanes_open, limits).to_string()
}

pub(crate) fn context_report(
    totals: &Totals,
    lanes_open: u64,
    limits: &Limits,
    endpoints: u64,
    io_threads: usize,
) -> String {
    let mut value = endpoint_value(totals, lanes_open, limits);
    value["endpoints"] = endpoints.into();
    value["peers"] = totals.peers.into();
    value["ioThreads"] = io_threads.into();
    value.to_string()
}

pub(crate) fn peer_report(totals: &Totals, lanes_open: u64) -> String {
    let Totals { operations, bytes, .. } = totals;
    json!({
        "operations": {
            "reads": operations.reads,
            "writes": operations.writes,
            "sends": operations.sends,
            "describes": operations.describes,
            "failed": operations.failed,
            "timedOut": operations.timed_out,
            "cancelled": operations.cancelled,
            "inFlight": operations.in_flight,
        },
        "bytes": { "read": bytes.read, "written": bytes.written, "sent": bytes.sent },
        "queuedBytes": totals.queued_bytes,
        "lanes": Lanes { open: lanes_open, ..totals.lanes },
    })
    .to_string()
}

pub(crate) fn region_report(reads: u64, writes: u64, served: u64, stored: u64, in_flight: usize) -> String {
    json!({
        "operations": { "reads": reads, "writes": writes },
        "bytes": { "served": served, "stored": stored },
        "inFlight": in_flight,
    })
    .to_string()
}
