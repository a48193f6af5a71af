//! What somebody else keeps: looked up while it is there, forgotten some time after.

use std::sync::{Arc, Weak};

/// So few are not worth sweeping.
const LEAST_SWEEP: usize = 32;

/// When what has gone is to be forgotten: at twice as many as there were then, so that each that comes costs the same, however
/// many there are.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    at: usize,
}

impl Sweep {
    pub(crate) const fn new() -> Self {
        Self { at: 0 }
    }

    /// Whether it is time, with so many; if so, `sweep` makes them fewer and says how many are left.
    pub(crate) fn before_one_more(&mut self, count: usize, sweep: impl FnOnce() -> usize) {
        if count >= self.at.max(LEAST_SWEEP) {
            self.at = 2 * sweep();
        }
    }
}

/// A list of what others keep.
#[derive(Debug)]
pub(crate) struct WeakList<T> {
    items: Vec<Weak<T>>,
    sweep: Sweep,
}

impl<T> Default for WeakList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> WeakList<T> {
    pub(crate) const fn new() -> Self {
        Self {
            items: Vec::new(),
            sweep: Sweep::new(),
        }
    }

    pub(crate) fn add(&mut self, item: &Arc<T>) {
        let Self { items, sweep } = self;
        sweep.before_one_more(items.len(), || {
            items.retain(|item| item.strong_count() > 0);
            items.len()
        });
        items.push(Arc::downgrade(item));
    }

    /// Those that are there, in the order in which they came.
    pub(crate) fn list(&self) -> Vec<Arc<T>> {
        self.items.iter().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_listed_in_order_and_what_has_gone_takes_no_room() {
        let mut list = WeakList::default();
        let kept: Vec<_> = (0..10)
            .map(|number| {
                (0..1000).for_each(|_| list.add(&Arc::new(usize::MAX)));
                let kept = Arc::new(number);
                list.add(&kept);
                kept
            })
            .collect();
        assert_eq!(list.list(), kept);
        assert!(list.items.len() <= LEAST_SWEEP + kept.len(), "{}", list.items.len());
    }

    #[test]
    fn many_that_stay_are_looked_through_seldom() {
        let (mut sweep, mut looked_at) = (Sweep::new(), 0);
        for count in 0..100_000 {
            sweep.before_one_more(count, || {
                looked_at += count;
                count
            });
        }
        assert!(looked_at <= 200_000, "{looked_at}");
    }
}
