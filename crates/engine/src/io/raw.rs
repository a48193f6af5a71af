//! System calls on memory that has no Rust reference, and on byte buffers beside it in the same call.

use crate::region::span::Span;
use std::{io, marker::PhantomData, os::fd::RawFd, ptr};

/// Most segments that one system call gathers or scatters.
pub(crate) const SEGMENTS: usize = 16;

/// A range that the kernel may fill: part of a span, or a buffer of ours. Borrowed for as long as it exists.
#[repr(transparent)]
pub(crate) struct RecvSegment<'a>(libc::iovec, PhantomData<&'a mut [u8]>);

/// A range that the kernel may read.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct SendSegment<'a>(libc::iovec, PhantomData<&'a [u8]>);

fn iovec(base: *mut u8, len: usize) -> libc::iovec {
    libc::iovec {
        iov_base: base.cast(),
        iov_len: len,
    }
}

impl<'a> RecvSegment<'a> {
    pub(crate) fn bytes(bytes: &'a mut [u8]) -> Self {
        Self(iovec(bytes.as_mut_ptr(), bytes.len()), PhantomData)
    }

    /// At most `most` bytes of the span from `offset` on.
    pub(crate) fn span(span: &'a Span, offset: usize, most: usize) -> Self {
        let (base, len) = span.raw(offset, most);
        Self(iovec(base, len), PhantomData)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iov_len
    }

    /// Stores at `at` as much of `bytes` as fits there. For transports that are no socket.
    #[cfg(any(test, feature = "simulation", feature = "bench", feature = "tls"))]
    pub(crate) fn fill(&mut self, at: usize, bytes: &[u8]) {
        let at = at.min(self.0.iov_len);
        let count = bytes.len().min(self.0.iov_len - at);
        // SAFETY: the segment borrows iov_len writable bytes, at + count is at most that, and `bytes` is a slice apart from it.
        unsafe { libc::memcpy(self.0.iov_base.byte_add(at), bytes.as_ptr().cast(), count) };
    }
}

impl<'a> SendSegment<'a> {
    pub(crate) const EMPTY: Self = Self(
        libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        },
        PhantomData,
    );

    pub(crate) fn bytes(bytes: &'a [u8]) -> Self {
        Self(iovec(bytes.as_ptr().cast_mut(), bytes.len()), PhantomData)
    }

    /// At most `most` bytes of the span from `offset` on.
    pub(crate) fn span(span: &'a Span, offset: usize, most: usize) -> Self {
        let (base, len) = span.raw(offset, most);
        Self(iovec(base, len), PhantomData)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iov_len
    }

    /// Copies as many bytes as `into` has room for; how many. For transports that are no socket.
    #[cfg(feature = "tls")]
    pub(crate) fn copy_into(&self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.0.iov_len);
        if count > 0 {
            // SAFETY: the segment borrows iov_len readable bytes, `into` is a unique slice apart from them, and `count` is at
            // most either length; a segment of nothing, whose base may be null, does not come here.
            unsafe { libc::memcpy(into.as_mut_ptr().cast(), self.0.iov_base, count) };
        }
        count
    }

    /// A copy of at most `most` bytes. For transports that are no socket.
    #[cfg(any(test, feature = "simulation", feature = "bench"))]
    pub(crate) fn copied(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most.min(self.0.iov_len)];
        // SAFETY: the segment borrows iov_len readable bytes and `bytes` is no longer than that.
        unsafe { libc::memcpy(bytes.as_mut_ptr().cast(), self.0.iov_base, bytes.len()) };
        bytes
    }
}

/// Receives into the segments in turn; 0 means that the peer has sent its last byte.
pub(crate) fn recv(socket: RawFd, segments: &mut [RecvSegment<'_>]) -> io::Result<usize> {
    let mut message = header(segments.as_mut_ptr().cast(), segments.len());
    // SAFETY: `message` names segments.len() iovecs (RecvSegment is one, transparently), each of them borrowed,
    // writable memory for the whole call; a closed or foreign descriptor is an error, not a fault.
    count(unsafe { libc::recvmsg(socket, &raw mut message, 0) })
}

/// Sends from the segments in turn; a peer that is gone is an error and raises no signal.
pub(crate) fn send(socket: RawFd, segments: &[SendSegment<'_>]) -> io::Result<usize> {
    let message = header(segments.as_ptr().cast_mut().cast(), segments.len());
    // On Apple systems the standard library sets SO_NOSIGPIPE on every socket it makes.
    #[cfg(target_vendor = "apple")]
    let flags = 0;
    #[cfg(not(target_vendor = "apple"))]
    let flags = libc::MSG_NOSIGNAL;
    // SAFETY: as in `recv`; the kernel only reads, and what it reads may change meanwhile without harm to us.
    count(unsafe { libc::sendmsg(socket, &raw const message, flags) })
}

/// Sends the end of the stream; a socket that is not connected any more has nothing to end.
pub(crate) fn shutdown_write(socket: RawFd) {
    // SAFETY: no memory is passed; a closed or foreign descriptor is an error, not a fault.
    unsafe { libc::shutdown(socket, libc::SHUT_WR) };
}

/// Lets the system find out within half a minute that the other host is gone, also while nothing is being sent. A system
/// that knows one of the options not keeps its own default.
pub(crate) fn keep_alive(socket: RawFd) {
    #[cfg(target_vendor = "apple")]
    const IDLE: libc::c_int = libc::TCP_KEEPALIVE;
    #[cfg(not(target_vendor = "apple"))]
    const IDLE: libc::c_int = libc::TCP_KEEPIDLE;
    set(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1);
    for (option, value) in [(IDLE, 10), (libc::TCP_KEEPINTVL, 5), (libc::TCP_KEEPCNT, 4)] {
        set(socket, libc::IPPROTO_TCP, option, value);
    }
}

/// Lets a socket that is bound to an address take its port when it connects, as one that is not bound does: the same port
/// serves for many peers then. A system without the option takes a port of its own for each.
pub(crate) fn leave_port_to_connect(socket: RawFd) {
    #[cfg(target_os = "linux")]
    set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// Sizes of the socket's buffers; 0 leaves one as it is. The system may grant less, and says so to nobody.
pub(crate) fn set_buffers(socket: RawFd, send: u64, receive: u64) {
    for (option, size) in [(libc::SO_SNDBUF, send), (libc::SO_RCVBUF, receive)] {
        if size > 0 {
            set(
                socket,
                libc::SOL_SOCKET,
                option,
                libc::c_int::try_from(size).unwrap_or(libc::c_int::MAX),
            );
        }
    }
}

fn set(socket: RawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option's value is an int that lives during the call, and its length is given.
    unsafe { libc::setsockopt(socket, level, option, (&raw const value).cast(), length) };
}

fn header(segments: *mut libc::iovec, count: usize) -> libc::msghdr {
    // SAFETY: a msghdr of zeros is a valid one without name, segments or control data; some systems have padding
    // fields that only this sets.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = segments;
    // The field's type differs between systems; `count` is at most SEGMENTS.
    message.msg_iovlen = count.min(SEGMENTS) as _;
    message
}

fn count(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
