//! Numeric handles that are never given out twice: a stale one finds nothing rather than somebody else's.

use crate::numbers::number;
use slab::Slab;

/// Values by handle. A handle is a place and the count of values that were ever stored, so that a place that is used
/// again has another handle; both fit a JavaScript number.
pub(crate) struct Handles<T> {
    places: Slab<(u64, T)>,
    stored: u64,
}

const PLACES: u64 = 1 << 24;

impl<T> Handles<T> {
    pub(crate) const fn new() -> Self {
        Self {
            places: Slab::new(),
            stored: 0,
        }
    }

    pub(crate) fn insert(&mut self, value: T) -> f64 {
        self.stored += 1;
        let round = self.stored % (1 << 29);
        let place = self.places.insert((round, value)) as u64;
        (round * PLACES + place) as f64
    }

    fn place(&self, handle: f64) -> Option<usize> {
        // What JavaScript's bugs make of a handle, NaN among it, is no handle.
        let handle = number(handle)? as u64;
        let place = (handle % PLACES) as usize;
        self.places
            .get(place)
            .filter(|(round, _)| *round == handle / PLACES)
            .map(|_| place)
    }

    pub(crate) fn get(&self, handle: f64) -> Option<&T> {
        self.place(handle).map(|place| &self.places[place].1)
    }

    pub(crate) fn remove(&mut self, handle: f64) -> Option<T> {
        self.place(handle).map(|place| self.places.remove(place).1)
    }

    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&T) -> bool) {
        self.places.retain(|_, (_, value)| stays(value));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().map(|(_, (_, value))| value)
    }
}
