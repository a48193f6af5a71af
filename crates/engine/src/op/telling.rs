//! Ends that are told together: whoever waits for them is woken once.

use super::{Completion, CompletionSink};
use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::{Duration, Instant},
};

thread_local! {
    /// Sinks with ends that nobody was woken for, while this thread is telling.
    static WAITING: RefCell<Option<Vec<Arc<dyn CompletionSink>>>> = const { RefCell::new(None) };
    static TOLD: Cell<u32> = const { Cell::new(0) };
    /// When this thread may leave its core again.
    static NOT_BEFORE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// How long it stayed when somebody else had had it.
    static PAUSE: Cell<Duration> = const { Cell::new(SHORTEST_PAUSE) };
}

/// Whoever uses a core that was left to it for longer is somebody else, who shares it with us.
const PATIENCE: Duration = Duration::from_millis(1);
/// So long it is not left again then, and twice as long when that happens again soon. A visitor costs a moment of what leaving
/// gains, and one who stays gets the core once in the longest pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(6);
const LONGEST_PAUSE: Duration = Duration::from_millis(192);
/// So many pauses later it is not soon any more.
const SOON: u32 = 4;

/// So many ends are a flood: whoever they are told to has much to do, and much to ask for after that.
pub(crate) const FLOOD: u32 = 64;

/// While it lives, ends that are told on this thread wake nobody; when it goes, every sink that has some is woken.
///
/// A thread that is woken at the first of many answers takes the core from the one that is about to tell the others, and
/// finds one.
pub(crate) struct Telling(());

impl Telling {
    pub(crate) fn begin() -> Self {
        WAITING.set(Some(Vec::new()));
        TOLD.set(0);
        Self(())
    }

    /// How many ends were told on this thread since that.
    pub(crate) fn told() -> u32 {
        TOLD.get()
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let waiting = WAITING.take().unwrap_or_default();
        waiting.iter().for_each(|sink| sink.wake());
        if !waiting.is_empty() && Self::told() >= FLOOD {
            leave_core();
        }
    }
}

/// If whoever was woken waits for this very core, it uses it now, and what it asks for is found here when it is done. Were this
/// thread asleep by then, it would be woken for every single operation, and send it alone. On a core of its own this does nothing.
fn leave_core() {
    let now = Instant::now();
    let not_before = NOT_BEFORE.get();
    if not_before.is_some_and(|time| now < time) {
        return;
    }
    std::thread::yield_now();
    let back = Instant::now();
    if back - now > PATIENCE {
        let pause = pause_after(PAUSE.get(), not_before.map(|time| now - time));
        PAUSE.set(pause);
        NOT_BEFORE.set(Some(back + pause));
    }
}

/// How long the core is kept when somebody else had it, `since` the `last` pause was over.
fn pause_after(last: Duration, since: Option<Duration>) -> Duration {
    match since {
        Some(since) if since < SOON * last => (last * 2).min(LONGEST_PAUSE),
        _ => SHORTEST_PAUSE,
    }
}

/// Tells an end. Whoever waits is woken now, or with the others when this thread is telling.
pub(super) fn tell(sink: &Arc<dyn CompletionSink>, completion: Completion) {
    TOLD.set(TOLD.get().wrapping_add(1));
    if !sink.complete(completion) {
        return;
    }
    // A thread that is ending may have lost its list already.
    let is_later = WAITING.try_with(|waiting| match &mut *waiting.borrow_mut() {
        Some(waiting) => {
            waiting.push(Arc::clone(sink));
            true
        }
        None => false,
    });
    if is_later != Ok(true) {
        sink.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_the_core_gets_it_ever_more_seldom_and_a_visitor_is_forgotten() {
        let mut pause = pause_after(SHORTEST_PAUSE, None);
        assert_eq!(pause, SHORTEST_PAUSE);
        let pauses: Vec<_> = (0..7)
            .map(|_| {
                pause = pause_after(pause, Some(PATIENCE));
                pause.as_millis()
            })
            .collect();
        assert_eq!(pauses, [12, 24, 48, 96, 192, 192, 192]);
        assert_eq!(pause_after(pause, Some(LONGEST_PAUSE * SOON)), SHORTEST_PAUSE);
    }
}
