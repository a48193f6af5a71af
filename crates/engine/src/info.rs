//! Endpoint info: what peers exchange out of band, or by DESCRIBE, as JSON with DLSlime's keys.

use crate::{op::Instance, region::Region};
use serde_json::{Map, Value, json};
use std::{fmt::Write, sync::Arc};

/// The info of an endpoint at `host:port` with these open regions; those without rights are not listed.
pub(crate) fn endpoint_info(host: &str, port: u16, instance: &Instance, regions: &[Arc<Region>]) -> String {
    let listed: Map<String, Value> = regions
        .iter()
        .filter(|region| region.access() != crate::region::Access::NONE)
        .map(|region| {
            let mut entry =
                json!({ "addr": region.address(), "length": region.len(), "access": region.access().name() });
            if let Some(tensor) = region.tensor() {
                entry["dtype"] = json!(tensor.dtype);
                entry["shape"] = json!(tensor.shape);
            }
            (region.name().to_owned(), entry)
        })
        .collect();
    let instance = instance_text(instance);
    json!({ "host": host, "port": port, "mr_info": listed, "memlane": { "version": 1, "instance": instance } })
        .to_string()
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
