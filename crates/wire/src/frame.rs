//! The frames of native mode that are not requests: status, description length, authentication.

use crate::Status;

/// The longest endpoint info a DESCRIBE may answer with, in bytes: 256 MiB. Endpoints have lower limits of their own.
pub const DESCRIBE_MAX: u32 = 1 << 28;

/// The 8 bytes with which a target answers one request in native mode.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | `sequence`, little-endian |
/// | 4 | 4 | `status`, little-endian |
///
/// Protocol: "Status frames".
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StatusFrame {
    /// Index of the request on this lane, counted from 0, wrapping after 2^32 - 1.
    pub sequence: u32,
    /// The status as it stands on the wire; [`StatusFrame::status`] names it.
    pub status: u32,
}

impl StatusFrame {
    /// Bytes of a status frame: 8.
    pub const LEN: usize = 8;

    /// A frame for a known status.
    pub const fn new(sequence: u32, status: Status) -> Self {
        Self {
            sequence,
            status: status.wire(),
        }
    }

    /// The status by name; `None` when the number is no status of this protocol.
    pub const fn status(&self) -> Option<Status> {
        Status::from_wire(self.status)
    }

    /// The frame's bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0..4].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.status.to_le_bytes());
        bytes
    }

    /// The frame these bytes stand for. Every value is one.
    pub const fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let [q0, q1, q2, q3, s0, s1, s2, s3] = *bytes;
        Self {
            sequence: u32::from_le_bytes([q0, q1, q2, q3]),
            status: u32::from_le_bytes([s0, s1, s2, s3]),
        }
    }

    /// The frame at the front of `bytes`; `None` while fewer than 8 are there.
    pub fn take(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(Self::decode)
    }
}

/// The 4 bytes between the status of a DESCRIBE and its JSON: how long the JSON is.
///
/// Little-endian, 0 to [`DESCRIBE_MAX`]; a larger value poisons the lane, see
/// [`DescribeLength::is_allowed`]. Protocol: "Requests".
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DescribeLength(pub u32);

impl DescribeLength {
    /// Bytes of a description length: 4.
    pub const LEN: usize = 4;

    /// Whether the length is at most [`DESCRIBE_MAX`].
    pub const fn is_allowed(self) -> bool {
        self.0 <= DESCRIBE_MAX
    }

    /// The length's bytes.
    pub const fn encode(self) -> [u8; Self::LEN] {
        self.0.to_le_bytes()
    }

    /// The length these bytes stand for. Every value is one; not every one is allowed.
    pub const fn decode(bytes: &[u8; Self::LEN]) -> Self {
        Self(u32::from_le_bytes(*bytes))
    }

    /// The length at the front of `bytes`; `None` while fewer than 4 are there.
    pub fn take(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(Self::decode)
    }
}

/// The 32 bytes that follow a preface with [`Preface::FLAG_AUTH`](crate::Preface::FLAG_AUTH).
///
/// They are parsed here and checked elsewhere. Equality is not constant in
/// time, so it must not be what a check of the proof rests on.
/// Protocol: "Authentication".
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AuthFrame(pub [u8; 32]);

impl AuthFrame {
    /// Bytes of an authentication frame: 32.
    pub const LEN: usize = 32;

    /// What a target answers to a proof that does not hold, before it closes:
    /// nobody's proof, so that whoever does not know it fails as well.
    pub const REFUSAL: Self = Self([0; Self::LEN]);

    /// Whether the target says that it refuses. Nothing about it is secret.
    pub fn is_refusal(&self) -> bool {
        *self == Self::REFUSAL
    }

    /// The frame's bytes.
    pub const fn encode(&self) -> [u8; Self::LEN] {
        self.0
    }

    /// The frame these bytes stand for. Every value is one.
    pub const fn decode(bytes: &[u8; Self::LEN]) -> Self {
        Self(*bytes)
    }

    /// The frame at the front of `bytes`; `None` while fewer than 32 are there.
    pub fn take(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(Self::decode)
    }
}
