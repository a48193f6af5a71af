//! Bytes in and out: the transport behind a connection, and the two buffers that every connection has.

mod buffers;
mod dial;
#[cfg(any(test, feature = "simulation", feature = "bench"))]
pub(crate) mod pipe;
pub(crate) mod raw;
mod recv_buffer;
mod send_queue;
pub(crate) mod share;
mod tcp;
mod timer;
#[cfg(feature = "tls")]
mod tls;

pub(crate) use dial::dial;
pub(crate) use recv_buffer::RecvBuffer;
pub(crate) use send_queue::SendQueue;
pub(crate) use tcp::{ListenError, TcpTransport, listen};
pub(crate) use timer::Timer;
#[cfg(feature = "tls")]
pub(crate) use tls::TlsTransport;

use raw::{RecvSegment, SendSegment};
use std::{
    fmt, io,
    task::{Context, Poll},
    time::Duration,
};

/// A connection on which nothing has moved for so long gives its buffers back.
const AT_REST: Duration = Duration::from_secs(1);

/// A byte stream under a connection. One task polls it, for both directions.
pub(crate) trait Transport: Send + Sync + Unpin + 'static {
    /// Fills the segments in turn as far as bytes are there; 0 is the end of the stream.
    fn poll_recv(&self, cx: &mut Context<'_>, segments: &mut [RecvSegment<'_>]) -> Poll<io::Result<usize>>;

    /// Takes bytes of the segments in turn as far as there is room. What was not taken is offered first the next time.
    fn poll_send(&self, cx: &mut Context<'_>, segments: &[SendSegment<'_>]) -> Poll<io::Result<usize>>;

    /// [`Transport::poll_recv`] into memory of a file: a call may stop at a page that is gone, so that fewer bytes than there
    /// is room for do not mean that there are no more.
    fn poll_recv_file(&self, cx: &mut Context<'_>, segments: &mut [RecvSegment<'_>]) -> Poll<io::Result<usize>> {
        self.poll_recv(cx, segments)
    }

    /// [`Transport::poll_send`] out of memory of a file, likewise.
    fn poll_send_file(&self, cx: &mut Context<'_>, segments: &[SendSegment<'_>]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, segments)
    }

    /// Whether bytes are copied by this process, not by the kernel: memory of a file, which may go while that happens, is in no
    /// segment then.
    fn copies(&self) -> bool {
        false
    }

    /// Says that no more bytes will come; the other direction goes on.
    fn shutdown_write(&self);
}

/// What a TLS endpoint tells a native peer that speaks none, and a plain one a peer that speaks TLS: a fatal alert, as a record.
pub(crate) const TLS_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 70];

/// What a transport says of a peer that it does not trust: why.
#[derive(Debug)]
pub(crate) struct Distrust(pub(crate) String);

impl Distrust {
    /// The reason, where that is why a transport failed.
    pub(crate) fn of(error: &io::Error) -> Option<&str> {
        let distrust: &Self = error.get_ref()?.downcast_ref()?;
        Some(&distrust.0)
    }
}

impl From<Distrust> for io::Error {
    fn from(why: Distrust) -> Self {
        Self::new(io::ErrorKind::InvalidData, why)
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Distrust {}
