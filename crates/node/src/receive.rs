//! Posting receives.

use crate::{
    attachment::{Attachment, stage, with},
    numbers::number,
    submit::local,
};
use memlane_engine::{
    endpoint::Wanted,
    error::{Error as EngineError, ErrorKind},
};
use napi_derive::napi;

/// A tag as JavaScript gives it; below zero is any.
fn wanted_tag(tag: f64) -> Option<u64> {
    number(tag).map(|tag| tag as u64)
}

/// What a receive takes: messages of a peer, or below zero of anybody. Nothing where the peer is closed.
fn wanted(attachment: &Attachment, tag: f64, from: f64, exact: bool) -> Option<Wanted<'_>> {
    let from = match from {
        ..0.0 => None,
        handle => Some(&*attachment.peers.get(handle)?.peer),
    };
    let tag = wanted_tag(tag);
    Some(Wanted { tag, from, exact })
}

/// Posts a receive into a range of a region.
#[napi(catch_unwind)]
#[allow(
    clippy::too_many_arguments,
    reason = "a call of numbers costs a third of one with an object"
)]
pub fn recv_region(
    attachment: u32,
    operation: f64,
    endpoint: f64,
    region: f64,
    offset: f64,
    length: f64,
    tag: f64,
    exact_size: bool,
    from: f64,
) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "recv");
        let into = local(attachment, region, offset, length, true);
        let wanted = wanted(attachment, tag, from, exact_size);
        match (into, wanted.zip(attachment.endpoints.get(endpoint))) {
            (Ok(into), Some((wanted, endpoint))) => endpoint.recv(into, wanted, ticket),
            (Err(error), _) => ticket.complete(Err(error)),
            // Without an end of its own the ticket says that the endpoint is closed.
            (Ok(_), None) => {}
        }
    });
}

/// Posts a receive into private memory, which is kept under the operation until it is taken.
#[napi(catch_unwind)]
pub fn recv_staged(attachment: u32, operation: f64, endpoint: f64, length: f64, tag: f64, exact_size: bool, from: f64) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "recv");
        let staged = number(length)
            .ok_or_else(|| EngineError::new(ErrorKind::Memory))
            .and_then(|length| stage(attachment, operation, length));
        let into = match staged {
            Ok(into) => into,
            Err(error) => return ticket.complete(Err(error)),
        };
        let wanted = wanted(attachment, tag, from, exact_size);
        if let (Some(wanted), Some(endpoint)) = (wanted, attachment.endpoints.get(endpoint)) {
            endpoint.recv(into, wanted, ticket);
        }
    });
}
