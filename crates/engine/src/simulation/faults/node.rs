//! A process of a world: an engine that may be started anew.

use super::{
    super::network::address_of,
    Dice, Ledger,
    network::{Roads, host_of},
    slots::Served,
};
use crate::{
    config::Limits,
    context::Context,
    endpoint::Endpoint,
    op::{Issuer, Ticket},
    peer::Peer,
    region::Access,
};
use memlane_wire::Mode;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Handle, time::sleep};

pub(super) const SLOT: usize = 8 << 10;
const SLOTS: usize = 24;
/// More than two pieces of a large operation, and a little.
pub(super) const LARGE_SLOT: usize = (5 << 19) + 77;

pub(super) struct Node {
    number: u32,
    nodes: u32,
    roads: Arc<Roads>,
    ledger: Arc<Ledger>,
    is_large: bool,
    life: Mutex<Arc<Life>>,
}

/// From one start to the next.
pub(super) struct Life {
    pub(super) endpoint: Arc<Endpoint>,
    /// To every process but this one, by its number.
    pub(super) peers: Vec<Option<Arc<Peer>>>,
    small: Mutex<Arc<Served>>,
    large: Option<Arc<Served>>,
}

/// Patience short enough for a world to live through it many times.
pub(super) fn limits() -> Limits {
    Limits {
        connect_timeout: 300,
        handshake_timeout: 400,
        header_timeout: 500,
        progress_timeout: 700,
        idle_timeout: 900,
        unexpected_timeout: 300,
        drain_time: 250,
        max_unexpected_bytes: 4096,
        max_unexpected_messages: 4,
        ..Limits::default()
    }
}

impl Life {
    /// Where others read and write.
    pub(super) fn served(&self, large: bool) -> Arc<Served> {
        match &self.large {
            Some(served) if large => Arc::clone(served),
            _ => Arc::clone(&self.small.lock()),
        }
    }
}

impl Node {
    pub(super) fn start(
        number: u32,
        nodes: u32,
        roads: &Arc<Roads>,
        ledger: &Arc<Ledger>,
        is_large: bool,
    ) -> Arc<Self> {
        let life = begin(number, nodes, roads, is_large);
        Arc::new(Self {
            number,
            nodes,
            roads: Arc::clone(roads),
            ledger: Arc::clone(ledger),
            is_large,
            life: Mutex::new(life),
        })
    }

    pub(super) fn life(&self) -> Arc<Life> {
        Arc::clone(&self.life.lock())
    }

    /// Closes the region that others are using, and has another one of that name; its fence is waited for meanwhile.
    pub(super) fn begin_close_region(&self, dice: &Dice) {
        let life = self.life();
        let patience = dice.millis(300);
        let (served, ledger) = (life.served(false), Arc::clone(&self.ledger));
        let ends = ledger.begin("region close");
        let ticket = Ticket::new(Issuer::local(Arc::clone(&ends) as _), 0, "close");
        life.endpoint.close_region_within(patience, &served.region, ticket);
        let span = served.region.span(0, 1);
        ledger.expect(span.is_none(), || "a span of a region that is being closed".to_owned());
        if let Ok(region) = life.endpoint.alloc("small", SLOT * SLOTS, Access::READ_WRITE) {
            *life.small.lock() = Served::new(region, SLOT);
        }
        tokio::spawn(async move {
            ledger.end(&ends, patience + Duration::from_secs(1)).await;
            ledger.expect(served.region.in_flight() == 0, || {
                "a span is out behind the fence".to_owned()
            });
            served.close(&ledger);
        });
    }

    /// Has the process end, by a crash or in order, and another one come for it some time later.
    pub(super) async fn restart(&self, by_crash: bool, pause: Duration) {
        let life = self.life();
        if by_crash {
            self.roads.crash(self.number);
        } else {
            self.roads.listen_no_more(self.number);
        }
        let patience = if by_crash {
            Duration::ZERO
        } else {
            Duration::from_millis(200)
        };
        let ended = close(&life, patience, &self.ledger);
        sleep(pause).await;
        *self.life.lock() = begin(self.number, self.nodes, &self.roads, self.is_large);
        ended.await;
    }

    /// Ends it for good.
    pub(super) async fn end(&self) {
        self.roads.listen_no_more(self.number);
        close(&self.life(), Duration::from_millis(200), &self.ledger).await;
    }
}

/// Closes an endpoint, at once; then its regions are quiet, and all of its connections have been given back.
fn close(life: &Arc<Life>, patience: Duration, ledger: &Arc<Ledger>) -> impl Future<Output = ()> + use<> {
    let (life, ledger) = (Arc::clone(life), Arc::clone(ledger));
    let ends = ledger.begin("endpoint close");
    let ticket = Ticket::new(Issuer::local(Arc::clone(&ends) as _), 0, "close");
    life.endpoint.close_within(patience, ticket);
    async move {
        ledger.end(&ends, patience + Duration::from_secs(1)).await;
        for served in [Some(life.served(false)), life.large.clone()].into_iter().flatten() {
            ledger.expect(served.region.in_flight() == 0, || {
                "a span is out behind the close".to_owned()
            });
            served.close(&ledger);
        }
        let stats = &life.endpoint.target().stats;
        let (accepted, disconnected) = (stats.accepted.value(), stats.disconnected.value());
        ledger.expect(accepted == disconnected, || {
            format!("{accepted} connections were accepted, and {disconnected} have been given back")
        });
    }
}

fn begin(number: u32, nodes: u32, roads: &Arc<Roads>, is_large: bool) -> Arc<Life> {
    let network: Arc<dyn crate::network::Network> = Arc::clone(roads) as _;
    let context = Context::over(network, Handle::current(), limits()).expect("a context");
    let endpoint = Endpoint::new(context).expect("an endpoint");
    endpoint.set_local_address(address_of(number));
    let alloc = |name: &str, slot: usize, slots: usize| {
        let region = endpoint.alloc(name, slot * slots, Access::READ_WRITE);
        Served::new(region.expect("memory for a region"), slot)
    };
    let small = Mutex::new(alloc("small", SLOT, SLOTS));
    let large = is_large.then(|| alloc("large", LARGE_SLOT, 2));
    let peer = |other: u32| (other != number).then(|| endpoint.connect(&host_of(other), 7400, Mode::Native).ok())?;
    let peers = (0..nodes).map(peer).collect();
    roads.listen(number, endpoint.target());
    Arc::new(Life {
        endpoint: Arc::new(endpoint),
        peers,
        small,
        large,
    })
}
