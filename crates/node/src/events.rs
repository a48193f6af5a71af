//! Events of an endpoint, and the log.

use crate::{
    attachment::with,
    error::{Failure, failure_of},
};
use memlane_engine::{
    Mode,
    events::{Event, Parting, Presence},
    instance_text,
    log::start,
};
use napi_derive::napi;
use std::sync::Arc;

/// One event: which of the fields there are says what it is.
#[napi(object)]
#[derive(Default)]
pub struct EventRecord {
    /// Who came or went.
    pub address: Option<String>,
    pub wire: Option<String>,
    pub direction: Option<String>,
    pub instance: Option<String>,
    /// Why it went.
    pub reason: Option<String>,
    /// What failed.
    pub failure: Option<Failure>,
}

/// Events that were taken, and how many more there was no room for.
#[napi(object)]
pub struct TakenEvents {
    pub events: Vec<EventRecord>,
    pub lost: f64,
}

/// A handle for the events of an endpoint, which outlives it: its close has events of its own.
#[napi(catch_unwind)]
pub fn endpoint_events(attachment: u32, endpoint: f64) -> f64 {
    let found = with(attachment, |attachment| {
        let events = Arc::clone(attachment.endpoints.get(endpoint)?.events());
        Some(attachment.events.insert(events))
    });
    found.flatten().unwrap_or(f64::NAN)
}

/// The operation ends when there are events to be taken, and fails when there will be no more than those that wait.
#[napi(catch_unwind)]
pub fn watch_events(attachment: u32, operation: f64, events: f64) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "events");
        // Without them the ticket has ended the operation.
        if let Some(events) = attachment.events.get(events) {
            events.watch(ticket);
        }
    });
}

/// What has happened since the last call.
#[napi(catch_unwind)]
pub fn take_events(attachment: u32, events: f64) -> TakenEvents {
    let taken = with(attachment, |attachment| {
        attachment.events.get(events).map(|events| events.take())
    });
    let (events, lost) = taken.flatten().unwrap_or_default();
    TakenEvents {
        events: events.into_iter().map(record).collect(),
        lost: lost as f64,
    }
}

/// Nobody wants them any more; the handle is gone.
#[napi(catch_unwind)]
pub fn unwatch_events(attachment: u32, events: f64) {
    with(attachment, |attachment| {
        if let Some(events) = attachment.events.remove(events) {
            events.unwatch();
        }
    });
}

fn record(event: Event) -> EventRecord {
    match event {
        Event::Peer(who) => presence(&who, None),
        Event::Disconnect(who, why) => presence(&who, Some(why)),
        Event::Error(error) => EventRecord {
            failure: Some(failure_of(&error)),
            ..EventRecord::default()
        },
    }
}

fn presence(who: &Presence, why: Option<Parting>) -> EventRecord {
    let wire = match who.mode {
        Mode::Native => "native",
        Mode::Legacy => "legacy",
    };
    EventRecord {
        address: Some(who.address.to_string()),
        wire: Some(wire.to_owned()),
        direction: Some(who.side.name().to_owned()),
        instance: who.instance.as_ref().map(instance_text),
        reason: why.map(|why| why.name().to_owned()),
        failure: None,
    }
}

/// Starts the log of the process; the first call counts. What is wrong with the filter, if something is.
#[napi(catch_unwind)]
pub fn start_log(filter: String) -> Option<String> {
    start(&filter).err()
}
