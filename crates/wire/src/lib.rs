//! The bytes memlane puts on a TCP connection.
//!
//! Every value here is a fixed-size frame that turns into bytes and back without
//! loss. The crate does no I/O, reads no clock, allocates nothing and decides no
//! policy: whether a size is too large or an address exists is for its callers.
//! `docs/protocol.md` is the normative text; `testdata/*.hex` holds every message.
//!
//! # Layout
//!
//! ```text
//! header      0       8       16  17     size u64, addr u64, opcode u8
//!             | size  | addr  |op |
//!
//! status      0         4        8       sequence u32, status u32
//!             |sequence | status |
//!
//! preface     0       8  9  10    12    16         32              64
//!             | magic |lo|hi|flags|hint | instance | nonce         |
//! ```
//!
//! All integers are little-endian. The same three
//! functions run through the crate: `encode` gives the exact bytes, `decode` takes
//! exactly as many, and `take` reads from the front of a buffer and answers `None` when
//! more bytes are needed, which is never an error.

#![no_std]
#![forbid(unsafe_code)]

mod frame;
mod header;
mod opcode;
mod preface;
mod status;

pub use frame::{AuthFrame, DESCRIBE_MAX, DescribeLength, StatusFrame};
pub use header::Header;
pub use opcode::Opcode;
pub use preface::{Mode, Preface, PrefaceError};
pub use status::Status;
