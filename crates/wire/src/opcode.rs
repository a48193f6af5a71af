//! What a request asks for.

/// What a request asks for: byte 16 of a [`Header`](crate::Header).
///
/// Protocol: "Header". The legacy wire knows the first three; a receive has no
/// opcode because it puts nothing on the wire.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Opcode {
    /// A message of `size` bytes follows; `addr` is its tag (0 on the legacy wire).
    Send = 0,
    /// Nothing follows; the target answers with `size` bytes from `addr`.
    Read = 1,
    /// `size` bytes follow, to be stored at `addr`.
    Write = 2,
    /// Nothing follows, `size` and `addr` are 0; the target answers with its endpoint info. Native mode only.
    Describe = 3,
    /// Nothing follows, `size` and `addr` are 0; the target answers with a status. Native mode only.
    Ping = 4,
}

impl Opcode {
    /// Every opcode, in the order of its wire value.
    pub const ALL: [Self; 5] = [Self::Send, Self::Read, Self::Write, Self::Describe, Self::Ping];

    /// The opcode with this wire value, 0 to 4; `None` for every other byte.
    pub const fn from_wire(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Send),
            1 => Some(Self::Read),
            2 => Some(Self::Write),
            3 => Some(Self::Describe),
            4 => Some(Self::Ping),
            _ => None,
        }
    }

    /// The byte that stands for this opcode, 0 to 4.
    pub const fn wire(self) -> u8 {
        self as u8
    }

    /// The opcode's name in lower case: `send`, `read`, `write`, `describe`, `ping`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Write => "write",
            Self::Describe => "describe",
            Self::Ping => "ping",
        }
    }
}
