//! How the connections of one I/O thread share it: who moves much lets go of the thread sooner while somebody beside it
//! has small operations.

use std::{
    cell::Cell,
    pin::pin,
    task::{Context, Poll},
};

/// Most bytes of a body that one system call moves: calls of 1 MiB beat smaller ones, and larger ones gain nothing.
pub(crate) const CALL_BYTES: usize = 1 << 20;

/// The same beside small operations. Nothing else of the thread moves during a call, 150 to 250 µs for 1 MiB, and a small
/// operation meets one on either side; shorter calls would move a third less.
const SHARED_CALL_BYTES: usize = 512 << 10;

/// Bytes that a connection moves before it lets the others on its thread have a turn: as many as one call moves.
const TURN_BYTES: usize = CALL_BYTES;

/// Large calls for which a small operation counts: some milliseconds. No clock is read for it.
const REMEMBERED_CALLS: u32 = 32;

thread_local! {
    static SHARED_CALLS: Cell<u32> = const { Cell::new(0) };
}

/// A connection of this thread has small operations.
pub(crate) fn note_small() {
    SHARED_CALLS.set(REMEMBERED_CALLS);
}

/// Most bytes for the next call with a body in it.
pub(crate) fn take_call() -> usize {
    match SHARED_CALLS.get() {
        0 => CALL_BYTES,
        left => {
            SHARED_CALLS.set(left - 1);
            SHARED_CALL_BYTES
        }
    }
}

/// Bytes after which a connection's turn is over.
pub(crate) fn turn_bytes() -> usize {
    if SHARED_CALLS.get() == 0 {
        TURN_BYTES
    } else {
        SHARED_CALL_BYTES
    }
}

/// Ends a turn that could go on: the task is woken again once the sockets of all others were looked at. Woken at once it
/// would be polled dozens of times before that.
pub(crate) fn end_turn(cx: &mut Context<'_>) {
    if let Poll::Ready(()) = pin!(tokio::task::yield_now()).poll(cx) {
        cx.waker().wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_shorter_beside_small_operations_and_long_again_some_calls_after_the_last() {
        assert_eq!((take_call(), turn_bytes()), (CALL_BYTES, TURN_BYTES));
        note_small();
        for _ in 0..REMEMBERED_CALLS {
            assert_eq!((turn_bytes(), take_call()), (SHARED_CALL_BYTES, SHARED_CALL_BYTES));
        }
        assert_eq!((take_call(), turn_bytes()), (CALL_BYTES, TURN_BYTES));
    }
}
