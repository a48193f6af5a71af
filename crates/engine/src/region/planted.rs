//! Mistakes made on purpose, so that `npm run test:asan` can show that it sees them. In no other build.

use super::{memory::Memory, slab};
use std::{hint::black_box, io, io::Write, os::fd::AsRawFd};

/// Length of the memory that is overrun; no multiple of what the sanitizer or the slab count in.
const BYTES: usize = 100;

/// Makes the mistake of that name.
///
/// # Errors
/// What the system says; no mistake was made then.
///
/// # Panics
/// When there is no mistake of that name.
pub fn plant(mistake: &str) -> io::Result<()> {
    // Whose slab stays, whatever becomes of other regions.
    let region = slab::zeroed(BYTES)?;
    match mistake {
        "heap-overflow" => store(Memory::private(BYTES)?.as_ptr().wrapping_add(BYTES)),
        "heap-use-after-free" => {
            let gone = Memory::private(BYTES)?.as_ptr();
            store(gone);
        }
        "region-overflow" => store(region.as_ptr().wrapping_add(BYTES)),
        "region-overflow-by-the-kernel" => read_one_too_many(&region)?,
        "region-use-after-free" => {
            let gone = slab::zeroed(BYTES)?.as_ptr();
            store(gone);
        }
        "mapping-overflow" => {
            let large = Memory::mapped((1 << 20) + BYTES)?;
            store(large.as_ptr().wrapping_add(large.len()));
        }
        "mapping-use-after-free" => {
            let gone = Memory::mapped(4 << 20)?.as_ptr();
            store(gone);
        }
        "leak" => {
            black_box(Box::leak(Box::new([7_u8; BYTES])));
        }
        _ => panic!("there is no mistake {mistake}"),
    }
    Ok(())
}

fn store(place: *mut u8) {
    // SAFETY: there is none. That it is seen is the point.
    unsafe { black_box(place).write_volatile(7) };
}

/// The system stores a byte more than there is room for, as into the span of a request that was checked wrongly.
fn read_one_too_many(region: &Memory) -> io::Result<()> {
    let (from, mut to) = io::pipe()?;
    to.write_all(&[7; BYTES + 1])?;
    // SAFETY: as in `store`. The byte behind the region is in its slot, and nobody's.
    unsafe { libc::read(from.as_raw_fd(), region.as_ptr().cast(), BYTES + 1) };
    Ok(())
}

#[cfg(test)]
mod tests {
    /// Started by `npm run test:asan`, once for each mistake; it does not come back from one.
    #[test]
    fn a_planted_mistake_is_reported() {
        let Ok(mistake) = std::env::var("MEMLANE_MISTAKE") else {
            return;
        };
        super::plant(&mistake).unwrap();
    }
}
