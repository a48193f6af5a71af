//! Lists of ranges, gathered: what lies in the same memory holds it once.

use crate::region::{memory::Memory, span::Span};
use std::sync::Arc;

/// Reads and writes above this size count for the window of their lane, and wait while it is full.
pub(crate) const TINY_BYTES: usize = 8 << 10;

/// Entries of an operation of several parts: local ranges, and the remote ones of the same length.
#[derive(Debug, Default)]
pub struct List {
    items: Vec<Item>,
    entries: usize,
    expected: usize,
    bytes: u64,
}

/// One or more entries of a list.
#[derive(Debug)]
pub(crate) enum Item {
    /// Tiny ones whose local ends lie in one memory, which is no file's: all of that, and where in it they are.
    Run(Span, Vec<Car>),
    One {
        addr: u64,
        span: Span,
        entry: u32,
    },
}

/// One entry of a run.
#[derive(Debug)]
pub(crate) struct Car {
    pub(crate) addr: u64,
    /// Where in the memory of the run its local end begins.
    pub(crate) at: usize,
    pub(crate) len: u32,
    /// Its place in the list.
    pub(crate) entry: u32,
}

impl List {
    /// An empty list that so many entries are expected in.
    pub fn for_entries(expected: usize) -> Self {
        Self {
            expected,
            ..Self::default()
        }
    }

    /// Adds the range of `len` bytes from `offset` of a memory, which is held for it, and the remote one at `addr`. False
    /// when it leaves the memory, or that is a region's which is closed.
    #[must_use]
    pub fn push(&mut self, addr: u64, memory: &Arc<Memory>, offset: usize, len: usize) -> bool {
        if offset > memory.len() || len > memory.len() - offset {
            return false;
        }
        let entry = u32::try_from(self.entries).unwrap_or(u32::MAX);
        if len > TINY_BYTES || memory.as_file().is_some() {
            let Some(span) = Span::leased(memory, offset, len) else {
                return false;
            };
            self.items.push(Item::One { addr, span, entry });
        } else {
            let car = Car {
                addr,
                at: offset,
                len: len as u32,
                entry,
            };
            match self.items.last_mut() {
                Some(Item::Run(whole, cars)) if whole.is_all_of(memory) => cars.push(car),
                last => {
                    // Most lists are one run.
                    let expected = if last.is_none() { self.expected } else { 1 };
                    let Some(whole) = Span::leased(memory, 0, memory.len()) else {
                        return false;
                    };
                    let mut cars = Vec::with_capacity(expected);
                    cars.push(car);
                    self.items.push(Item::Run(whole, cars));
                }
            }
        }
        self.entries += 1;
        self.bytes += len as u64;
        true
    }

    /// Whether there is no entry in it.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes of all entries.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn into_items(self) -> Vec<Item> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::{Access, Registry};

    #[test]
    fn a_memory_is_held_once_for_all_tiny_entries_in_a_row_and_no_range_leaves_it() {
        let registry = Registry::default();
        let region = registry.alloc("kv", 1 << 20, Access::NONE).unwrap();
        let memory = region.memory();
        let mut list = List::for_entries(4);
        for (offset, len) in [(0, 64), (64, 8192), ((1 << 20) - 1, 1), (1 << 20, 0)] {
            assert!(list.push(7, memory, offset, len));
        }
        for (offset, len) in [(1 << 20, 1), (0, (1 << 20) + 1), (usize::MAX, 2), (2, usize::MAX)] {
            assert!(!list.push(7, memory, offset, len), "{len} bytes at {offset}");
        }
        assert_eq!((region.in_flight(), list.entries, list.bytes()), (1, 4, 8257));
        assert!(list.push(7, memory, 0, 8193), "of its own");
        assert_eq!(region.in_flight(), 2);
        drop(list);
        assert_eq!(region.in_flight(), 0);
    }

    #[test]
    fn nothing_is_added_of_a_region_that_is_closed() {
        let registry = Registry::default();
        let region = registry.alloc("kv", 64, Access::NONE).unwrap();
        registry.close(&region);
        let mut list = List::default();
        assert!(!list.push(7, region.memory(), 0, 1));
        assert!(list.is_empty());
    }
}
