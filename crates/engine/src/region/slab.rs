//! Slabs: one mapping carved into the memories of many small regions.
//!
//! A mapping of its own costs every region a page, two guard pages and two entries in the system's list of mappings, of
//! which a process has some 65,000. What bounds a small region is what bounds a large one: its registered length, which the
//! registry checks, and which no span and no copy leaves. Guard pages stand around the slab.

use super::memory::Memory;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

/// Below the size of a huge page: the first small region must not make 2 MiB present.
const SLAB_BYTES: usize = 1 << 20;

/// Longest memory that shares a mapping. Four to a slab: a hundred thousand of them stay within the system's list.
const MOST_BYTES: usize = SLAB_BYTES / 4;

/// Slots begin at a multiple of it, so that no two regions have a cache line together.
const LINE: usize = 64;

/// Those of the process: endpoints share them, so that a process of many endpoints with a few regions each costs no slab for
/// each of these.
static SLABS: Mutex<Slabs> = Mutex::new(Slabs::new());

/// Page-aligned or a multiple of 64, zeroed, every page present: what a region of `len` bytes is made of.
///
/// # Errors
/// As for [`Memory::mapped`].
pub(super) fn zeroed(len: usize) -> io::Result<Arc<Memory>> {
    if len == 0 || len > MOST_BYTES {
        return Memory::mapped(len);
    }
    slot_of(&SLABS, len)
}

fn slot_of(slabs: &'static Mutex<Slabs>, len: usize) -> io::Result<Arc<Memory>> {
    let size = slot_bytes(len);
    let taken = slabs.lock().take(slabs, size);
    let slot = match taken {
        Some(slot) => slot,
        None => {
            // Outside the lock: somebody else may make one, too, and neither is lost.
            let memory = Memory::reserved(SLAB_BYTES)?;
            slabs.lock().add(slabs, size, memory)
        }
    };
    Memory::part(slot, len)
}

/// Bytes of the slot for so many: four sizes between a power of two and the next, so that less than a quarter is unused.
fn slot_bytes(len: usize) -> usize {
    len.next_multiple_of((len.next_power_of_two() / 8).max(LINE))
}

/// Size of its slots, and where it begins.
type Key = (usize, usize);

#[derive(Debug)]
struct Slabs {
    all: BTreeMap<Key, Slab>,
    /// Those with a free slot. The lowest is filled first, so that the others may run empty and go.
    with_room: BTreeSet<Key>,
}

#[derive(Debug)]
struct Slab {
    memory: Arc<Memory>,
    /// Slots from this one on were never handed out.
    fresh: usize,
    free: Vec<u32>,
}

/// A slot that is somebody's until this is dropped. Whoever drops it has zeroed it.
#[derive(Debug)]
pub(super) struct Slot {
    slab: Arc<Memory>,
    slabs: &'static Mutex<Slabs>,
    size: usize,
    index: u32,
}

impl Slot {
    pub(super) fn slab(&self) -> &Memory {
        &self.slab
    }

    /// Where it begins in its slab.
    pub(super) fn offset(&self) -> usize {
        self.index as usize * self.size
    }

    /// Bytes that are its own.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn key(&self) -> Key {
        key(self.size, &self.slab)
    }
}

fn key(size: usize, slab: &Memory) -> Key {
    (size, slab.as_ptr() as usize)
}

impl Slabs {
    const fn new() -> Self {
        Self {
            all: BTreeMap::new(),
            with_room: BTreeSet::new(),
        }
    }

    fn take(&mut self, slabs: &'static Mutex<Self>, size: usize) -> Option<Slot> {
        let key = *self.with_room.range((size, 0)..=(size, usize::MAX)).next()?;
        let slab = self.all.get_mut(&key)?;
        let index = slab.free.pop().unwrap_or_else(|| {
            slab.fresh += 1;
            (slab.fresh - 1) as u32
        });
        if slab.free.is_empty() && slab.fresh == SLAB_BYTES / size {
            self.with_room.remove(&key);
        }
        Some(Slot {
            slab: Arc::clone(&slab.memory),
            slabs,
            size,
            index,
        })
    }

    /// One more, and its first slot.
    fn add(&mut self, slabs: &'static Mutex<Self>, size: usize, memory: Arc<Memory>) -> Slot {
        let key = key(size, &memory);
        let slot = Slot {
            slab: Arc::clone(&memory),
            slabs,
            size,
            index: 0,
        };
        let slab = Slab {
            memory,
            fresh: 1,
            free: Vec::new(),
        };
        self.all.insert(key, slab);
        self.with_room.insert(key);
        slot
    }

    fn give_back(&mut self, key: Key, index: u32) {
        let Some(slab) = self.all.get_mut(&key) else { return };
        slab.free.push(index);
        if slab.free.len() < slab.fresh {
            self.with_room.insert(key);
        } else {
            // Nobody has any of it. The slot that is being given back keeps the mapping until the lock is free.
            self.with_room.remove(&key);
            self.all.remove(&key);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let key = self.key();
        self.slabs.lock().give_back(key, self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slabs() -> &'static Mutex<Slabs> {
        Box::leak(Box::new(Mutex::new(Slabs::new())))
    }

    fn mappings(slabs: &Mutex<Slabs>) -> usize {
        slabs.lock().all.len()
    }

    fn bytes_of(memory: &Memory) -> Vec<u8> {
        let mut bytes = vec![0xee; memory.len()];
        memory.copy_out(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn memories_of_one_slab_have_no_byte_together() {
        let slabs = slabs();
        let lengths = [
            1, 63, 64, 65, 100, 1000, 4095, 4096, 4097, 10_000, 65_536, 200_000, MOST_BYTES,
        ];
        let memories: Vec<_> = (0..200)
            .map(|index| slot_of(slabs, lengths[index % lengths.len()]).unwrap())
            .collect();
        for (index, memory) in memories.iter().enumerate() {
            assert_eq!(memory.len(), lengths[index % lengths.len()]);
            assert_eq!(memory.as_ptr() as usize % LINE, 0);
            memory.copy_in(0, &vec![index as u8; memory.len()]).unwrap();
        }
        for (index, memory) in memories.iter().enumerate() {
            assert!(
                bytes_of(memory).iter().all(|&byte| byte == index as u8),
                "memory {index}"
            );
        }
    }

    #[test]
    fn what_is_handed_out_again_is_zeroed_whoever_had_it() {
        for len in [1, 64, 100, 4096, 5000, 20_000, MOST_BYTES] {
            let slabs = slabs();
            // One that stays, so that the mapping does.
            let _stays = slot_of(slabs, len).unwrap();
            let first = slot_of(slabs, len).unwrap();
            let place = first.as_ptr();
            first.copy_in(0, &vec![7; len]).unwrap();
            drop(first);
            let second = slot_of(slabs, len).unwrap();
            assert_eq!(second.as_ptr(), place, "{len} bytes: the same place");
            assert!(bytes_of(&second).iter().all(|&byte| byte == 0), "{len} bytes");
        }
    }

    #[test]
    fn ten_thousand_small_memories_share_one_mapping_and_the_last_one_gives_it_back() {
        let slabs = slabs();
        let mut memories: Vec<_> = (0..10_000).map(|_| slot_of(slabs, 64).unwrap()).collect();
        assert_eq!(mappings(slabs), 1);
        let last = memories.swap_remove(5_000);
        drop(memories);
        assert_eq!(mappings(slabs), 1);
        drop(last);
        assert_eq!(mappings(slabs), 0);
    }

    #[test]
    fn every_slot_is_used_before_another_mapping_is_made_and_again_when_it_is_free() {
        let slabs = slabs();
        let slots = SLAB_BYTES / slot_bytes(50_000);
        let mut memories: Vec<_> = (0..2 * slots).map(|_| slot_of(slabs, 50_000).unwrap()).collect();
        assert_eq!(mappings(slabs), 2);
        memories.truncate(slots + 1);
        memories.swap_remove(3);
        memories.extend((0..slots).map(|_| slot_of(slabs, 50_000).unwrap()));
        assert_eq!(mappings(slabs), 2);
        memories.push(slot_of(slabs, 50_000).unwrap());
        assert_eq!(mappings(slabs), 3);
    }

    #[test]
    fn a_slot_wastes_less_than_a_quarter_or_a_cache_line() {
        for len in 1..=MOST_BYTES {
            let size = slot_bytes(len);
            assert!(size >= len && size.is_multiple_of(LINE), "{len}: {size}");
            assert!(size - len < LINE.max(len.div_ceil(4)), "{len}: {size}");
        }
        assert_eq!(slot_bytes(MOST_BYTES), MOST_BYTES);
    }
}
