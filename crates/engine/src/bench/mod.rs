//! What the micro benchmarks reach of the engine's inside. No API: it is there with the feature `bench` alone, which no release
//! build has, and changes with what it shows.

mod connected;
mod outstanding;
mod regions;
mod requests;

pub use connected::Connected;
pub use outstanding::Outstanding;
pub use regions::Regions;
pub use requests::Requests;
