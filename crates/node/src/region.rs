//! Regions, and engine memory as JavaScript sees it: an `ArrayBuffer` whose finalizer drops one reference.

use crate::{
    attachment::with,
    error::{Failure, failure_of},
    numbers::{number, patience},
    view::View,
};
use memlane_engine::{
    endpoint::Endpoint,
    error::{Error as EngineError, ErrorKind},
    region::{Access, Region, Rights, Tensor, file::MappedFile, memory::Memory},
};
use napi::{
    Env, Error, Result, Status,
    bindgen_prelude::{FromNapiValue, Unknown},
    sys,
};
use napi_derive::napi;
use std::{ffi::c_void, ptr, sync::Arc};

/// An `ArrayBuffer` over the memory. Detached, transferred or collected, it costs its owner a view and nobody a pointer:
/// the memory goes when the last reference does, and this view holds just one.
pub(crate) fn external<'env>(env: &'env Env, memory: &Arc<Memory>) -> Result<Unknown<'env>> {
    // SAFETY: nobody calls it but Node, once, with the `hint` that it was given below.
    unsafe extern "C" fn release(_: sys::napi_env, _: *mut c_void, hint: *mut c_void) {
        // SAFETY: `hint` is the `Arc` that was leaked below for this one call.
        drop(unsafe { Arc::from_raw(hint.cast_const().cast::<Memory>()) });
    }
    let hint = Arc::into_raw(Arc::clone(memory));
    let mut value = ptr::null_mut();
    // SAFETY: the bytes are valid as long as the leaked reference is, which `release` gives back.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            env.raw(),
            memory.as_ptr().cast(),
            memory.len(),
            Some(release),
            hint.cast_mut().cast(),
            &raw mut value,
        )
    };
    if status != sys::Status::napi_ok {
        // Only this refusal comes before Node takes the reference. After any other it runs the finalizer itself.
        if status == sys::Status::napi_no_external_buffers_allowed {
            // SAFETY: Node did not take the reference, so it is still ours to give back.
            drop(unsafe { Arc::from_raw(hint) });
        }
        return Err(Error::new(
            Status::from(status),
            "this runtime makes no ArrayBuffer over outside memory",
        ));
    }
    // SAFETY: `value` was made just now, in this environment and this scope.
    unsafe { Unknown::from_napi_value(env.raw(), value) }
}

/// A region's handle and address, or why there is none.
#[napi(object)]
#[derive(Default)]
pub struct Allocated {
    pub handle: f64,
    pub address: f64,
    pub length: f64,
    /// Whether its bytes can go: they are of a file that is not sealed.
    pub shrinks: bool,
    pub failure: Option<Failure>,
}

/// What the bytes of a region are; nothing unless both are said.
fn tensor(dtype: Option<String>, shape: Option<Vec<f64>>) -> Option<Tensor> {
    let (dtype, shape) = dtype.zip(shape)?;
    let shape = shape.into_iter().map(|extent| extent as u64).collect();
    Some(Tensor { dtype, shape })
}

/// What peers with one of the endpoint's tokens may do with a region.
#[napi(object, object_to_js = false)]
pub struct Allowance {
    pub token: String,
    pub access: String,
}

fn parsed(access: &str) -> std::result::Result<Access, EngineError> {
    Access::parse(access).ok_or_else(|| EngineError::new(ErrorKind::Access))
}

/// What everybody may do who is let in, or, where `allow` is there, what those may who came with a token that it names.
fn rights(owner: &Endpoint, access: Access, allow: Option<Vec<Allowance>>) -> std::result::Result<Rights, EngineError> {
    let Some(allow) = allow else {
        return Ok(access.into());
    };
    let allowed = allow.iter().map(|allowance| {
        let token = owner.token(&allowance.token);
        let token = token.ok_or_else(|| EngineError::new(ErrorKind::Access))?;
        Ok((token, parsed(&allowance.access)?))
    });
    Ok(Rights::by_token(
        allowed.collect::<std::result::Result<Vec<_>, EngineError>>()?,
    ))
}

fn allocated(
    attachment: u32,
    endpoint: f64,
    make: impl FnOnce(&Endpoint) -> std::result::Result<Arc<Region>, EngineError>,
) -> Allocated {
    let made = with(attachment, |attachment| {
        let closed = || EngineError::new(ErrorKind::Closed);
        let owner = Arc::clone(attachment.endpoints.get(endpoint).ok_or_else(closed)?);
        let region = make(&owner)?;
        let (address, length) = (region.address() as f64, region.len() as f64);
        let shrinks = region.memory().as_file().is_some_and(|file| !file.is_sealed());
        Ok(Allocated {
            handle: attachment.regions.insert((region, owner)),
            address,
            length,
            shrinks,
            failure: None,
        })
    });
    made.unwrap_or_else(|| Err(EngineError::new(ErrorKind::Closed)))
        .unwrap_or_else(|error| Allocated {
            failure: Some(failure_of(&error)),
            ..Allocated::default()
        })
}

/// Makes a region of zeroed bytes, or, of a tensor, of those of a view; peers reach it from the moment that this returns.
#[napi(catch_unwind)]
#[allow(
    clippy::too_many_arguments,
    reason = "an object for them would be one more per region"
)]
pub fn alloc(
    attachment: u32,
    endpoint: f64,
    name: String,
    length: f64,
    access: String,
    allow: Option<Vec<Allowance>>,
    dtype: Option<String>,
    shape: Option<Vec<f64>>,
    #[napi(ts_arg_type = "Uint8Array | undefined | null")] bytes: Option<View>,
) -> Allocated {
    allocated(attachment, endpoint, |owner| {
        let length = number(length).ok_or_else(|| EngineError::new(ErrorKind::Memory))?;
        let rights = rights(owner, parsed(&access)?, allow)?;
        match (tensor(dtype, shape), bytes) {
            (Some(tensor), Some(bytes)) => {
                owner.publish(&name, length, rights, tensor, |memory| bytes.empty(memory, 0))
            }
            (Some(tensor), None) => owner.alloc_tensor(&name, length, rights, tensor),
            (None, _) => owner.alloc(&name, length, rights),
        }
    })
}

/// Makes a region of a range of an open file; a length below zero is all from the offset to the end. The descriptor may be
/// closed when this returns.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "as for alloc, with the range of the file")]
pub fn map_file(
    attachment: u32,
    endpoint: f64,
    name: String,
    fd: i32,
    offset: f64,
    length: f64,
    access: String,
    allow: Option<Vec<Allowance>>,
    dtype: Option<String>,
    shape: Option<Vec<f64>>,
) -> Allocated {
    allocated(attachment, endpoint, |owner| {
        let access = parsed(&access)?;
        let rights = rights(owner, access, allow)?;
        owner.map_file(&name, rights, tensor(dtype, shape), || {
            let start = number(offset).ok_or(std::io::ErrorKind::InvalidInput)?;
            // SAFETY: JavaScript holds the descriptor open during this call.
            unsafe { MappedFile::map(fd, start as u64, number(length), access != Access::READ) }
        })
    })
}

/// An `ArrayBuffer` over a region's bytes. Call it once per region and keep the result. That of a file which this process
/// may not write is copy-on-write: what JavaScript stores there stays there.
#[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
pub fn region_buffer<'env>(env: &'env Env, attachment: u32, region: f64) -> Result<Unknown<'env>> {
    let memory = with(attachment, |attachment| {
        attachment
            .regions
            .get(region)
            .map(|(region, _)| Arc::clone(region.memory()))
    });
    let memory = memory
        .flatten()
        .ok_or_else(|| Error::new(Status::InvalidArg, "no such region"))?;
    match memory.as_file().filter(|file| !file.is_writable()) {
        Some(file) => {
            let view = file
                .private_view()
                .map_err(|error| Error::from_reason(error.to_string()))?;
            external(env, &Memory::file(view))
        }
        None => external(env, &memory),
    }
}

/// Copies from a region into a view, by the engine: bytes that a peer may be writing are safe to look at there. A file may
/// have lost them.
#[napi(catch_unwind)]
pub fn copy_out(
    attachment: u32,
    region: f64,
    offset: f64,
    #[napi(ts_arg_type = "Uint8Array")] into: View,
) -> Option<Failure> {
    let copied = with(attachment, |attachment| {
        let (region, _) = attachment.regions.get(region)?;
        Some(into.fill(region.memory(), number(offset)?))
    });
    let error = copied.flatten()?.err()?;
    Some(failure_of(&EngineError::file(&error)))
}

/// Closes a region; the operation ends when no peer will touch it any more. What is running has so many milliseconds, below
/// zero what the limits say.
#[napi(catch_unwind)]
pub fn close_region(attachment: u32, operation: f64, region: f64, drain_ms: f64) {
    with(attachment, |attachment| {
        let ticket = attachment.ticket(operation, "close");
        if let Some((region, endpoint)) = attachment.regions.remove(region) {
            match patience(drain_ms) {
                Some(patience) => endpoint.close_region_within(patience, &region, ticket),
                None => endpoint.close_region(&region, ticket),
            }
        }
    });
}

/// The bytes that were staged under the operation, as an `ArrayBuffer` of engine memory; once.
#[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
pub fn take<'env>(env: &'env Env, attachment: u32, operation: f64) -> Result<Unknown<'env>> {
    let memory = with(attachment, |attachment| attachment.staged.remove(&(operation as u64))).flatten();
    external(
        env,
        &memory.ok_or_else(|| Error::new(Status::InvalidArg, "no bytes are staged"))?,
    )
}

/// Copies the bytes that were staged under the operation into a view and frees them; how many were copied.
#[napi(catch_unwind)]
pub fn take_into(attachment: u32, operation: f64, #[napi(ts_arg_type = "Uint8Array")] view: View) -> f64 {
    let memory = with(attachment, |attachment| attachment.staged.remove(&(operation as u64))).flatten();
    memory.map_or(0.0, |memory| view.fill(&memory, 0).unwrap_or(0) as f64)
}

/// Frees the bytes that were staged under the operation.
#[napi(catch_unwind)]
pub fn discard(attachment: u32, operation: f64) {
    with(attachment, |attachment| attachment.staged.remove(&(operation as u64)));
}
