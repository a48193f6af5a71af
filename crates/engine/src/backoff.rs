//! Patience with a peer that cannot be reached: how long the lanes of a link wait before they dial again.

use crate::{error::Error, random::random};
use parking_lot::Mutex;
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// The wait after the first failure in a row; each further one doubles it.
const LEAST: Duration = Duration::from_millis(20);
/// The longest wait: a peer that comes back is dialled this soon.
pub(crate) const MOST: Duration = Duration::from_millis(500);

/// What the lanes of one link know together about dialling. While the peer is out of reach one of them dials at a time, and
/// those that wait meanwhile fail with it; the first success lets all of them go.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Attempts that were begun; they are numbered by it.
    begun: u64,
    /// Attempts up to this one began before the last judgement: they are of the same storm and change nothing.
    judged: u64,
    /// The last attempt to fail, and why it did.
    failed: Option<(u64, Error)>,
    /// Failures in a row.
    failures: u32,
    /// While there are failures: when the next attempt may begin.
    not_before: Option<Instant>,
}

/// An attempt that has its turn. Who has it says how it ended, or nothing where it was given up.
#[derive(Debug)]
pub(crate) struct Attempt {
    backoff: Arc<Backoff>,
    number: u64,
}

/// The wait for the time to dial.
pub(crate) type Turn = Pin<Box<dyn Future<Output = Result<Attempt, Error>> + Send>>;

enum Next {
    Now(u64),
    At(Instant),
}

impl Backoff {
    /// Resolves when it is time to dial: at once, unless the last dial failed.
    ///
    /// # Errors
    /// That of an attempt which began after this call: the peer was asked on its behalf.
    pub(crate) fn turn(self: &Arc<Self>) -> Turn {
        let since = self.state.lock().begun;
        Box::pin(Arc::clone(self).wait(since))
    }

    async fn wait(self: Arc<Self>, since: u64) -> Result<Attempt, Error> {
        loop {
            // Before the look at the state: a change after it is not missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let next = self.state.lock().next(since, Instant::now())?;
            match next {
                Next::Now(number) => {
                    let backoff = Arc::clone(&self);
                    return Ok(Attempt { backoff, number });
                }
                Next::At(then) => {
                    let _ = timeout_at(then, changed).await;
                }
            }
        }
    }
}

impl State {
    fn next(&mut self, since: u64, now: Instant) -> Result<Next, Error> {
        if let Some((number, error)) = &self.failed
            && *number > since
        {
            return Err(error.clone());
        }
        if let Some(then) = self.not_before.filter(|then| *then > now) {
            return Ok(Next::At(then));
        }
        if self.failures > 0 {
            // The others wait for this attempt, but not for longer than for one that has failed.
            self.not_before = Some(now + pause(self.failures));
        }
        self.begun += 1;
        Ok(Next::Now(self.begun))
    }
}

impl Attempt {
    /// The peer has answered.
    pub(crate) fn succeeded(self) {
        let mut state = self.backoff.state.lock();
        state.judged = state.begun;
        state.failed = None;
        state.failures = 0;
        state.not_before = None;
        drop(state);
        self.backoff.changed.notify_waiters();
    }

    pub(crate) fn failed(self, error: &Error) {
        let mut state = self.backoff.state.lock();
        if self.number > state.judged {
            state.judged = state.begun;
            state.failures = state.failures.saturating_add(1);
            state.not_before = Some(Instant::now() + pause(state.failures));
            state.failed = Some((self.number, error.clone()));
        }
        drop(state);
        self.backoff.changed.notify_waiters();
    }
}

/// The wait after so many failures in a row: any from half of the full one on, so that the lanes of many processes do not
/// come back to a peer in step.
fn pause(failures: u32) -> Duration {
    let jitter = random().map_or(u16::MAX, u16::from_le_bytes);
    jittered(failures, jitter)
}

fn jittered(failures: u32, jitter: u16) -> Duration {
    let doublings = failures.saturating_sub(1).min(8);
    let half = (LEAST * (1 << doublings)).min(MOST) / 2;
    half + half * u32::from(jitter) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use tokio::task::JoinHandle;

    fn refused() -> Error {
        Error::new(ErrorKind::Connect).detail("refused")
    }

    async fn turn(backoff: &Arc<Backoff>) -> Attempt {
        backoff.turn().await.unwrap()
    }

    /// How long the next attempt has to wait for its turn.
    async fn wait(backoff: &Arc<Backoff>) -> (Attempt, Duration) {
        let since = Instant::now();
        let attempt = turn(backoff).await;
        (attempt, since.elapsed())
    }

    /// A lane that waits for its turn from now on.
    async fn waiting(backoff: &Arc<Backoff>) -> JoinHandle<Result<Attempt, Error>> {
        let waiting = tokio::spawn(backoff.turn());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        waiting
    }

    #[test]
    fn waits_double_from_20_ms_to_at_most_half_a_second() {
        let full = [20, 40, 80, 160, 320, 500, 500, 500];
        for (failures, full) in (1..).zip(full).chain([(u32::MAX, 500)]) {
            let full = Duration::from_millis(full);
            assert_eq!(jittered(failures, u16::MAX), full, "{failures}");
            assert_eq!(jittered(failures, 0), full / 2, "{failures}");
            let random = pause(failures);
            assert!((full / 2..=full).contains(&random), "{random:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_make_the_next_dial_wait_and_a_success_ends_that() {
        let backoff = Arc::new(Backoff::default());
        let (mut attempt, waited) = wait(&backoff).await;
        assert_eq!(waited, Duration::ZERO);
        // A timer goes by whole milliseconds, and may be one late.
        for full in [20, 40, 80, 160, 320, 500, 500] {
            attempt.failed(&refused());
            let waited;
            (attempt, waited) = wait(&backoff).await;
            let (least, most) = (Duration::from_millis(full / 2), Duration::from_millis(full + 1));
            assert!((least..=most).contains(&waited), "{waited:?} of {full} ms");
        }
        attempt.succeeded();
        let (attempt, waited) = wait(&backoff).await;
        assert_eq!(waited, Duration::ZERO);
        attempt.failed(&refused());
        assert!(wait(&backoff).await.1 <= Duration::from_millis(21), "it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_counts_from_the_failure_and_not_from_the_next_operation() {
        let backoff = Arc::new(Backoff::default());
        turn(&backoff).await.failed(&refused());
        tokio::time::advance(Duration::from_millis(30)).await;
        assert_eq!(wait(&backoff).await.1, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn lanes_that_dial_together_fail_once() {
        let backoff = Arc::new(Backoff::default());
        let storm = [turn(&backoff).await, turn(&backoff).await, turn(&backoff).await];
        storm.into_iter().for_each(|attempt| attempt.failed(&refused()));
        assert!(wait(&backoff).await.1 <= Duration::from_millis(21));
    }

    #[tokio::test(start_paused = true)]
    async fn lanes_that_wait_share_the_outcome_of_the_one_that_dials() {
        let backoff = Arc::new(Backoff::default());
        turn(&backoff).await.failed(&refused());
        let first = waiting(&backoff).await;
        let second = waiting(&backoff).await;
        let attempt = first.await.unwrap().unwrap();
        assert!(!second.is_finished(), "one at a time");
        attempt.failed(&refused());
        assert_eq!(second.await.unwrap().unwrap_err().kind(), ErrorKind::Connect);

        let (attempt, third) = (turn(&backoff).await, waiting(&backoff).await);
        let since = Instant::now();
        attempt.succeeded();
        third.await.unwrap().unwrap();
        assert_eq!(since.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_that_hangs_or_is_given_up_holds_up_no_other_for_longer_than_one_that_failed() {
        let backoff = Arc::new(Backoff::default());
        turn(&backoff).await.failed(&refused());
        let hangs = turn(&backoff).await;
        let (given_up, waited) = wait(&backoff).await;
        assert!(waited <= Duration::from_millis(21), "{waited:?}");
        drop(given_up);
        wait(&backoff).await.0.succeeded();
        // It speaks for a time that is over.
        hangs.failed(&refused());
        assert_eq!(wait(&backoff).await.1, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_began_before_does_not_speak_for_who_waits_now() {
        let backoff = Arc::new(Backoff::default());
        turn(&backoff).await.failed(&refused());
        let attempt = turn(&backoff).await;
        let waits = waiting(&backoff).await;
        attempt.failed(&refused());
        waits.await.unwrap().unwrap();
    }
}
