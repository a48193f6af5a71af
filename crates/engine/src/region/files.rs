//! Which files are mapped: the ranges of one share a mapping and a descriptor.

use super::file::MappedFile;
use crate::sync::Mutex;
use memmap2::{MmapOptions, MmapRaw};
use std::{
    collections::HashMap,
    fs::{File, Metadata},
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, RawFd},
        unix::fs::MetadataExt,
    },
    sync::{Arc, Weak},
};

/// A mapping, and the descriptor that it is read and written through: a file of ten thousand tensors has one of each.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) map: MmapRaw,
    pub(super) file: File,
    /// Where the mapping begins in the file.
    pub(super) start: u64,
}

/// The files that are mapped, so that the next range of one shares its mapping.
#[derive(Debug, Default)]
pub struct Files(Mutex<HashMap<Key, Weak<Whole>>>);

/// Device, inode, and whether it may be stored to. A file that is mapped is open, and an open one keeps its number.
type Key = (u64, u64, bool);

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.into())
}

impl Files {
    /// Maps `len` bytes from `start`, or all from there to the end. The descriptor is duplicated where it is kept: the
    /// caller's may be closed afterwards.
    ///
    /// # Errors
    /// `InvalidInput` for what is no regular file and for a range that the file does not have; what the system says.
    ///
    /// # Safety
    /// `fd` must stay open during the call.
    pub unsafe fn map(&self, fd: RawFd, start: u64, len: Option<usize>, writable: bool) -> io::Result<MappedFile> {
        // SAFETY: the caller's promise; nothing of this outlives the call.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let file = File::from(fd.try_clone_to_owned()?);
        let about = file.metadata()?;
        let len = checked(&about, start, len)?;
        let key = (about.dev(), about.ino(), writable);
        let sealed = is_sealed(&file);
        let mut files = self.0.lock();
        let known = files.get(&key).and_then(Weak::upgrade);
        if let Some(part) = known.and_then(|whole| whole.part(start, len, writable, sealed)) {
            return Ok(part);
        }
        let whole = Whole::of(file, about.len(), start, len, writable)?;
        files.retain(|_, whole| whole.strong_count() > 0);
        files.insert(key, Arc::downgrade(&whole));
        drop(files);
        whole
            .part(start, len, writable, sealed)
            .ok_or_else(|| invalid("it is longer than an address space"))
    }
}

/// The length of the range, which the file has.
fn checked(about: &Metadata, start: u64, len: Option<usize>) -> io::Result<usize> {
    if !about.is_file() {
        let what = if about.is_dir() {
            "it is a directory"
        } else {
            "it is no regular file"
        };
        return Err(invalid(what));
    }
    let size = about.len();
    let left = size.checked_sub(start).filter(|&left| left > 0);
    let left = left.ok_or_else(|| invalid(format!("it has {size} bytes, none from offset {start} on")))?;
    let len = len.map_or_else(|| usize::try_from(left), Ok);
    let len = len.map_err(|_| invalid("it is longer than an address space"))?;
    if len == 0 || len as u64 > left {
        return Err(invalid(format!(
            "it has {size} bytes, not {len} from offset {start} on"
        )));
    }
    Ok(len)
}

impl Whole {
    /// The mapping of a whole file, for the ranges to come; of this range alone where the system has no room for so much.
    fn of(file: File, size: u64, start: u64, len: usize, writable: bool) -> io::Result<Arc<Self>> {
        let map = |start: u64, len: usize| {
            let mut options = MmapOptions::new();
            options.offset(start).len(len);
            if writable {
                options.map_raw(&file)
            } else {
                options.map_raw_read_only(&file)
            }
        };
        let (map, start) = match usize::try_from(size).ok().and_then(|size| map(0, size).ok()) {
            Some(map) => (map, 0),
            None => (map(start, len)?, start),
        };
        Ok(Arc::new(Self { map, file, start }))
    }

    /// A range of the mapping, if it has it: it may be older than the end of the file.
    fn part(self: Arc<Self>, start: u64, len: usize, writable: bool, sealed: bool) -> Option<MappedFile> {
        let at = usize::try_from(start.checked_sub(self.start)?).ok()?;
        (len <= self.map.len().checked_sub(at)?).then_some(MappedFile {
            whole: self,
            at,
            len,
            writable,
            sealed,
        })
    }
}

#[cfg(target_os = "linux")]
fn is_sealed(file: &File) -> bool {
    // SAFETY: no memory is passed; a file that knows no seals is an error.
    let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    seals >= 0 && seals & libc::F_SEAL_SHRINK != 0
}

#[cfg(not(target_os = "linux"))]
fn is_sealed(_: &File) -> bool {
    false
}
