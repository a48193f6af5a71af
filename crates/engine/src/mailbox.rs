//! The way into a task from other threads: a queue, and a waker only while the task sleeps.

use crate::sync::Mutex;
use std::task::{Context, Waker};

/// Items for one task. The waker lies beside the queue under one lock, so there is no moment in which an item is queued
/// and nobody will look; and it is only there while the task sleeps, so that a busy task costs the sender no system call.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    items: Vec<T>,
    sleeper: Option<Waker>,
    closed: bool,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                items: Vec::new(),
                sleeper: None,
                closed: false,
            }),
        }
    }
}

impl<T> Mailbox<T> {
    /// Queues an item and wakes the task if it sleeps.
    ///
    /// # Errors
    /// Gives the item back when the task has ended.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(item);
        }
        state.items.push(item);
        let sleeper = state.sleeper.take();
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
        Ok(())
    }

    /// Moves what is queued to the end of `into`; whether there was anything.
    pub(crate) fn take(&self, into: &mut Vec<T>) -> bool {
        let mut state = self.state.lock();
        if into.is_empty() {
            std::mem::swap(into, &mut state.items);
        } else {
            into.append(&mut state.items);
        }
        !into.is_empty()
    }

    /// Whether nothing is queued.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().items.is_empty()
    }

    /// Leaves the task's waker for the next item; false when there is one already, and the task must not sleep.
    pub(crate) fn sleep(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state.lock();
        if !state.items.is_empty() {
            return false;
        }
        match &mut state.sleeper {
            Some(sleeper) => sleeper.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        true
    }

    /// Takes no more items; gives back those that nobody looked at.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut state = self.state.lock();
        state.closed = true;
        state.sleeper = None;
        std::mem::take(&mut state.items)
    }

    /// Takes no more items, unless there are some to be looked at; whether it is closed now.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        state.closed |= state.items.is_empty();
        state.closed
    }
}
