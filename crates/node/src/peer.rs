//! Peers: connecting, describing, closing.

use crate::{
    attachment::{Connected, with},
    numbers::timeout,
};
use memlane_engine::{
    Mode,
    error::{Error as EngineError, ErrorKind},
    instance_from,
    op::{Done, Operation, Request, Ticket},
};
use napi_derive::napi;
use std::sync::Arc;

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
        let ticket = Ticket::new(Arc::clone(&issuer), attachment.names.begin(operation), "connect");
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

/// Asks a peer for its endpoint info, which comes as detail: for a read (1) or a write (2) that needs it, as which a failure then
/// tells of it, or for itself (0).
#[napi(catch_unwind)]
pub fn describe(attachment: u32, operation: f64, peer: f64, timeout_ms: f64, needed_by: u8) {
    let name = match needed_by {
        1 => "read",
        2 => "write",
        _ => "describe",
    };
    with(attachment, |attachment| {
        let Some(connected) = attachment.peers.get(peer) else {
            return attachment
                .ticket(operation, name)
                .complete(Err(EngineError::new(ErrorKind::Closed)));
        };
        let ticket = Ticket::new(Arc::clone(&connected.issuer), attachment.names.begin(operation), name);
        connected.peer.submit(Operation {
            ticket,
            request: Request::Describe,
            timeout: timeout(timeout_ms),
        });
    });
}

/// Says which instance a peer has described itself as, as its info has it; receives for its messages go by that.
#[napi(catch_unwind)]
pub fn identify(attachment: u32, peer: f64, instance: String) {
    with(attachment, |attachment| {
        if let Some((connected, instance)) = attachment.peers.get(peer).zip(instance_from(&instance)) {
            connected.owner.identify(&connected.peer, instance);
        }
    });
}

/// Closes a peer; its open operations, and receives for its messages, end with `ERR_CLOSED`.
#[napi(catch_unwind)]
pub fn close_peer(attachment: u32, operation: f64, peer: f64) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "close");
        match attachment.peers.remove(peer) {
            Some(connected) => {
                connected.owner.receive_no_more_from(&connected.peer);
                connected.peer.close(ticket);
            }
            None => ticket.complete(Ok(Done::Nothing)),
        }
    });
}
