//! Where connections come from: TCP, and in simulations a network in memory. Asked once for each lane, never by an operation.

#[cfg(feature = "tls")]
use crate::io::TlsTransport;
use crate::{
    error::{Error, ErrorKind},
    io::{TcpTransport, Transport, dial},
    lane::{Dialler, Lane, LaneParts},
};
use memlane_wire::Mode;
use std::{fmt::Debug, net::IpAddr, sync::Arc};
use tokio::{runtime::Handle, task::JoinHandle};

/// Where a link leads and how it is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) mode: Mode,
    /// The address of ours that connections come from; the system's choice where there is none.
    pub(crate) from: Option<IpAddr>,
}

impl Destination {
    /// `host:port`, with brackets around an IPv6 address.
    pub(crate) fn name(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

/// What the lanes of a context dial by.
pub(crate) trait Network: Debug + Send + Sync {
    /// Starts the task of a lane that dials there, on this thread.
    fn start(self: Arc<Self>, lane: LaneParts, to: Destination, thread: &Handle) -> JoinHandle<()>;
}

/// Sockets of the system.
#[derive(Debug)]
pub(crate) struct Tcp;

impl Network for Tcp {
    fn start(self: Arc<Self>, lane: LaneParts, to: Destination, thread: &Handle) -> JoinHandle<()> {
        let limits = Arc::clone(&lane.limits);
        let Destination { host, port, from, .. } = to;
        #[cfg(feature = "tls")]
        if let Some(tls) = lane.security.tls.clone() {
            let dialler: Dialler<TlsTransport<TcpTransport>> = Box::new(move || {
                let (host, limits, tls) = (host.clone(), Arc::clone(&limits), Arc::clone(&tls));
                Box::pin(async move {
                    let distrust = |why: String| Error::new(ErrorKind::Tls).detail(why);
                    let ours = tls.dialled(&host).map_err(distrust)?;
                    dial(&host, port, from, &limits)
                        .await
                        .map(|io| TlsTransport::dialled(io, ours))
                        .map_err(|error| Error::io(ErrorKind::Connect, &error))
                })
            });
            return start(lane, dialler, thread);
        }
        let dialler: Dialler<TcpTransport> = Box::new(move || {
            let (host, limits) = (host.clone(), Arc::clone(&limits));
            Box::pin(async move {
                dial(&host, port, from, &limits)
                    .await
                    .map_err(|error| Error::io(ErrorKind::Connect, &error))
            })
        });
        start(lane, dialler, thread)
    }
}

/// Starts a lane by this dialler.
pub(crate) fn start<T: Transport>(lane: LaneParts, dialler: Dialler<T>, thread: &Handle) -> JoinHandle<()> {
    // Made inside: its timer belongs to the runtime that it runs on.
    thread.spawn(async move { Lane::new(lane, dialler).await })
}
