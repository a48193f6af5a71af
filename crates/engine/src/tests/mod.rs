//! The engine alone: two endpoints in one process, over TCP and over a pipe that delivers and cuts as the test says.

mod closing;
mod dial;
mod events;
mod fence;
mod giving_up;
mod limits;
mod links;
mod order;
mod parts;
mod pipe;
mod redial;
mod stats;
mod support;
mod tcp;
mod telling;
mod tokens;
mod trains;
mod unexpected;
mod wired;
