//! Posting receives.

use crate::{
    attachment::{stage, with},
    numbers::number,
    submit::local,
};
use memlane_engine::error::{Error as EngineError, ErrorKind};
use napi_derive::napi;

/// A tag as JavaScript gives it; below zero is any.
fn wanted_tag(tag: f64) -> Option<u64> {
    number(tag).map(|tag| tag as u64)
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
) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "recv");
        let into = local(attachment, region, offset, length, true);
        match (into, attachment.endpoints.get(endpoint)) {
            (Ok(into), Some(endpoint)) => endpoint.recv(into, wanted_tag(tag), exact_size, ticket),
            (Err(error), _) => ticket.complete(Err(error)),
            // Without an end of its own the ticket says that the endpoint is closed.
            (Ok(_), None) => {}
        }
    });
}

/// Posts a receive into private memory, which is kept under the operation until it is taken.
#[napi(catch_unwind)]
pub fn recv_staged(attachment: u32, operation: f64, endpoint: f64, length: f64, tag: f64, exact_size: bool) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "recv");
        let Some(endpoint) = attachment.endpoints.get(endpoint).cloned() else {
            return;
        };
        let staged = number(length)
            .ok_or_else(|| EngineError::new(ErrorKind::Memory))
            .and_then(|length| stage(attachment, operation, length));
        match staged {
            Ok(into) => endpoint.recv(into, wanted_tag(tag), exact_size, ticket),
            Err(error) => ticket.complete(Err(error)),
        }
    });
}
