//! What nobody can guess: random bytes, and prefaces with a nonce of them.

use crate::error::{Error, ErrorKind};
use memlane_wire::Preface;

/// A preface of ours with a fresh nonce.
///
/// # Errors
/// `ERR_INTERNAL` when the system gives no entropy.
pub(crate) fn preface(instance: [u8; 16]) -> Result<Preface, Error> {
    Ok(Preface {
        lowest: Preface::VERSION,
        highest: Preface::VERSION,
        flags: 0,
        token_hint: 0,
        instance,
        nonce: random()?,
    })
}

/// Random bytes.
///
/// # Errors
/// `ERR_INTERNAL` when the system gives none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    #[cfg(test)]
    if withheld::IS.get() {
        return Err(Error::new(ErrorKind::Internal).detail("a test withholds it"));
    }
    #[cfg(any(test, feature = "simulation"))]
    if seeded::fill(&mut bytes) {
        return Ok(bytes);
    }
    getrandom::fill(&mut bytes).map_err(|error| Error::new(ErrorKind::Internal).detail(error.to_string()))?;
    Ok(bytes)
}

/// A system that gives none.
#[cfg(test)]
pub(crate) mod withheld {
    use std::cell::Cell;

    thread_local! {
        pub(super) static IS: Cell<bool> = const { Cell::new(false) };
    }

    /// What comes of this on a thread whose system gives no entropy meanwhile.
    pub(crate) fn during<T>(asks: impl FnOnce() -> T) -> T {
        IS.set(true);
        let came = asks();
        IS.set(false);
        came
    }
}

/// Numbers that a simulation can have again.
#[cfg(any(test, feature = "simulation"))]
pub(crate) mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on all that is random on this thread follows from the seed; `None` ends that.
    pub(crate) fn set(seed: Option<u64>) {
        STATE.set(seed);
    }

    /// Whether it does.
    pub(crate) fn is_set() -> bool {
        STATE.get().is_some()
    }

    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        let Some(mut state) = STATE.get() else { return false };
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&next(&mut state).to_le_bytes()[..chunk.len()]);
        }
        STATE.set(Some(state));
        true
    }

    /// The next number (splitmix64).
    pub(crate) fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
