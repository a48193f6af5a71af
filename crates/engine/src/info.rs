//! Endpoint info: what peers exchange out of band, or by DESCRIBE, as JSON with DLSlime's keys.

use crate::region::Region;
use serde_json::{Map, Value, json};
use std::{fmt::Write, sync::Arc};

/// The info of an endpoint at `host:port` with these open regions; those without rights are not listed.
pub(crate) fn endpoint_info(host: &str, port: u16, instance: &[u8; 16], regions: &[Arc<Region>]) -> String {
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
    let mut hex = String::with_capacity(32);
    for byte in instance {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    json!({ "host": host, "port": port, "mr_info": listed, "memlane": { "version": 1, "instance": hex } }).to_string()
}
