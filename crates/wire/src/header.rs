//! The header in front of every request.

use crate::Opcode;

/// The 17 bytes in front of every request, legacy and native alike.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | `size`, little-endian |
/// | 8 | 8 | `addr`, little-endian |
/// | 16 | 1 | `opcode` |
///
/// Any 17 bytes are a header: the codec is total both ways. Whether the opcode is
/// known, the size is allowed and the address exists is judged by the target.
/// Protocol: "Header".
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Header {
    /// Bytes of payload that follow (SEND, WRITE) or are asked for (READ); 0 otherwise.
    pub size: u64,
    /// Address of the first byte (READ, WRITE) or tag of the message (SEND); 0 otherwise.
    pub addr: u64,
    /// The opcode as it stands on the wire; [`Header::opcode`] names it.
    pub opcode: u8,
}

impl Header {
    /// Bytes of a header: 17, packed.
    pub const LEN: usize = 17;

    /// A header for a known opcode.
    pub const fn new(opcode: Opcode, size: u64, addr: u64) -> Self {
        Self {
            size,
            addr,
            opcode: opcode.wire(),
        }
    }

    /// The opcode by name; `None` when the byte is no opcode of this protocol.
    pub const fn opcode(&self) -> Option<Opcode> {
        Opcode::from_wire(self.opcode)
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0..8].copy_from_slice(&self.size.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.addr.to_le_bytes());
        bytes[16] = self.opcode;
        bytes
    }

    /// The header these bytes stand for. Every value is one.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let mut size = [0; 8];
        size.copy_from_slice(&bytes[0..8]);
        let mut addr = [0; 8];
        addr.copy_from_slice(&bytes[8..16]);
        Self {
            size: u64::from_le_bytes(size),
            addr: u64::from_le_bytes(addr),
            opcode: bytes[16],
        }
    }

    /// The header at the front of `bytes`; `None` while fewer than 17 are there.
    pub fn take(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(Self::decode)
    }
}
