//! Requests out of an input's bytes: mostly near the edges of what there is.

use super::{
    super::{input::Input, rig::pattern},
    model::{Asked, Model},
};
use memlane_wire::{Header, Opcode};

/// Longest body that is really sent; a request that announces more ends its connection by its header.
pub(super) const MOST_BODY: u64 = 1 << 16;

const WILD: [u64; 8] = [
    0,
    1 << 31,
    1 << 32,
    1 << 53,
    1 << 63,
    u64::MAX - 4095,
    u64::MAX - 1,
    u64::MAX,
];

/// A READ or WRITE of or around a region that there is, or was.
pub(super) fn one_sided(opcode: Opcode, input: &mut Input<'_>, model: &Model, stamp: u64) -> Asked {
    let region = &model.regions[input.below(model.regions.len())];
    let (base, len) = (region.address, region.bytes.len() as u64);
    let near = u64::from(input.byte());
    let addr = match input.below(8) {
        0..=2 => base + near.min(len),
        3 => base + len / 2 + near,
        4 => (base + len).saturating_sub(near),
        5 => base + len + near,
        6 => base.wrapping_sub(near),
        _ => WILD[near as usize % WILD.len()].wrapping_add(base & u64::from(input.byte())),
    };
    let left = (base + len).saturating_sub(addr);
    let size = match input.below(8) {
        0 | 1 => u64::from(input.byte()),
        2 => u64::from(input.u16()),
        3 | 4 => left,
        5 => left + 1,
        6 => left.saturating_sub(u64::from(input.byte())),
        _ => WILD[input.below(WILD.len())].wrapping_sub(addr & u64::from(input.byte())),
    };
    let header = Header::new(opcode, size, addr);
    let body = if opcode == Opcode::Write && size <= MOST_BODY {
        pattern(size as usize, stamp)
    } else {
        Vec::new()
    };
    Asked { header, body }
}

pub(super) fn message(input: &mut Input<'_>, stamp: u64) -> Asked {
    let tag = input.below(3) as u64;
    let size = match input.below(6) {
        0 => 0,
        5 => u64::from(input.u16()),
        _ => u64::from(input.byte()),
    };
    Asked {
        header: Header::new(Opcode::Send, size, tag),
        body: pattern(size as usize, stamp),
    }
}

/// DESCRIBE and PING, mostly as they should be, and what is no request.
pub(super) fn other(input: &mut Input<'_>) -> Asked {
    let opcode = [3, 4, 3, 4, 5, 255][input.below(6)];
    let odd = input.below(16);
    Asked {
        header: Header {
            opcode,
            size: u64::from(odd == 15),
            addr: u64::from(odd == 14),
        },
        body: Vec::new(),
    }
}

/// The bytes of a request.
pub(super) fn encoded(asked: &Asked) -> Vec<u8> {
    let mut bytes = asked.header.encode().to_vec();
    bytes.extend(&asked.body);
    bytes
}
