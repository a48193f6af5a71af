//! Places in the regions of a world, each used by one operation at a time, and what has to be in them.

use super::{Dice, Ledger};
use crate::region::Region;
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// What was written from, once its operation has ended: it must never turn up anywhere.
pub(super) const POISON: u8 = 0xff;
/// What a closed region is filled with.
pub(super) const CLOSED: u8 = 0xfd;

/// The byte of an operation at a place: never zero, and none of the above.
pub(super) fn byte_of(operation: u64, at: usize) -> u8 {
    (1 + (operation * 131 + at as u64 * 7 + (at as u64 >> 8) * 13) % 250) as u8
}

pub(super) fn bytes_of(operation: u64, len: usize) -> Vec<u8> {
    (0..len).map(|at| byte_of(operation, at)).collect()
}

/// A region that peers read and write, with what has to be in it.
pub(super) struct Served {
    pub(super) region: Arc<Region>,
    slot_len: usize,
    slots: Mutex<Vec<Slot>>,
    closed: AtomicBool,
    /// Requests that may have been applied by what their operations told.
    pub(super) applied: AtomicU64,
}

#[derive(Clone)]
struct Slot {
    busy: bool,
    bytes: Vec<u8>,
    /// Operations of which nobody knows whether they were, or will be, applied.
    strays: Vec<u64>,
}

/// One place, while an operation uses it.
pub(super) struct Place {
    pub(super) served: Arc<Served>,
    index: usize,
    pub(super) at: usize,
    pub(super) len: usize,
}

impl Served {
    pub(super) fn new(region: Arc<Region>, slot_len: usize) -> Arc<Self> {
        let slot = Slot {
            busy: false,
            bytes: vec![0; slot_len],
            strays: Vec::new(),
        };
        Arc::new(Self {
            slots: Mutex::new(vec![slot; region.len() / slot_len]),
            slot_len,
            region,
            closed: AtomicBool::new(false),
            applied: AtomicU64::new(0),
        })
    }

    pub(super) fn place(self: &Arc<Self>, dice: &Dice) -> Option<Place> {
        let mut slots = self.slots.lock();
        let first = dice.below(slots.len() as u64) as usize;
        let count = slots.len();
        let index = (first..first + count)
            .map(|index| index % count)
            .find(|index| !slots[*index].busy)?;
        slots[index].busy = true;
        Some(Place {
            served: Arc::clone(self),
            index,
            at: index * self.slot_len,
            len: self.slot_len,
        })
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Its `close` has resolved: from now on no byte of it changes.
    pub(super) fn close(self: &Arc<Self>, ledger: &Ledger) {
        self.check_all(ledger);
        self.closed.store(true, Ordering::Relaxed);
        let memory = Arc::clone(self.region.memory());
        let _ = memory.copy_in(0, &vec![CLOSED; memory.len()]);
        let name = format!("a region that was closed at {:?} was touched", ledger.elapsed());
        ledger.quiet(name, move || {
            let mut bytes = vec![0; memory.len()];
            memory.copy_out(0, &mut bytes).is_ok() && bytes.iter().all(|byte| *byte == CLOSED)
        });
    }

    fn memory(&self, at: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let _ = self.region.memory().copy_out(at, &mut bytes);
        bytes
    }

    /// What is in it is what was written, wherever that is known for certain.
    pub(super) fn check_all(&self, ledger: &Ledger) {
        for (index, slot) in self.slots.lock().iter().enumerate().filter(|(_, slot)| !slot.busy) {
            let memory = self.memory(index * self.slot_len, self.slot_len);
            slot.check(&memory, ledger, || format!("slot {index}"));
        }
        let figures: serde_json::Value = serde_json::from_str(&self.region.figures().stats()).unwrap_or_default();
        let writes = figures["operations"]["writes"].as_u64().unwrap_or(u64::MAX);
        let most = self.applied.load(Ordering::Relaxed);
        let is_idle = self.slots.lock().iter().all(|slot| !slot.busy);
        ledger.expect(!is_idle || writes <= most, || {
            format!("{writes} writes were applied, of at most {most} that may have been")
        });
    }
}

impl Slot {
    fn check(&self, memory: &[u8], ledger: &Ledger, what: impl FnOnce() -> String) {
        let wrong = memory
            .iter()
            .zip(&self.bytes)
            .enumerate()
            .position(|(at, (found, known))| {
                found != known && !self.strays.iter().any(|stray| byte_of(*stray, at) == *found)
            });
        ledger.expect(wrong.is_none(), || {
            let at = wrong.unwrap_or_default();
            format!("{}: {} at {at}, and not {}", what(), memory[at], self.bytes[at])
        });
    }
}

impl Place {
    /// The bytes that an operation has read from it.
    pub(super) fn was_read(&self, operation: u64, bytes: &[u8], ledger: &Ledger) {
        self.served.slots.lock()[self.index].check(bytes, ledger, || format!("read {operation}"));
    }

    /// The operation wrote its bytes, so many from its beginning on, for certain; or nobody knows.
    pub(super) fn was_written(&self, operation: u64, len: usize, for_certain: bool, ledger: &Ledger) {
        let mut slots = self.served.slots.lock();
        let slot = &mut slots[self.index];
        if for_certain {
            slot.bytes[..len].copy_from_slice(&bytes_of(operation, len));
            // Where the region is closed meanwhile, it was filled with something else.
            if !self.served.is_closed() {
                let memory = self.served.memory(self.at, self.len);
                slot.check(&memory, ledger, || format!("write {operation} succeeded"));
            }
        } else {
            slot.strays.push(operation);
        }
    }

    /// It failed for certain: nothing of it is there.
    pub(super) fn was_not_written(&self, operation: u64, ledger: &Ledger) {
        if !self.served.is_closed() {
            let memory = self.served.memory(self.at, self.len);
            self.served.slots.lock()[self.index].check(&memory, ledger, || format!("write {operation} failed"));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.served.slots.lock()[self.index].busy = false;
    }
}
