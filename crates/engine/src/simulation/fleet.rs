//! Processes of the simulated kind: endpoints that serve, and readers as a program has them.

use super::{
    World,
    network::{Memory, address_of},
};
use crate::{
    config::Limits,
    context::Context,
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    op::{Done, Operation, Request, Ticket, channel},
    peer::Peer,
    region::{Access, memory, span::Span},
};
use memlane_wire::Mode;
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

const REGION: &str = "kv";
pub(super) const READ_BYTES: usize = 64;

/// A process of a context and an endpoint, without peers.
pub(super) fn process(network: &Arc<Memory>, number: u32) -> Result<Endpoint, Error> {
    endpoint(network, number, Limits::default())
}

/// An endpoint that listens at this name, with a region of `len` bytes and room for so many connections.
pub(super) fn serving(world: &World, network: &Arc<Memory>, host: &str, len: usize) -> Result<Endpoint, Error> {
    let mut limits = Limits::default();
    let room = u64::from(world.options.peers) + 1024;
    limits.set("maxConnections", room)?;
    limits.set("maxConnectionsPerSource", room)?;
    let endpoint = endpoint(network, 0, limits)?;
    endpoint.alloc(REGION, len, Access::READ)?;
    network.listen(host, endpoint.target());
    Ok(endpoint)
}

fn endpoint(network: &Arc<Memory>, number: u32, limits: Limits) -> Result<Endpoint, Error> {
    let network: Arc<dyn crate::network::Network> = Arc::clone(network) as _;
    let endpoint = Endpoint::new(Context::over(network, Handle::current(), limits)?)?;
    endpoint.set_local_address(address_of(number));
    Ok(endpoint)
}

/// One peer, and memory that its reads go into.
pub(super) struct Reader {
    pub(super) number: u32,
    peer: Arc<Peer>,
    into: Span,
}

impl Reader {
    pub(super) fn new(endpoint: &Endpoint, number: u32, host: &str) -> Result<Self, Error> {
        let peer = endpoint.connect(host, 7400, Mode::Native)?;
        let memory = memory::Memory::private(READ_BYTES).map_err(|error| Error::memory(READ_BYTES, &error))?;
        Ok(Self {
            number,
            peer,
            into: Span::whole(memory),
        })
    }

    async fn ask(&self, name: &'static str, request: Request, timeout: Duration) -> Result<Done, Error> {
        let (sink, ended) = channel::once();
        self.peer.submit(Operation {
            ticket: Ticket::new(self.peer.issuer(sink), 0, name),
            request,
            timeout: Some(timeout),
        });
        ended.wait().await
    }

    /// Where the peer's region is, as it says itself.
    pub(super) async fn describe(&self, timeout: Duration) -> Result<u64, Error> {
        let Done::Text(text) = self.ask("describe", Request::Describe, timeout).await? else {
            return Err(Error::new(ErrorKind::Internal));
        };
        let info: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        info["mr_info"][REGION]["addr"]
            .as_u64()
            .ok_or_else(|| Error::new(ErrorKind::RegionNotFound))
    }

    pub(super) async fn read(&self, addr: u64, timeout: Duration) -> Result<Done, Error> {
        let into = self.into.clone();
        self.ask("read", Request::Read { addr, into }, timeout).await
    }
}
