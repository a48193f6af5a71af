//! What came back, held against what had to.

use super::model::{Body, ModelLane};
use memlane_wire::StatusFrame;

/// Takes every answer of the model out of the bytes that were heard: nothing is missing, and nothing is left.
pub(super) fn check(lane: &mut ModelLane, mut heard: &[u8]) {
    while let Some(frame) = StatusFrame::take(heard) {
        heard = &heard[StatusFrame::LEN..];
        let StatusFrame { sequence, .. } = frame;
        let status = frame
            .status()
            .unwrap_or_else(|| panic!("status {} of request {sequence}", frame.status));
        if let Some(expected) = lane.sends.remove(&sequence) {
            assert_eq!(status, expected, "of message {sequence}");
            continue;
        }
        let next = lane.ordered.pop_front();
        let next =
            next.unwrap_or_else(|| panic!("{status:?} for request {sequence}, which is answered or was never asked"));
        assert_eq!((sequence, status), (next.sequence, next.status));
        match next.body {
            Body::Bytes(bytes) => {
                assert!(heard.starts_with(&bytes), "the bytes of request {sequence}");
                heard = &heard[bytes.len()..];
            }
            Body::Listing(listing) => heard = check_listing(heard, &listing),
        }
    }
    assert!(heard.is_empty(), "{} bytes behind the last answer", heard.len());
    assert!(lane.ordered.is_empty(), "no answer: {:?}", lane.ordered.front());
    assert!(lane.sends.is_empty(), "no answer to messages {:?}", lane.sends);
}

fn check_listing<'a>(heard: &'a [u8], listing: &[(String, u64, usize, &'static str)]) -> &'a [u8] {
    let (length, rest) = heard.split_first_chunk().expect("the length of an endpoint info");
    let (text, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
    let info: serde_json::Value = serde_json::from_slice(text).expect("JSON");
    let listed = info["mr_info"].as_object().expect("regions");
    assert_eq!(listed.len(), listing.len(), "regions in {info}");
    for (name, address, length, access) in listing {
        let entry = &listed[name];
        let found = (
            entry["addr"].as_u64(),
            entry["length"].as_u64(),
            entry["access"].as_str(),
        );
        assert_eq!(found, (Some(*address), Some(*length as u64), Some(*access)), "{name}");
    }
    rest
}
