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

pub(crate) use dial::dial;
pub(crate) use recv_buffer::RecvBuffer;
pub(crate) use send_queue::SendQueue;
pub(crate) use tcp::{ListenError, TcpTransport, listen};
pub(crate) use timer::Timer;

use raw::{RecvSegment, SendSegment};
use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

/// A connection on which nothing has moved for so long gives its buffers back.
const AT_REST: Duration = Duration::from_secs(1);

/// A byte stream under a connection. One task polls it, for both directions.
pub(crate) trait Transport: Send + Sync + Unpin + 'static {
    /// Fills the segments in turn as far as bytes are there; 0 is the end of the stream.
    fn poll_recv(&self, cx: &mut Context<'_>, segments: &mut [RecvSegment<'_>]) -> Poll<io::Result<usize>>;

    /// Takes bytes of the segments in turn as far as there is room.
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

    /// Says that no more bytes will come; the other direction goes on.
    fn shutdown_write(&self);
}
