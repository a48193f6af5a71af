//! Endpoints: all that is not hot.

use crate::{attachment::with, context::fault, numbers::patience};
use memlane_engine::{
    endpoint::Endpoint,
    error::{Error as EngineError, ErrorKind},
};
use napi::Result;
use napi_derive::napi;
use std::sync::Arc;

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

/// Peers that are connected from now on are dialled from this address of ours, an IP literal.
#[napi(catch_unwind)]
pub fn local_address(attachment: u32, endpoint: f64, address: String) {
    with(attachment, |attachment| {
        if let (Some(endpoint), Ok(address)) = (attachment.endpoints.get(endpoint), address.parse()) {
            endpoint.set_local_address(address);
        }
    });
}

/// What the endpoint info says in place of the address, and where it is given the port, that the endpoint listens on.
#[napi(catch_unwind)]
pub fn advertise(attachment: u32, endpoint: f64, host: String, port: Option<u16>) {
    with(attachment, |attachment| {
        if let Some(endpoint) = attachment.endpoints.get(endpoint) {
            endpoint.advertise(&host, port);
        }
    });
}

/// Where an endpoint listens.
#[napi(object)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// The address and the port that it listens on.
#[napi(catch_unwind)]
pub fn address(attachment: u32, endpoint: f64) -> Option<Address> {
    with(attachment, |attachment| {
        let (host, port) = attachment.endpoints.get(endpoint)?.address();
        Some(Address { host, port })
    })
    .flatten()
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

/// The endpoint info as JSON: as everybody is told it who is let in, or as a peer is that came with the token of that name.
#[napi(catch_unwind)]
pub fn endpoint_info(attachment: u32, endpoint: f64, token: Option<String>) -> Option<String> {
    with(attachment, |attachment| {
        let endpoint = attachment.endpoints.get(endpoint)?;
        match token {
            Some(name) => Some(endpoint.info_for(endpoint.token(&name)?)),
            None => Some(endpoint.info()),
        }
    })
    .flatten()
}

/// Closes an endpoint with all that belongs to it; running work of peers has so many milliseconds, below zero what the limits
/// say.
#[napi(catch_unwind)]
pub fn close_endpoint(attachment: u32, operation: f64, endpoint: f64, drain_ms: f64) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "close");
        if let Some(endpoint) = attachment.endpoints.remove(endpoint) {
            // Before its peers are let go of: closing ends their operations and waits for that.
            match patience(drain_ms) {
                Some(patience) => endpoint.close_within(patience, ticket),
                None => endpoint.close(ticket),
            }
            attachment.regions.retain(|(_, owner)| !Arc::ptr_eq(owner, &endpoint));
            attachment
                .peers
                .retain(|connected| !Arc::ptr_eq(&connected.owner, &endpoint));
        }
    });
}
