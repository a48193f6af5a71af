//! The pages of large regions, brought beside whoever made the region: handing over a gigabyte takes a system some hundred
//! milliseconds to seconds, and an event loop would stand still for that.

use super::memory::{AT_ONCE, Memory};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    thread,
};

/// So many bytes by a system call. The address space is locked meanwhile, against whoever maps memory at the same time.
const STEP: usize = 2 << 20;

/// Regions whose pages are to come, oldest first, and whether a thread is at it.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting {
    regions: VecDeque::new(),
    is_served: false,
});

struct Waiting {
    regions: VecDeque<Weak<Memory>>,
    is_served: bool,
}

/// Brings the pages that are not present yet, by a thread that ends when there are none to bring. Bytes that somebody uses
/// before that come when he touches them; a region that is freed before that is left.
pub(super) fn bring(memory: &Arc<Memory>) {
    if !memory.is_mapped() || memory.len() <= AT_ONCE {
        return;
    }
    let mut waiting = WAITING.lock();
    waiting.regions.push_back(Arc::downgrade(memory));
    if waiting.is_served {
        return;
    }
    let thread = thread::Builder::new().name("memlane-pages".into()).spawn(serve);
    waiting.is_served = thread.is_ok();
    if !waiting.is_served {
        // No thread to be had: the pages come when they are touched.
        waiting.regions.clear();
    }
}

fn serve() {
    loop {
        let mut waiting = WAITING.lock();
        let Some(region) = waiting.regions.pop_front() else {
            waiting.is_served = false;
            return;
        };
        drop(waiting);
        let mut at = AT_ONCE;
        // Held for a step and no longer: whoever lets go of a region gets its memory back.
        while let Some(memory) = region.upgrade()
            && at < memory.len()
            && memory.bring(at, STEP.min(memory.len() - at)).unwrap_or(false)
        {
            at += STEP;
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::region::{Access, registry::Registry};
    use std::time::{Duration, Instant};

    fn becomes_resident(memory: &Memory) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !memory.is_resident() && Instant::now() < deadline {
            thread::yield_now();
        }
        memory.is_resident()
    }

    #[test]
    fn every_page_comes_without_a_touch_and_what_was_stored_meanwhile_stays() {
        let registry = Registry::default();
        let region = registry.alloc("large", (24 << 20) + 5, Access::READ).unwrap();
        let memory = region.memory();
        let mark = vec![7; 64 << 10];
        for at in (0..memory.len() - mark.len()).step_by(1 << 20) {
            memory.copy_in(at, &mark).unwrap();
        }
        assert!(becomes_resident(memory));
        let mut found = vec![0; mark.len()];
        for at in (0..memory.len() - mark.len()).step_by(1 << 20) {
            memory.copy_out(at, &mut found).unwrap();
            assert_eq!(found, mark, "at {at}");
        }
    }

    #[test]
    fn a_region_that_is_freed_before_its_pages_came_disturbs_nobody() {
        let kept = Memory::mapped(16 << 20).unwrap();
        for _ in 0..20 {
            bring(&Memory::mapped(64 << 20).unwrap());
        }
        bring(&kept);
        assert!(becomes_resident(&kept));
    }
}
