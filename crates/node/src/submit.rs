//! The hot path: numbers in, the operation is on its way when the call returns.

use crate::{
    attachment::{Attachment, private, stage, with, with_order},
    numbers::{number, timeout},
    view::{Numbers, View},
};
use memlane_engine::{
    error::{Error, ErrorKind},
    op::{Direction, List, Operation, Request, Ticket},
    peer::Peer,
    region::{memory::Memory, span::Span},
};
use napi_derive::napi;
use std::sync::Arc;

/// Hands an operation to a peer. A handle that is gone ends it with `ERR_CLOSED`.
fn submit(
    attachment: &mut Attachment,
    operation: f64,
    name: &'static str,
    peer: f64,
    timeout_ms: f64,
    request: Result<Request, Error>,
) {
    submit_made(attachment, operation, name, peer, timeout_ms, |_| request);
}

/// The same for a request that the peer itself is needed for.
fn submit_made(
    attachment: &mut Attachment,
    operation: f64,
    name: &'static str,
    peer: f64,
    timeout_ms: f64,
    request: impl FnOnce(&Peer) -> Result<Request, Error>,
) {
    let Some(connected) = attachment.peers.get(peer) else {
        return attachment
            .ticket(operation, name)
            .complete(Err(Error::new(ErrorKind::Closed)));
    };
    let ticket = Ticket::new(Arc::clone(&connected.issuer), attachment.names.begin(operation), name);
    match request(&connected.peer) {
        Ok(request) => connected.peer.submit(Operation {
            ticket,
            request,
            timeout: timeout(timeout_ms),
        }),
        Err(error) => ticket.complete(Err(error)),
    }
}

/// The range of a region that is this side's end of an operation, to be stored to or not.
pub(crate) fn local(
    attachment: &Attachment,
    region: f64,
    offset: f64,
    length: f64,
    is_stored_to: bool,
) -> Result<Span, Error> {
    let memory = local_memory(attachment, region, is_stored_to)?;
    let range = number(offset).zip(number(length));
    let (offset, length) = range.ok_or_else(|| Error::new(ErrorKind::OutOfRange))?;
    Span::leased(memory, offset, length).ok_or_else(|| Error::new(ErrorKind::Closed))
}

/// The memory of a region that this side's end of an operation is in, to be stored to or not.
fn local_memory(attachment: &Attachment, region: f64, is_stored_to: bool) -> Result<&Arc<Memory>, Error> {
    let (region, _) = attachment
        .regions
        .get(region)
        .ok_or_else(|| Error::new(ErrorKind::Closed))?;
    let memory = region.memory();
    if is_stored_to && memory.as_file().is_some_and(|file| !file.is_writable()) {
        return Err(Error::new(ErrorKind::Access));
    }
    Ok(memory)
}

fn address(value: f64) -> Result<u64, Error> {
    number(value)
        .map(|whole| whole as u64)
        .ok_or_else(|| Error::new(ErrorKind::OutOfRange))
}

/// Hands over what JavaScript has written into an attachment's order: a read (1) into or a write (2) from a range of a region.
/// With a region below zero it is a read into private memory, which is kept under the operation until it is taken.
///
/// No arguments: converting nine of them, and what the binding does around a call that has any, costs more than all that
/// the engine does with a small operation.
#[napi(catch_unwind)]
pub fn transfer() {
    with_order(|attachment, order| {
        let [
            operation,
            peer,
            opcode,
            region,
            region_offset,
            remote_address,
            length,
            timeout_ms,
        ] = order;
        let is_read = opcode == 1.0;
        let range = if region < 0.0 {
            let length = number(length).ok_or_else(|| Error::new(ErrorKind::OutOfRange));
            length.and_then(|length| stage(attachment, operation, length))
        } else {
            local(attachment, region, region_offset, length, is_read)
        };
        let request = range.and_then(|span| address(remote_address).map(|addr| (addr, span)));
        let (name, request) = if is_read {
            ("read", request.map(|(addr, into)| Request::Read { addr, into }))
        } else {
            ("write", request.map(|(addr, from)| Request::Write { addr, from }))
        };
        submit(attachment, operation, name, peer, timeout_ms, request);
    });
}

/// Writes JavaScript's bytes, which are copied before this returns.
#[napi(catch_unwind)]
pub fn write_bytes(
    attachment: u32,
    operation: f64,
    peer: f64,
    remote_address: f64,
    #[napi(ts_arg_type = "Uint8Array")] view: View,
    timeout_ms: f64,
) {
    with(attachment, |attachment| {
        submit_made(attachment, operation, "write", peer, timeout_ms, |peer| {
            let (addr, from) = (address(remote_address)?, view.copied_for(peer)?);
            Ok(Request::Write { addr, from })
        });
    });
}

/// Sends JavaScript's bytes as a message; they are copied before this returns.
#[napi(catch_unwind)]
pub fn send_bytes(
    attachment: u32,
    operation: f64,
    peer: f64,
    #[napi(ts_arg_type = "Uint8Array")] view: View,
    tag: f64,
    timeout_ms: f64,
) {
    with(attachment, |attachment| {
        submit_made(attachment, operation, "send", peer, timeout_ms, |peer| {
            let (tag, from) = (address(tag)?, view.copied_for(peer)?);
            Ok(Request::Send { tag, from })
        });
    });
}

/// Sends a range of a region as a message.
#[napi(catch_unwind)]
#[allow(
    clippy::too_many_arguments,
    reason = "a call of numbers costs a third of one with an object"
)]
pub fn send_region(
    attachment: u32,
    operation: f64,
    peer: f64,
    region: f64,
    offset: f64,
    length: f64,
    tag: f64,
    timeout_ms: f64,
) {
    with(attachment, |attachment| {
        let range = local(attachment, region, offset, length, false);
        let request = range.and_then(|from| address(tag).map(|tag| Request::Send { tag, from }));
        submit(attachment, operation, "send", peer, timeout_ms, request);
    });
}

/// Writes a range of a region, or with a region below zero the memory that was staged under the operation, and tells the
/// peer by a message with this tag once it is applied.
#[napi(catch_unwind)]
#[allow(
    clippy::too_many_arguments,
    reason = "a call of numbers costs a third of one with an object"
)]
pub fn write_notify(
    attachment: u32,
    operation: f64,
    peer: f64,
    region: f64,
    region_offset: f64,
    remote_address: f64,
    length: f64,
    tag: f64,
    timeout_ms: f64,
) {
    with(attachment, |attachment| {
        let from = if region < 0.0 {
            let bytes = attachment.staged.remove(&(operation as u64));
            staged(bytes.as_ref(), region_offset, length)
        } else {
            local(attachment, region, region_offset, length, false)
        };
        let request = from.and_then(|from| Ok((from, address(remote_address)?, address(tag)?)));
        let Some(connected) = attachment.peers.get(peer) else {
            return attachment
                .ticket(operation, "write")
                .complete(Err(Error::new(ErrorKind::Closed)));
        };
        let ticket = Ticket::new(
            Arc::clone(&connected.issuer),
            attachment.names.begin(operation),
            "write",
        );
        match request {
            Ok((from, addr, tag)) => connected
                .peer
                .write_and_notify(ticket, addr, from, tag, timeout(timeout_ms)),
            Err(error) => ticket.complete(Err(error)),
        }
    });
}

/// Numbers per entry of a list: region, offset in it, remote address, length.
const ENTRY_FIELDS: usize = 4;

/// Reads (1) or writes (2) a list of ranges as one operation: four numbers an entry, which are region, offset in it, remote
/// address and length. A region below zero is the memory that was staged under the operation.
#[napi(catch_unwind)]
pub fn transfer_list(
    attachment: u32,
    operation: f64,
    peer: f64,
    opcode: u32,
    #[napi(ts_arg_type = "Float64Array")] entries: Numbers,
    timeout_ms: f64,
) {
    with(attachment, |attachment| {
        let (name, direction) = if opcode == 1 {
            ("read", Direction::Read)
        } else {
            ("write", Direction::Write)
        };
        // Of a write they are freed when they are sent, of a read when they were delivered.
        let bytes = match direction {
            Direction::Read => attachment.staged.get(&(operation as u64)).cloned(),
            Direction::Write => attachment.staged.remove(&(operation as u64)),
        };
        let entries = entries.values();
        let mut list = List::for_entries(entries.len() / ENTRY_FIELDS);
        let gathered = entries.chunks(ENTRY_FIELDS).try_for_each(|fields| {
            let &[region, offset, remote_address, length] = fields else {
                return Err(Error::new(ErrorKind::Internal));
            };
            let memory = if region < 0.0 {
                bytes.as_ref().ok_or_else(|| Error::new(ErrorKind::Closed))?
            } else {
                local_memory(attachment, region, direction == Direction::Read)?
            };
            let range = number(offset).zip(number(length));
            let (offset, length) = range.ok_or_else(|| Error::new(ErrorKind::OutOfRange))?;
            if list.push(address(remote_address)?, memory, offset, length) {
                Ok(())
            } else if region < 0.0 {
                Err(Error::new(ErrorKind::OutOfRange))
            } else {
                Err(Error::new(ErrorKind::Closed))
            }
        });
        let Some(connected) = attachment.peers.get(peer) else {
            return attachment
                .ticket(operation, name)
                .complete(Err(Error::new(ErrorKind::Closed)));
        };
        let ticket = Ticket::new(Arc::clone(&connected.issuer), attachment.names.begin(operation), name);
        match gathered {
            Ok(()) => connected.peer.submit_list(ticket, direction, list, timeout(timeout_ms)),
            Err(error) => ticket.complete(Err(error)),
        }
    });
}

/// A range of the memory that was staged for an operation.
fn staged(memory: Option<&Arc<Memory>>, offset: f64, length: f64) -> Result<Span, Error> {
    let memory = memory.ok_or_else(|| Error::new(ErrorKind::Closed))?;
    let range = number(offset)
        .zip(number(length))
        .and_then(|(offset, length)| Span::whole(Arc::clone(memory)).slice(offset, length));
    range.ok_or_else(|| Error::new(ErrorKind::OutOfRange))
}

/// Private memory for an operation on that peer that is about to be issued: a read (1), or a write (2), whose bytes count as
/// queued. False when there is none: the operation has ended with the reason.
#[napi(catch_unwind)]
pub fn stage_bytes(attachment: u32, operation: f64, peer: f64, opcode: u32, length: f64) -> bool {
    let staged = with(attachment, |attachment| {
        let name = if opcode == 1 { "read" } else { "write" };
        let Some(connected) = attachment.peers.get(peer) else {
            attachment
                .ticket(operation, name)
                .complete(Err(Error::new(ErrorKind::Closed)));
            return false;
        };
        let length = number(length).ok_or_else(|| Error::new(ErrorKind::OutOfRange));
        let memory = length.and_then(|length| match opcode {
            1 => private(length),
            _ => connected.peer.stage(length),
        });
        match memory {
            Ok(memory) => {
                attachment.staged.insert(operation as u64, memory);
                true
            }
            Err(error) => {
                Ticket::new(Arc::clone(&connected.issuer), attachment.names.begin(operation), name)
                    .complete(Err(error));
                false
            }
        }
    });
    staged.unwrap_or(false)
}

/// Copies JavaScript's bytes into the memory that was staged under the operation.
#[napi(catch_unwind)]
pub fn stage_in(attachment: u32, operation: f64, offset: f64, #[napi(ts_arg_type = "Uint8Array")] view: View) {
    with(attachment, |attachment| {
        if let (Some(memory), Some(offset)) = (attachment.staged.get(&(operation as u64)), number(offset)) {
            // Private memory takes every byte; only a file's can fail.
            let _ = view.empty(memory, offset);
        }
    });
}

/// Copies from the memory that was staged under the operation into a view; it stays staged.
#[napi(catch_unwind)]
pub fn stage_out(attachment: u32, operation: f64, offset: f64, #[napi(ts_arg_type = "Uint8Array")] view: View) {
    with(attachment, |attachment| {
        if let (Some(memory), Some(offset)) = (attachment.staged.get(&(operation as u64)), number(offset)) {
            let _ = view.fill(memory, offset);
        }
    });
}
