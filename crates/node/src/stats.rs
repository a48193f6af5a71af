//! Statistics of contexts, endpoints, peers and regions, also of those that are closed.

use crate::attachment::with;
use memlane_engine::{context::Context, endpoint::Endpoint, peer::Peer, region};
use napi::bindgen_prelude::External;
use napi_derive::napi;
use std::sync::Arc;

/// What figures are asked of: held by the object of JavaScript, so that they can be told as long as that is there.
pub enum Figures {
    Context(Context),
    Endpoint(Arc<Endpoint>),
    Peer(Arc<Peer>),
    /// Without the region's memory, which goes when it is closed.
    Region(region::Figures),
}

/// The figures of an open context.
#[napi(catch_unwind, ts_return_type = "object | null")]
pub fn context_figures(attachment: u32, context: f64) -> Option<External<Figures>> {
    with(attachment, |attachment| attachment.contexts.get(context).cloned())
        .flatten()
        .map(|context| External::new(Figures::Context(context)))
}

/// The figures of an open endpoint.
#[napi(catch_unwind, ts_return_type = "object | null")]
pub fn endpoint_figures(attachment: u32, endpoint: f64) -> Option<External<Figures>> {
    with(attachment, |attachment| attachment.endpoints.get(endpoint).cloned())
        .flatten()
        .map(|endpoint| External::new(Figures::Endpoint(endpoint)))
}

/// The figures of an open peer.
#[napi(catch_unwind, ts_return_type = "object | null")]
pub fn peer_figures(attachment: u32, peer: f64) -> Option<External<Figures>> {
    with(attachment, |attachment| {
        attachment.peers.get(peer).map(|connected| Arc::clone(&connected.peer))
    })
    .flatten()
    .map(|peer| External::new(Figures::Peer(peer)))
}

/// The figures of an open region.
#[napi(catch_unwind, ts_return_type = "object | null")]
pub fn region_figures(attachment: u32, region: f64) -> Option<External<Figures>> {
    with(attachment, |attachment| {
        attachment.regions.get(region).map(|(region, _)| region.figures())
    })
    .flatten()
    .map(|figures| External::new(Figures::Region(figures)))
}

/// What they say now, as JSON.
#[napi(catch_unwind)]
pub fn stats(#[napi(ts_arg_type = "object")] figures: &External<Figures>) -> String {
    match &**figures {
        Figures::Context(context) => context.stats(),
        Figures::Endpoint(endpoint) => endpoint.stats(),
        Figures::Peer(peer) => peer.stats(),
        Figures::Region(region) => region.stats(),
    }
}
