//! Adding up what comes and goes, without losing what has gone.

use super::Totals;
use parking_lot::Mutex;
use std::sync::Arc;

/// Counters that add up.
pub(crate) trait Counted {
    /// What they say now.
    fn totals(&self) -> Totals;
}

/// The counters of things that come and go: each while it is there, and the sum of those that have gone.
#[derive(Debug)]
pub(crate) struct Ledger<C>(Mutex<Book<C>>);

#[derive(Debug)]
struct Book<C> {
    live: Vec<Arc<C>>,
    gone: Totals,
    sweep_at: usize,
}

/// So few are not worth sweeping.
const LEAST_SWEEP: usize = 32;

impl<C> Default for Ledger<C> {
    fn default() -> Self {
        Self(Mutex::new(Book {
            live: Vec::new(),
            gone: Totals::default(),
            sweep_at: LEAST_SWEEP,
        }))
    }
}

impl<C: Counted> Ledger<C> {
    /// Counts these, too, from now on.
    pub(crate) fn add(&self, counters: Arc<C>) {
        let mut book = self.0.lock();
        if book.live.len() >= book.sweep_at {
            book.sweep();
            // Twice as many as there are: then sweeping costs each that comes the same, however many there are.
            book.sweep_at = LEAST_SWEEP.max(2 * book.live.len());
        }
        book.live.push(counters);
    }

    /// The sum of all that ever were: no counter in it falls.
    pub(crate) fn totals(&self) -> Totals {
        let mut book = self.0.lock();
        book.sweep();
        let mut totals = book.gone;
        for counters in &book.live {
            totals += counters.totals();
        }
        totals
    }

    /// How many of those that are there are `wanted`.
    pub(crate) fn count(&self, wanted: impl Fn(&C) -> bool) -> u64 {
        let mut book = self.0.lock();
        book.sweep();
        book.live.iter().filter(|counters| wanted(counters)).count() as u64
    }
}

impl<C: Counted> Book<C> {
    /// Adds up what nobody else holds, which therefore never changes again.
    fn sweep(&mut self) {
        let Self { live, gone, .. } = self;
        live.retain_mut(|counters| match Arc::get_mut(counters) {
            Some(last) => {
                *gone += Totals {
                    queued_bytes: 0,
                    ..last.totals()
                };
                false
            }
            None => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Stats;

    #[test]
    fn what_has_gone_is_still_counted_and_takes_no_room() {
        let ledger = Ledger::<Stats>::default();
        for _ in 0..1000 {
            let stats = Arc::new(Stats::default());
            ledger.add(Arc::clone(&stats));
            stats.reads.add(1);
            stats.bytes_read.add(5);
        }
        assert!(ledger.0.lock().live.len() <= LEAST_SWEEP);
        let kept = Arc::new(Stats::default());
        ledger.add(Arc::clone(&kept));
        kept.reads.add(1);
        assert_eq!(ledger.totals().operations.reads, 1001);
        assert_eq!(ledger.totals().bytes.read, 5000);
        assert_eq!(ledger.0.lock().live.len(), 1);
        drop(kept);
        assert_eq!(ledger.totals().operations.reads, 1001);
    }

    #[test]
    fn what_is_live_is_not_swept_however_much_of_it_there_is() {
        let ledger = Ledger::<Stats>::default();
        let live: Vec<_> = (0..200).map(|_| Arc::new(Stats::default())).collect();
        live.iter().for_each(|stats| ledger.add(Arc::clone(stats)));
        live.iter().for_each(|stats| stats.sends.add(2));
        assert_eq!(ledger.totals().operations.sends, 400);
        assert_eq!(ledger.count(|stats| stats.sends.value() == 2), 200);
    }
}
