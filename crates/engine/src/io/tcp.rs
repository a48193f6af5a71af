//! TCP: a socket as a transport, and listening.

use super::{
    Transport, buffers,
    raw::{self, RecvSegment, SendSegment},
};
use crate::config::Limits;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    task::{Context, Poll, ready},
};
use tokio::{
    io::Interest,
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
};

/// As many as the system allows (`net.core.somaxconn`): when a fleet comes back at once, a connection that finds no room is
/// dialled again by the kernel, and only after a second.
const BACKLOG: u32 = 65_535;

/// A connected socket.
pub(crate) struct TcpTransport(TcpStream);

impl TcpTransport {
    pub(crate) fn new(stream: TcpStream, limits: &Limits) -> Self {
        buffers::settle(&stream, limits);
        // Headers and answers are gathered already; waiting for more would cost 40 ms. A refusal costs only that.
        let _ = stream.set_nodelay(true);
        raw::keep_alive(stream.as_raw_fd());
        Self(stream)
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> TcpStream {
        self.0
    }
}

impl Transport for TcpTransport {
    fn poll_recv(&self, cx: &mut Context<'_>, segments: &mut [RecvSegment<'_>]) -> Poll<io::Result<usize>> {
        let wanted = segments.iter().map(RecvSegment::len).sum();
        self.recv(cx, segments, wanted)
    }

    fn poll_send(&self, cx: &mut Context<'_>, segments: &[SendSegment<'_>]) -> Poll<io::Result<usize>> {
        let wanted = segments.iter().map(SendSegment::len).sum();
        self.send(cx, segments, wanted)
    }

    // A call that stops at a lost page says nothing about the socket: to wait for that would be for ever.
    fn poll_recv_file(&self, cx: &mut Context<'_>, segments: &mut [RecvSegment<'_>]) -> Poll<io::Result<usize>> {
        self.recv(cx, segments, 0)
    }

    fn poll_send_file(&self, cx: &mut Context<'_>, segments: &[SendSegment<'_>]) -> Poll<io::Result<usize>> {
        self.send(cx, segments, 0)
    }

    fn shutdown_write(&self) {
        raw::shutdown_write(self.0.as_raw_fd());
    }
}

impl TcpTransport {
    /// Receives once the socket is readable; a count below `wanted` says that it has no more.
    fn recv(&self, cx: &mut Context<'_>, segments: &mut [RecvSegment<'_>], wanted: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            if let Some(result) = self.attempt(Interest::READABLE, wanted, |fd| raw::recv(fd, segments)) {
                return Poll::Ready(result);
            }
        }
    }

    /// Sends once the socket is writable; a count below `wanted` says that it has no more room.
    fn send(&self, cx: &mut Context<'_>, segments: &[SendSegment<'_>], wanted: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            if let Some(result) = self.attempt(Interest::WRITABLE, wanted, |fd| raw::send(fd, segments)) {
                return Poll::Ready(result);
            }
        }
    }

    /// One system call; `None` when the socket was not ready after all.
    ///
    /// After a short count the kernel has no more, and the next call would only say so: reporting "would block" to the
    /// runtime now, with the count kept, saves that call.
    fn attempt(
        &self,
        interest: Interest,
        wanted: usize,
        mut call: impl FnMut(i32) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let mut short = None;
        let result = self.0.try_io(interest, || {
            loop {
                match call(self.0.as_raw_fd()) {
                    Ok(count) if count > 0 && count < wanted => {
                        short = Some(count);
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => return result,
                }
            }
        });
        match (short, result) {
            (Some(count), _) => Some(Ok(count)),
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
            (None, result) => Some(result),
        }
    }
}

/// A socket of the address's family with the buffers of these limits.
pub(super) fn socket(address: &SocketAddr, limits: &Limits) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    buffers::prepare(&socket, address, limits);
    Ok(socket)
}

/// Why nobody listens.
#[derive(Debug)]
pub(crate) enum ListenError {
    /// The address may not be listened on.
    Refused(SocketAddr),
    Io(io::Error),
}

impl From<io::Error> for ListenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Resolves, binds once and listens; port 0 takes a free one. Nobody is heard on an address that `may` refuses.
pub(crate) async fn listen(
    host: &str,
    port: u16,
    limits: &Limits,
    may: impl Fn(IpAddr) -> bool,
) -> Result<TcpListener, ListenError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((host, port)).await? {
        let attempt = || -> io::Result<TcpSocket> {
            let socket = socket(&address, limits)?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        };
        match attempt() {
            Ok(socket) => {
                let address = socket.local_addr()?;
                if !may(address.ip()) {
                    return Err(ListenError::Refused(address));
                }
                return Ok(socket.listen(BACKLOG)?);
            }
            Err(error) => last = error,
        }
    }
    Err(last.into())
}
