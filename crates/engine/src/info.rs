//! Endpoint info: what peers exchange out of band, or by DESCRIBE, as JSON with DLSlime's keys.

use crate::{
    auth::TokenId,
    op::Instance,
    region::{Access, Region},
};
use serde::{Serialize, Serializer};
use std::{fmt::Write, sync::Arc};

/// Keys are in the order of the alphabet. Nothing is built but the text: of 100,000 regions it is made in some ten
/// milliseconds, while a peer waits for it.
#[derive(Serialize)]
struct Info<'a> {
    host: &'a str,
    memlane: Memlane,
    mr_info: Listed<'a>,
    port: u16,
}

#[derive(Serialize)]
struct Memlane {
    instance: String,
    version: u8,
}

struct Listed<'a> {
    regions: &'a [Arc<Region>],
    told: Option<TokenId>,
}

#[derive(Serialize)]
struct Entry<'a> {
    access: &'static str,
    addr: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dtype: Option<&'a str>,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<&'a [u64]>,
}

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listed = self.regions.iter().filter_map(|region| {
            let access = region.rights().of(self.told)?;
            (access != Access::NONE).then(|| (region.name(), Entry::of(region, access)))
        });
        serializer.collect_map(listed)
    }
}

impl<'a> Entry<'a> {
    fn of(region: &'a Region, access: Access) -> Self {
        let tensor = region.tensor();
        Self {
            access: access.name(),
            addr: region.address(),
            dtype: tensor.map(|tensor| tensor.dtype.as_str()),
            length: region.len(),
            shape: tensor.map(|tensor| tensor.shape.as_slice()),
        }
    }
}

/// The info of an endpoint at `host:port` with these open regions, as a peer is told it that came with this token, or without
/// one; those that grant it no right are not listed.
pub(crate) fn endpoint_info(
    (host, port): (&str, u16),
    instance: &Instance,
    regions: &[Arc<Region>],
    told: Option<TokenId>,
) -> String {
    let info = Info {
        host,
        memlane: Memlane {
            instance: instance_text(instance),
            version: 1,
        },
        mr_info: Listed { regions, told },
        port,
    };
    // Strings and numbers: nothing of it can fail.
    serde_json::to_string(&info).unwrap_or_default()
}

/// An instance id as endpoint info has it: 32 hex digits.
pub fn instance_text(instance: &Instance) -> String {
    let mut hex = String::with_capacity(32);
    for byte in instance {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The instance id that endpoint info names so.
pub fn instance_from(text: &str) -> Option<Instance> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_survives_its_text_and_nothing_else_is_one() {
        let instance = [0, 1, 2, 3, 4, 5, 6, 7, 0x80, 0x90, 0xa0, 0xb0, 0xc0, 0xd0, 0xe0, 0xff];
        assert_eq!(instance_text(&instance), "00010203040506078090a0b0c0d0e0ff");
        assert_eq!(instance_from(&instance_text(&instance)), Some(instance));
        for wrong in [
            "",
            "00",
            "+0010203040506078090a0b0c0d0e0ff",
            "00010203040506078090a0b0c0d0e0ff0",
        ] {
            assert_eq!(instance_from(wrong), None, "{wrong}");
        }
    }
}
