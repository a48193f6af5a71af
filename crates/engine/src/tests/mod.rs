//! The engine alone: two endpoints in one process, over TCP and over a pipe that delivers and cuts as the test says.

mod fence;
mod giving_up;
mod limits;
mod links;
mod pipe;
mod stats;
mod support;
mod tcp;
mod wired;
