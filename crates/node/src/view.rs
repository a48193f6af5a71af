//! JavaScript's own bytes, for the length of one call: never a Rust reference, never kept.

use memlane_engine::{
    error::Error as EngineError,
    peer::Peer,
    region::{memory::Memory, span::Span},
};
use napi::{
    Error, Result, Status,
    bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue},
    sys,
};
use std::{ffi::c_void, io, ptr, ptr::NonNull, sync::Arc};

/// A `Uint8Array` argument. It must not outlive the call that it came with: JavaScript may detach it right after.
pub struct View {
    bytes: *mut u8,
    len: usize,
}

impl View {
    /// A private copy of its bytes, counted as queued for the peer.
    ///
    /// # Errors
    /// `ERR_LIMIT` or `ERR_MEMORY`, and nothing is copied.
    pub(crate) fn copied_for(&self, peer: &Peer) -> std::result::Result<Span, EngineError> {
        let memory = peer.stage(self.len)?;
        // SAFETY: Node gave pointer and length of this view in this very call, during which JavaScript does not run. A
        // worker may write the bytes meanwhile if they are shared; the copy then has some of each.
        let copied = unsafe { memory.copy_in_raw(0, self.bytes, self.len) };
        copied.map_err(|error| EngineError::file(&error))?;
        Ok(Span::whole(memory))
    }

    /// Copies it into the memory as far as both go; an error where that is of a file, as for `fill`.
    pub(crate) fn empty(&self, to: &Arc<Memory>, offset: usize) -> io::Result<()> {
        let count = self.len.min(to.len().saturating_sub(offset));
        if count > 0 {
            // SAFETY: as in `copied_for`; count is at most the view's length.
            unsafe { to.copy_in_raw(offset, self.bytes, count)? };
        }
        Ok(())
    }

    /// Fills it from the memory as far as both go; says how far.
    pub(crate) fn fill(&self, from: &Arc<Memory>, offset: usize) -> io::Result<usize> {
        let count = self.len.min(from.len().saturating_sub(offset));
        if count > 0 {
            // SAFETY: as in `copied_for`; count is at most the view's length.
            unsafe { from.copy_out_raw(offset, self.bytes, count)? };
        }
        Ok(count)
    }
}

impl TypeName for View {
    fn type_name() -> &'static str {
        "Uint8Array"
    }

    fn value_type() -> napi::ValueType {
        napi::ValueType::Object
    }
}

impl ValidateNapiValue for View {}

impl FromNapiValue for View {
    // SAFETY: the contract is that of the trait: napi calls it with a value of this environment.
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        // SAFETY: env and value come from Node with this call.
        let (bytes, len) = unsafe { typed_array(env, value, sys::TypedarrayType::uint8_array)? };
        Ok(Self {
            bytes: bytes.cast(),
            len,
        })
    }
}

/// A `Float64Array` argument, copied: what JavaScript does to it afterwards changes nothing.
pub struct Numbers(Vec<f64>);

impl Numbers {
    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }
}

impl TypeName for Numbers {
    fn type_name() -> &'static str {
        "Float64Array"
    }

    fn value_type() -> napi::ValueType {
        napi::ValueType::Object
    }
}

impl ValidateNapiValue for Numbers {}

impl FromNapiValue for Numbers {
    // SAFETY: the contract is that of the trait: napi calls it with a value of this environment.
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        // SAFETY: env and value come from Node with this call.
        let (bytes, len) = unsafe { typed_array(env, value, sys::TypedarrayType::float64_array)? };
        let mut numbers = vec![0.0; len];
        if len > 0 {
            // SAFETY: Node gave `len` doubles at `bytes`, aligned as a Float64Array is, for the time of this call, and
            // `numbers` has room for them. Memmove and not a slice: a worker may write them meanwhile if they are shared.
            unsafe { ptr::copy(bytes.cast::<f64>(), numbers.as_mut_ptr(), len) };
        }
        Ok(Self(numbers))
    }
}

/// First byte and number of elements of a typed array of that kind.
///
/// # Safety
/// `env` and `value` must come from Node with the call that is running.
unsafe fn typed_array(env: sys::napi_env, value: sys::napi_value, wanted: i32) -> Result<(*mut c_void, usize)> {
    let (mut kind, mut len, mut bytes) = (0, 0, ptr::null_mut());
    // SAFETY: the caller's promise; the out pointers are locals, the others may be null. A value that is no typed array
    // is an error status.
    let status = unsafe {
        sys::napi_get_typedarray_info(
            env,
            value,
            &raw mut kind,
            &raw mut len,
            &raw mut bytes,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if status != sys::Status::napi_ok || kind != wanted {
        return Err(Error::new(Status::InvalidArg, "another typed array is wanted"));
    }
    Ok(if bytes.is_null() {
        (NonNull::dangling().as_ptr(), 0)
    } else {
        (bytes, len)
    })
}
