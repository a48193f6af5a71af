//! What AddressSanitizer is told of memory that it has not handed out itself: which bytes of a mapping are somebody's.
//!
//! It knows the heap, and a mapping that is gone faults by itself. It does not know the slots of a slab, nor the bytes between the
//! end of a region and the end of its last page. In all builds but `npm run test:asan`'s these are nothing.

/// From now on nobody has these bytes: an access is reported, the kernel's on our behalf included.
#[inline(always)]
pub(super) fn forbid(start: *mut u8, len: usize) {
    #[cfg(memlane_asan)]
    // SAFETY: marks addresses in the sanitizer's own table and touches none of them.
    unsafe {
        __asan_poison_memory_region(start.cast(), len);
    }
    #[cfg(not(memlane_asan))]
    let _ = (start, len);
}

/// They are somebody's, or the system's, again.
#[inline(always)]
pub(super) fn allow(start: *mut u8, len: usize) {
    #[cfg(memlane_asan)]
    // SAFETY: as in `forbid`.
    unsafe {
        __asan_unpoison_memory_region(start.cast(), len);
    }
    #[cfg(not(memlane_asan))]
    let _ = (start, len);
}

#[cfg(memlane_asan)]
// SAFETY: as the header of the sanitizer declares them; the build that has them links its runtime.
unsafe extern "C" {
    fn __asan_poison_memory_region(start: *const libc::c_void, len: usize);
    fn __asan_unpoison_memory_region(start: *const libc::c_void, len: usize);
}
