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
    getrandom::fill(&mut bytes).map_err(|error| Error::new(ErrorKind::Internal).detail(error.to_string()))?;
    Ok(bytes)
}
