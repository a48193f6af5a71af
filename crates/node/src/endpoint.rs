//! Endpoints and peers: all that is not hot.

use crate::attachment::{Connected, stage, with};
use memlane_engine::{
    Mode,
    config::Limits,
    context::Context,
    endpoint::Endpoint,
    error::{Error as EngineError, ErrorKind},
    op::{Done, Operation, Request, Ticket},
};
use napi::{Error, Result, Status};
use napi_derive::napi;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// A length or an offset: whole, not negative, exact.
pub(crate) fn number(value: f64) -> Option<usize> {
    let whole = value as usize;
    (whole as f64 == value && value <= 9_007_199_254_740_991.0).then_some(whole)
}

/// A deadline in milliseconds; 0 is none.
pub(crate) fn timeout(milliseconds: f64) -> Option<Duration> {
    number(milliseconds)
        .filter(|&whole| whole > 0)
        .map(|whole| Duration::from_millis(whole as u64))
}

fn fault(error: &EngineError) -> Error {
    Error::new(Status::GenericFailure, error.to_string())
}

/// The context of everybody in this process who asks for none of his own.
static DEFAULT: Mutex<Option<Context>> = Mutex::new(None);

fn default_context() -> std::result::Result<Context, EngineError> {
    let mut default = DEFAULT.lock();
    if default.is_none() {
        *default = Some(Context::new(Limits::default())?);
    }
    default.clone().ok_or_else(|| EngineError::new(ErrorKind::Internal))
}

/// Makes a context. `limits` holds numbers by the names of the limits; without them it is the process's own.
#[napi(catch_unwind, ts_args_type = "attachment: number, limits?: Record<string, number>")]
pub fn context(attachment: u32, limits: Option<napi::bindgen_prelude::Object>) -> Result<f64> {
    let made = match limits {
        None => default_context(),
        Some(limits) => {
            let mut chosen = Limits::default();
            for &(name, ..) in Limits::TABLE {
                let Some(value) = limits.get::<f64>(name)? else {
                    continue;
                };
                let value =
                    number(value).ok_or_else(|| Error::new(Status::InvalidArg, format!("{name} is no number")))?;
                chosen.set(name, value as u64).map_err(|error| fault(&error))?;
            }
            Context::new(chosen)
        }
    };
    let made = made.map_err(|error| fault(&error))?;
    with(attachment, |attachment| attachment.contexts.insert(made))
        .ok_or_else(|| Error::new(Status::InvalidArg, "no such attachment"))
}

/// Lets go of a context; its endpoints keep it as long as they need it.
#[napi(catch_unwind)]
pub fn close_context(attachment: u32, context: f64) {
    with(attachment, |attachment| attachment.contexts.remove(context));
}

/// Makes an endpoint of a context; it does nothing yet.
#[napi(catch_unwind)]
pub fn endpoint(attachment: u32, context: f64) -> Result<f64> {
    let made = with(attachment, |attachment| {
        let context = attachment
            .contexts
            .get(context)
            .cloned()
            .ok_or_else(|| EngineError::new(ErrorKind::Closed))?;
        Ok(attachment.endpoints.insert(Arc::new(Endpoint::new(context)?)))
    });
    made.unwrap_or_else(|| Err(EngineError::new(ErrorKind::Closed)))
        .map_err(|error| fault(&error))
}

/// One row of the table of limits.
#[napi(object)]
pub struct LimitRow {
    pub name: String,
    pub default: f64,
    pub least: f64,
    pub most: f64,
}

/// Names, defaults and ranges of the limits.
#[napi(catch_unwind)]
pub fn limit_table() -> Vec<LimitRow> {
    Limits::TABLE
        .iter()
        .map(|&(name, default, least, most)| LimitRow {
            name: name.to_owned(),
            default: default as f64,
            least: least as f64,
            most: most as f64,
        })
        .collect()
}

/// Listens; the operation ends when the address is bound.
#[napi(catch_unwind)]
pub fn listen(attachment: u32, operation: f64, endpoint: f64, host: String, port: u16) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "listen");
        if let Some(endpoint) = attachment.endpoints.get(endpoint) {
            endpoint.listen(&host, port, ticket);
        }
    });
}

/// The endpoint info as JSON.
#[napi(catch_unwind)]
pub fn endpoint_info(attachment: u32, endpoint: f64) -> Option<String> {
    with(attachment, |attachment| {
        attachment.endpoints.get(endpoint).map(|endpoint| endpoint.info())
    })
    .flatten()
}

/// Counters and limits as JSON.
#[napi(catch_unwind)]
pub fn stats(attachment: u32, endpoint: f64) -> Option<String> {
    with(attachment, |attachment| {
        attachment.endpoints.get(endpoint).map(|endpoint| endpoint.stats())
    })
    .flatten()
}

/// Closes an endpoint with all that belongs to it.
#[napi(catch_unwind)]
pub fn close_endpoint(attachment: u32, operation: f64, endpoint: f64) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "close");
        if let Some(endpoint) = attachment.endpoints.remove(endpoint) {
            // Before its peers are let go of: closing ends their operations and waits for that.
            endpoint.close(ticket);
            attachment.regions.retain(|(_, owner)| !Arc::ptr_eq(owner, &endpoint));
            attachment
                .peers
                .retain(|connected| !Arc::ptr_eq(&connected.owner, &endpoint));
        }
    });
}

/// Makes a peer and dials it; its handle. The operation ends when it has answered: on the native wire with its endpoint
/// info as detail, on the legacy wire when the connection stands.
#[napi(catch_unwind)]
pub fn connect(
    attachment: u32,
    operation: f64,
    endpoint: f64,
    host: String,
    port: u16,
    legacy: bool,
    timeout_ms: f64,
) -> f64 {
    let made = with(attachment, |attachment| {
        let mode = if legacy { Mode::Legacy } else { Mode::Native };
        let owner = attachment.endpoints.get(endpoint).cloned();
        let peer = owner.as_ref().and_then(|owner| owner.connect(&host, port, mode).ok());
        let Some((owner, peer)) = owner.zip(peer) else {
            attachment
                .ticket(operation, "connect")
                .complete(Err(EngineError::new(ErrorKind::Closed)));
            return None;
        };
        let issuer = peer.issuer(Arc::clone(&attachment.sink));
        let ticket = Ticket::new(Arc::clone(&issuer), operation as u64, "connect");
        // The legacy wire has neither: there, an operation without bytes waits for the connection alone.
        let request = if legacy { Request::Ping } else { Request::Describe };
        peer.submit(Operation {
            ticket,
            request,
            timeout: timeout(timeout_ms),
        });
        Some(attachment.peers.insert(Connected { peer, owner, issuer }))
    });
    // Without an endpoint the ticket has ended the operation, and no handle is as good as any.
    made.flatten().unwrap_or(f64::NAN)
}

/// Asks a peer for its endpoint info, which comes as detail.
#[napi(catch_unwind)]
pub fn describe(attachment: u32, operation: f64, peer: f64, timeout_ms: f64) {
    with(attachment, |attachment| {
        let Some(connected) = attachment.peers.get(peer) else {
            return attachment
                .ticket(operation, "describe")
                .complete(Err(EngineError::new(ErrorKind::Closed)));
        };
        let ticket = Ticket::new(Arc::clone(&connected.issuer), operation as u64, "describe");
        connected.peer.submit(Operation {
            ticket,
            request: Request::Describe,
            timeout: timeout(timeout_ms),
        });
    });
}

/// Closes a peer; its open operations end with `ERR_CLOSED`.
#[napi(catch_unwind)]
pub fn close_peer(attachment: u32, operation: f64, peer: f64) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "close");
        match attachment.peers.remove(peer) {
            Some(connected) => connected.peer.close(ticket),
            None => ticket.complete(Ok(Done::Nothing)),
        }
    });
}

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
        let into = attachment.regions.get(region).and_then(|(region, _)| {
            let (offset, length) = (number(offset)?, number(length)?);
            region.span(offset, length)
        });
        if let (Some(into), Some(endpoint)) = (into, attachment.endpoints.get(endpoint)) {
            endpoint.recv(into, wanted_tag(tag), exact_size, ticket);
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
