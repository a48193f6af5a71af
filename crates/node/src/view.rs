//! JavaScript's own bytes, for the length of one call: never a Rust reference, never kept.

use memlane_engine::region::{memory::Memory, span::Span};
use napi::{
    Error, Result, Status,
    bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue},
    sys,
};
use std::{io, ptr, sync::Arc};

/// A `Uint8Array` argument. It must not outlive the call that it came with: JavaScript may detach it right after.
pub struct View {
    bytes: *mut u8,
    len: usize,
}

impl View {
    /// A private copy of its bytes.
    pub(crate) fn copied(&self) -> io::Result<Span> {
        let memory = Memory::private(self.len)?;
        // SAFETY: Node gave pointer and length of this view in this very call, during which JavaScript does not run. A
        // worker may write the bytes meanwhile if they are shared; the copy then has some of each.
        unsafe { memory.copy_in_raw(0, self.bytes, self.len) };
        Ok(Span::whole(memory))
    }

    /// Fills it from the memory as far as both go; says how far.
    pub(crate) fn fill(&self, from: &Arc<Memory>, offset: usize) -> usize {
        let count = self.len.min(from.len().saturating_sub(offset));
        if count > 0 {
            // SAFETY: as in `copied`; count is at most the view's length.
            unsafe { from.copy_out_raw(offset, self.bytes, count) };
        }
        count
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
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let (mut kind, mut len, mut bytes) = (0, 0, ptr::null_mut());
        // SAFETY: env and value come from Node with this call; the out pointers are locals, the others may be null. A
        // value that is no typed array is an error status.
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
        if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint8_array {
            return Err(Error::new(Status::InvalidArg, "a Uint8Array is wanted"));
        }
        Ok(Self {
            bytes: bytes.cast(),
            len: if bytes.is_null() { 0 } else { len },
        })
    }
}
