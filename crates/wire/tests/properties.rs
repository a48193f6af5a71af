//! What holds for all bytes. A failure prints the seed; `MEMLANE_SEED` replays it.

mod support;

use std::env;
use std::hash::{BuildHasher, RandomState};

use memlane_wire::{AuthFrame, DescribeLength, Header, Mode, Opcode, Preface, PrefaceError, Status, StatusFrame};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use support::{Sender, vectors};

/// Runs a property on 2,000 cases and names the seed when one of them fails.
fn check<S: Strategy>(strategy: &S, property: impl Fn(S::Value) -> TestCaseResult) {
    let seed = match env::var("MEMLANE_SEED") {
        Ok(text) => text.parse().expect("MEMLANE_SEED is a decimal number"),
        Err(_) => RandomState::new().hash_one(0),
    };
    let mut key = [0; 32];
    key[..8].copy_from_slice(&u64::to_le_bytes(seed));
    let config = Config {
        cases: 2_000,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
    if let Err(failure) = TestRunner::new_with_rng(config, rng).run(strategy, property) {
        panic!("{failure}\nreplay with MEMLANE_SEED={seed}");
    }
}

fn any_preface() -> impl Strategy<Value = Preface> {
    (
        any::<(u8, u8)>(),
        any::<u16>(),
        any::<u32>(),
        any::<[u8; 16]>(),
        any::<[u8; 32]>(),
    )
        .prop_map(|((a, b), flags, token_hint, instance, nonce)| Preface {
            lowest: a.min(b).max(1),
            highest: a.max(b).max(1),
            flags,
            token_hint,
            instance,
            nonce,
        })
}

/// Sizes and addresses where arithmetic goes wrong, beside ordinary ones.
fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0_u32..64, -1_i64..=1).prop_map(|(bit, offset)| (1_u64 << bit).wrapping_add_signed(offset)),
        Just(u64::MAX),
    ]
}

#[test]
fn a_header_survives_the_wire() {
    check(&(edge(), edge(), any::<u8>()), |(size, addr, opcode)| {
        let header = Header { size, addr, opcode };
        prop_assert_eq!(Header::decode(&header.encode()), header);
        prop_assert_eq!(header.opcode().map_or(opcode, Opcode::wire), opcode);
        Ok(())
    });
}

#[test]
fn any_17_bytes_are_a_header_that_encodes_back() {
    check(&any::<[u8; Header::LEN]>(), |bytes| {
        prop_assert_eq!(Header::decode(&bytes).encode(), bytes);
        Ok(())
    });
}

#[test]
fn a_status_frame_survives_the_wire() {
    check(
        &(any::<u32>(), prop_oneof![any::<u32>(), 0_u32..12]),
        |(sequence, status)| {
            let frame = StatusFrame { sequence, status };
            prop_assert_eq!(StatusFrame::decode(&frame.encode()), frame);
            prop_assert_eq!(frame.status().is_some(), (status as usize) < Status::ALL.len());
            prop_assert_eq!(frame.status().map_or(status, Status::wire), status);
            Ok(())
        },
    );
}

#[test]
fn a_preface_survives_the_wire() {
    check(&any_preface(), |preface| {
        prop_assert_eq!(Preface::decode(&preface.encode()), Ok(preface));
        let holds_ours = (preface.lowest..=preface.highest).contains(&Preface::VERSION);
        prop_assert_eq!(preface.chosen_version().ok(), holds_ours.then_some(Preface::VERSION));
        Ok(())
    });
}

#[test]
fn a_preface_with_any_other_byte_in_its_magic_is_none() {
    check(
        &(any_preface(), 0..Preface::MAGIC.len(), 1_u8..),
        |(preface, at, flip)| {
            let mut bytes = preface.encode();
            bytes[at] ^= flip;
            prop_assert_eq!(Preface::decode(&bytes), Err(PrefaceError::Magic));
            prop_assert_eq!(Mode::sniff(&bytes), Some(Mode::Legacy));
            Ok(())
        },
    );
}

#[test]
fn any_64_bytes_are_a_preface_that_encodes_back_or_an_error() {
    let bytes = any::<(u8, u8, bool, [u8; 32], [u8; 16])>();
    check(&bytes, |(lowest, highest, magic, tail, start)| {
        let mut bytes = [0; Preface::LEN];
        bytes[..16].copy_from_slice(&start);
        bytes[32..].copy_from_slice(&tail);
        bytes[8..10].copy_from_slice(&[lowest, highest]);
        if magic {
            bytes[..8].copy_from_slice(&Preface::MAGIC);
        }
        match Preface::decode(&bytes) {
            Ok(preface) => {
                prop_assert!(magic && 0 < lowest && lowest <= highest);
                prop_assert_eq!(preface.encode(), bytes);
            }
            Err(PrefaceError::Magic) => prop_assert!(!magic),
            Err(error) => prop_assert!(lowest == 0 || lowest > highest, "{}", error),
        }
        Ok(())
    });
}

/// Checks `take` of one frame on `bytes`: `None` up to the frame's length, the same frame from there on.
fn check_take<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    length: usize,
    take: impl Fn(&[u8]) -> Option<T>,
) -> TestCaseResult {
    let whole = bytes.get(..length).and_then(&take);
    prop_assert_eq!(whole.is_some(), bytes.len() >= length);
    for cut in 0..=bytes.len() {
        let expected = if cut < length { &None } else { &whole };
        prop_assert_eq!(&take(&bytes[..cut]), expected, "cut at {}", cut);
    }
    Ok(())
}

#[test]
fn a_frame_cut_at_any_byte_asks_for_more_and_what_follows_it_changes_nothing() {
    check(&proptest::collection::vec(any::<u8>(), 0..80), |bytes| {
        check_take(&bytes, Header::LEN, Header::take)?;
        check_take(&bytes, StatusFrame::LEN, StatusFrame::take)?;
        check_take(&bytes, DescribeLength::LEN, DescribeLength::take)?;
        check_take(&bytes, AuthFrame::LEN, AuthFrame::take)
    });
}

#[test]
fn the_mode_never_changes_once_it_is_known() {
    let start = (0..=Preface::MAGIC.len(), proptest::collection::vec(any::<u8>(), 0..20));
    check(&start, |(kept, tail)| {
        let bytes = [&Preface::MAGIC[..kept], &tail].concat();
        let native = bytes.starts_with(&Preface::MAGIC);
        for cut in 0..=bytes.len() {
            let expected = match (Preface::MAGIC.starts_with(&bytes[..cut]), native && cut >= 8) {
                (_, true) => Some(Mode::Native),
                (true, false) => None,
                (false, false) => Some(Mode::Legacy),
            };
            prop_assert_eq!(Mode::sniff(&bytes[..cut]), expected, "cut at {}", cut);
        }
        Ok(())
    });
}

/// The frames at the front of a native stream of requests, as far as they are whole.
fn whole_requests(stream: &[u8]) -> Vec<Header> {
    let mut found = Vec::new();
    let mut rest = stream;
    if Mode::sniff(rest) == Some(Mode::Native) {
        rest = rest.get(Preface::LEN..).unwrap_or_default();
    }
    while let Some(header) = Header::take(rest) {
        let body = match header.opcode() {
            Some(Opcode::Send | Opcode::Write) => header.size,
            _ => 0,
        };
        let end = usize::try_from(body)
            .ok()
            .and_then(|body| body.checked_add(Header::LEN));
        match end.and_then(|end| rest.get(end..)) {
            Some(behind) => rest = behind,
            None => break,
        }
        found.push(header);
    }
    found
}

#[test]
fn a_session_cut_at_any_byte_yields_its_first_requests_and_nothing_else() {
    for vector in vectors().iter().filter(|vector| vector.name.ends_with("-session")) {
        let stream = vector.stream(Sender::Initiator);
        let all = whole_requests(&stream);
        assert_eq!(all.len(), 3, "{}.hex", vector.name);
        let mut known = 0;
        for cut in 0..=stream.len() {
            let found = whole_requests(&stream[..cut]);
            assert_eq!(found, all[..found.len()], "{}.hex cut at {cut}", vector.name);
            assert!(found.len() >= known, "{}.hex cut at {cut}", vector.name);
            known = found.len();
        }
        assert_eq!(known, 3);
    }
}

#[test]
fn a_session_with_any_bit_flipped_is_read_without_panic() {
    for vector in vectors().iter().filter(|vector| vector.name.ends_with("-session")) {
        let stream = vector.stream(Sender::Initiator);
        for bit in 0..stream.len() * 8 {
            let mut flipped = stream.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            whole_requests(&flipped);
        }
    }
}
