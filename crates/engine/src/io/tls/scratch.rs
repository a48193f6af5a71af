//! Memory that the TLS connections of a thread take turns with: only what waits is a connection's own.

use std::cell::Cell;

/// What one call receives at most.
pub(super) const RECEIVED_BYTES: usize = 256 << 10;

/// What one call encrypts at most.
pub(super) const PLAIN_BYTES: usize = 64 << 10;

thread_local! {
    static RECEIVED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static PLAIN: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static SENT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The buffer that is received into.
pub(super) fn with_received<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    with(&RECEIVED, RECEIVED_BYTES, work)
}

/// The buffer that holds plaintext until it is encrypted.
pub(super) fn with_plain<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    with(&PLAIN, PLAIN_BYTES, work)
}

/// An empty buffer for ciphertext that may have room already.
pub(super) fn take_sent() -> Vec<u8> {
    SENT.try_with(Cell::take).unwrap_or_default()
}

/// Takes such a buffer back.
pub(super) fn give_sent(mut buffer: Vec<u8>) {
    buffer.clear();
    // A thread that ends keeps nothing.
    let _ = SENT.try_with(|place| place.set(buffer));
}

fn with<R>(place: &'static std::thread::LocalKey<Cell<Vec<u8>>>, size: usize, work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = place.try_with(Cell::take).unwrap_or_default();
    buffer.resize(size, 0);
    let result = work(&mut buffer);
    let _ = place.try_with(|place| place.set(buffer));
    result
}
