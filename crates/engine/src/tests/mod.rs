//! The engine alone: two endpoints in one process, over TCP and over a pipe that delivers and cuts as the test says.

mod closing;
mod dial;
mod events;
mod fence;
mod giving_up;
mod going;
mod limits;
mod links;
mod notify;
mod order;
mod parts;
mod pipe;
mod protected;
mod redial;
mod rights;
mod stats;
mod support;
mod tcp;
mod telling;
#[cfg(feature = "tls")]
mod tls;
mod tokens;
mod trains;
mod unexpected;
mod wired;
