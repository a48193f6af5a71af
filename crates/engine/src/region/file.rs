//! A file as memory: mapped for the kernel, read and written through its descriptor by us.
//!
//! Whoever may write the file may truncate it, at any time. A load from a page that is gone raises SIGBUS, and no check
//! comes close enough before it to prevent that. So nothing here ever loads from the mapping or stores to it: system calls
//! over it fail with EFAULT where a page is gone, and the copies that are ours go through `pread` and `pwrite`.

use memmap2::{Advice, MmapOptions, MmapRaw};
use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    sync::Arc,
};

/// A range of a file, mapped and shared with everybody who has the file open.
#[derive(Debug)]
pub struct MappedFile {
    map: MmapRaw,
    /// Shared with its private views, which take no descriptor of their own.
    file: Arc<File>,
    /// Where the range begins in the file.
    start: u64,
    writable: bool,
    sealed: bool,
}

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.into())
}

/// What is said of a range that the file had when it was mapped, and has no more.
pub(crate) fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file was truncated")
}

impl MappedFile {
    /// Maps `len` bytes from `start`, or all from there to the end. The descriptor is duplicated: the caller's may be
    /// closed afterwards.
    ///
    /// # Errors
    /// `InvalidInput` for what is no regular file and for a range that the file does not have; what the system says.
    ///
    /// # Safety
    /// `fd` must stay open during the call.
    pub unsafe fn map(fd: RawFd, start: u64, len: Option<usize>, writable: bool) -> io::Result<Self> {
        // SAFETY: the caller's promise.
        let file = File::from(unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?);
        let about = file.metadata()?;
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
        let mut options = MmapOptions::new();
        options.offset(start).len(len);
        let map = if writable {
            options.map_raw(&file)
        } else {
            options.map_raw_read_only(&file)
        }?;
        let sealed = is_sealed(&file);
        Ok(Self {
            map,
            file: Arc::new(file),
            start,
            writable,
            sealed,
        })
    }

    /// The same bytes for JavaScript, which knows no read-only memory: what is stored there stays private to the mapping
    /// instead of ending the process.
    ///
    /// # Errors
    /// What the system says.
    pub fn private_view(&self) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        // Without reserve: hardly anything of it is ever stored to, and a file may well be larger than memory.
        options.offset(self.start).len(self.map.len()).no_reserve_swap();
        // SAFETY: the mapping becomes a raw one at once; no Rust reference to its bytes is ever made.
        let map = MmapRaw::from(unsafe { options.map_copy(&*self.file) }?);
        Ok(Self {
            map,
            file: Arc::clone(&self.file),
            writable: true,
            ..*self
        })
    }

    /// Whether the mapping may be stored to.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether nobody can truncate the file any more: the system holds a seal.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether the file still has `len` bytes at `offset` of the range.
    ///
    /// # Errors
    /// `UnexpectedEof` when it has not.
    pub(super) fn check(&self, offset: usize, len: usize) -> io::Result<()> {
        if self.sealed {
            return Ok(());
        }
        let size = self.file.metadata()?.len();
        // No sum of these wraps: the range was in a file when it was mapped.
        if self.start + (offset + len) as u64 > size {
            return Err(truncated());
        }
        Ok(())
    }

    /// Has the system begin to read a range that is about to be sent; it sleeps for the disk otherwise, page by page.
    pub(super) fn will_need(&self, offset: usize, len: usize) {
        // Advice: a refusal costs time and nothing else.
        let _ = self.map.advise_range(Advice::WillNeed, offset, len);
    }

    /// Copies `len` bytes at `offset` of the range to `to`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file has no such bytes any more; what the system says.
    ///
    /// # Safety
    /// `to` must be writable for `len` bytes during the call.
    pub(super) unsafe fn read(&self, offset: usize, to: *mut u8, len: usize) -> io::Result<()> {
        self.each(offset, len, |fd, done, at| {
            // SAFETY: done < len, and the caller promises that `len` bytes are writable from `to` on.
            unsafe { libc::pread(fd, to.add(done).cast(), len - done, at) }
        })
    }

    /// Copies `len` bytes from `from` to `offset` of the range. A file that is too short for them is not made longer, unless
    /// it is truncated in the very moment between the check and the write.
    ///
    /// # Errors
    /// As for [`MappedFile::read`].
    ///
    /// # Safety
    /// `from` must be readable for `len` bytes during the call.
    pub(super) unsafe fn write(&self, offset: usize, from: *const u8, len: usize) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        self.check(offset, len)?;
        self.each(offset, len, |fd, done, at| {
            // SAFETY: as in `read`.
            unsafe { libc::pwrite(fd, from.add(done).cast(), len - done, at) }
        })
    }

    fn each(&self, offset: usize, len: usize, call: impl Fn(RawFd, usize, libc::off_t) -> isize) -> io::Result<()> {
        let mut done = 0;
        while done < len {
            let at = libc::off_t::try_from(self.start + (offset + done) as u64).map_err(|_| truncated())?;
            match usize::try_from(call(self.file.as_raw_fd(), done, at)) {
                Ok(0) => return Err(truncated()),
                Ok(count) => done += count,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::super::{memory::Memory, span::Span};
    use super::*;
    use std::io::Write;

    /// A file without a name, of so many counting bytes.
    fn file(len: usize) -> File {
        let path = std::env::temp_dir().join(format!(
            "memlane-file-{}-{}",
            std::process::id(),
            getrandom::u64().unwrap()
        ));
        let mut options = File::options();
        let mut file = options.read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let bytes: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
        file.write_all(&bytes).unwrap();
        file
    }

    fn map(file: &File, start: u64, len: Option<usize>, writable: bool) -> io::Result<MappedFile> {
        // SAFETY: the file is open.
        unsafe { MappedFile::map(file.as_raw_fd(), start, len, writable) }
    }

    #[test]
    fn a_range_needs_no_alignment_and_never_leaves_the_file() {
        let file = file(10_000);
        let memory = Memory::file(map(&file, 4097, Some(100), false).unwrap());
        let mut bytes = [0; 100];
        memory.copy_out(0, &mut bytes).unwrap();
        assert_eq!(bytes[0], (4097 % 251) as u8);
        assert_eq!(bytes[99], (4196 % 251) as u8);
        assert_eq!(map(&file, 9_999, None, false).unwrap().len(), 1);
        for (start, len) in [
            (10_000, None),
            (10_001, None),
            (0, Some(10_001)),
            (9_999, Some(2)),
            (0, Some(0)),
            (u64::MAX, Some(1)),
        ] {
            let error = map(&file, start, len, false).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{len:?} bytes from {start}");
        }
    }

    #[test]
    fn what_is_truncated_is_an_error_and_no_signal() {
        let file = file(10_000);
        let memory = Memory::file(map(&file, 0, None, true).unwrap());
        let span = Span::whole(memory);
        file.set_len(5_000).unwrap();
        let mut bytes = [0; 10];
        assert_eq!(span.copy_out(4_990, &mut bytes).unwrap(), 10);
        for offset in [4_991, 5_000, 9_990] {
            assert_eq!(
                span.copy_out(offset, &mut bytes).unwrap_err().kind(),
                io::ErrorKind::UnexpectedEof
            );
            assert_eq!(
                span.copy_in(offset, &bytes).unwrap_err().kind(),
                io::ErrorKind::UnexpectedEof
            );
        }
        assert_eq!(file.metadata().unwrap().len(), 5_000, "a write makes it no longer");
        let private = Span::whole(Memory::private(10_000).unwrap());
        assert!(private.copy_to(&span).is_err());
        assert!(span.copy_to(&private).is_err());
        assert!(span.check_file().is_err());
        assert!(span.slice(0, 5_000).unwrap().check_file().is_ok());
        file.set_len(10_000).unwrap();
        assert!(span.check_file().is_ok());
        assert_eq!(span.copy_to(&private).unwrap(), 10_000);
    }

    #[test]
    fn what_is_written_is_in_the_file_and_a_read_only_one_refuses() {
        let file = file(100);
        let memory = Memory::file(map(&file, 10, Some(50), true).unwrap());
        memory.copy_in(5, b"hello").unwrap();
        let mut bytes = [0; 5];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 15).unwrap();
        assert_eq!(&bytes, b"hello");
        let view = Memory::file(memory.as_file().unwrap().private_view().unwrap());
        assert_eq!((view.len(), view.as_ptr() as usize % 4096), (50, 10));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_seal_against_shrinking_is_seen_and_trusted() {
        use std::os::fd::FromRawFd;
        for (seals, expected) in [(0, false), (libc::F_SEAL_GROW, false), (libc::F_SEAL_SHRINK, true)] {
            // SAFETY: the name is a C string, and the descriptor is this test's own.
            let sealable = unsafe {
                let fd = libc::memfd_create(c"memlane".as_ptr(), libc::MFD_ALLOW_SEALING);
                File::from_raw_fd(fd)
            };
            sealable.set_len(100).unwrap();
            // SAFETY: no memory is passed.
            let refused = unsafe { libc::fcntl(sealable.as_raw_fd(), libc::F_ADD_SEALS, seals) };
            assert_eq!(refused, 0);
            assert_eq!(map(&sealable, 0, None, false).unwrap().is_sealed(), expected);
        }
        assert!(!map(&file(10), 0, None, false).unwrap().is_sealed());
    }

    #[test]
    fn a_device_and_a_directory_are_no_files() {
        for path in ["/dev/null", "/"] {
            let file = File::open(path).unwrap();
            assert_eq!(
                map(&file, 0, None, false).unwrap_err().kind(),
                io::ErrorKind::InvalidInput
            );
        }
    }
}
