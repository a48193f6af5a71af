//! The first bytes of a connection: which mode it speaks, and the native preface.

use core::error::Error;
use core::fmt;

/// Which of the two modes a connection speaks. Protocol: "Two modes on one port".
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mode {
    /// Requests without preface, status frames or acknowledgement.
    Legacy,
    /// A preface each way, then requests and status frames.
    Native,
}

impl Mode {
    /// The mode of a connection that begins with `bytes`; `None` while they do not tell.
    ///
    /// Native takes all 8 bytes of [`Preface::MAGIC`]. The first byte that differs
    /// from it settles legacy, because a legacy header that began with the magic
    /// would declare 28 petabytes.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        let seen = bytes.len().min(Preface::MAGIC.len());
        if bytes[..seen] != Preface::MAGIC[..seen] {
            Some(Self::Legacy)
        } else if seen == Preface::MAGIC.len() {
            Some(Self::Native)
        } else {
            None
        }
    }
}

/// The 64 bytes each side of a native connection sends first, the initiator before the target.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | [`Preface::MAGIC`] |
/// | 8 | 1 | `lowest` |
/// | 9 | 1 | `highest` |
/// | 10 | 2 | `flags`, little-endian |
/// | 12 | 4 | `token_hint`, little-endian |
/// | 16 | 16 | `instance` |
/// | 32 | 32 | `nonce` |
///
/// Protocol: "Preface".
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Preface {
    /// Lowest version spoken, at least 1. In a target's preface: the chosen version.
    pub lowest: u8,
    /// Highest version spoken, at least `lowest`. In a target's preface: the chosen version.
    pub highest: u8,
    /// [`Preface::FLAG_AUTH`]; all other bits are 0 when sent and ignored when received.
    pub flags: u16,
    /// 0, or the first four bytes of SHA-256 of the token's name, read as a little-endian number.
    pub token_hint: u32,
    /// Random per start of an endpoint: a restarted peer is a different instance.
    pub instance: [u8; 16],
    /// Random per connection; authentication covers it.
    pub nonce: [u8; 32],
}

impl Preface {
    /// Bytes of a preface: 64.
    pub const LEN: usize = 64;

    /// The first 8 bytes of every native connection.
    pub const MAGIC: [u8; 8] = *b"memlane\0";

    /// The version this crate speaks, the lowest and the highest at once.
    pub const VERSION: u8 = 1;

    /// Bit 0 of `flags`: an [`AuthFrame`](crate::AuthFrame) follows the preface.
    pub const FLAG_AUTH: u16 = 1;

    /// The preface's bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0..8].copy_from_slice(&Self::MAGIC);
        bytes[8] = self.lowest;
        bytes[9] = self.highest;
        bytes[10..12].copy_from_slice(&self.flags.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.token_hint.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.instance);
        bytes[32..64].copy_from_slice(&self.nonce);
        bytes
    }

    /// The preface these bytes stand for.
    ///
    /// # Errors
    ///
    /// [`PrefaceError::Magic`] when the first 8 bytes are not the magic;
    /// [`PrefaceError::Versions`] when the range of versions is empty or holds 0.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Result<Self, PrefaceError> {
        if bytes[0..8] != Self::MAGIC {
            return Err(PrefaceError::Magic);
        }
        let (lowest, highest) = (bytes[8], bytes[9]);
        if lowest == 0 || lowest > highest {
            return Err(PrefaceError::Versions { lowest, highest });
        }
        let mut instance = [0; 16];
        instance.copy_from_slice(&bytes[16..32]);
        let mut nonce = [0; 32];
        nonce.copy_from_slice(&bytes[32..64]);
        Ok(Self {
            lowest,
            highest,
            flags: u16::from_le_bytes([bytes[10], bytes[11]]),
            token_hint: u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]),
            instance,
            nonce,
        })
    }

    /// The version both sides speak from here on: always [`Preface::VERSION`] at present.
    ///
    /// # Errors
    ///
    /// [`PrefaceError::Versions`] when ours lies outside `lowest..=highest`.
    pub const fn chosen_version(&self) -> Result<u8, PrefaceError> {
        if self.lowest > Self::VERSION || self.highest < Self::VERSION {
            return Err(PrefaceError::Versions {
                lowest: self.lowest,
                highest: self.highest,
            });
        }
        Ok(Self::VERSION)
    }

    /// Whether the sender wants to authenticate.
    pub const fn wants_auth(&self) -> bool {
        self.flags & Self::FLAG_AUTH != 0
    }
}

/// Why 64 bytes are no preface we can answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PrefaceError {
    /// The first 8 bytes are not [`Preface::MAGIC`].
    Magic,
    /// The versions are an empty range, hold 0, or leave out ours.
    Versions {
        /// Byte 8 of the preface.
        lowest: u8,
        /// Byte 9 of the preface.
        highest: u8,
    },
}

impl fmt::Display for PrefaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("not a memlane preface"),
            Self::Versions { lowest, highest } => write!(
                f,
                "protocol versions {lowest} to {highest} do not hold version {}",
                Preface::VERSION
            ),
        }
    }
}

impl Error for PrefaceError {}
