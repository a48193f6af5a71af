//! Who reaches a region that is there for some tokens only, over a pipe; and what those hear for whom there is none.

use super::{
    tokens::{List, admitted, security},
    wired::*,
};
use crate::{
    auth::{Security, TokenId},
    error::{Error, ErrorKind},
    io::pipe::Behaviour,
    op::{Done, Request},
    region::{Access, Region, Rights, memory::Memory, span::Span},
    stats::Counted,
    target::Target,
};
use memlane_wire::{DescribeLength, Header, Mode, Opcode, Status, StatusFrame};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const TRAINER: (&str, &str) = ("trainer", "a");
const VIEWER: (&str, &str) = ("viewer", "b");
const GUEST: (&str, &str) = ("guest", "c");
const ALL: List<'_> = &[TRAINER, VIEWER, GUEST];

/// Everything to trainers, reading to viewers, nothing to anybody else.
fn shares(security: &Security) -> Rights {
    let id = |(name, _)| security.tokens.id(name).unwrap();
    Rights::by_token([(id(TRAINER), Access::READ_WRITE), (id(VIEWER), Access::READ)])
}

fn target_of_all(security: &Arc<Security>) -> (Arc<Target>, Arc<Region>, Arc<Region>) {
    let target = Target::secured(Arc::default(), Arc::clone(security)).unwrap();
    let shared = target.registry.alloc("shared", 64, shares(security)).unwrap();
    let open = target.registry.alloc("open", 64, Access::READ_WRITE).unwrap();
    (target, shared, open)
}

/// The regions that an endpoint info lists, and what it grants of each.
fn listed(info: &str) -> BTreeMap<String, String> {
    let info: serde_json::Value = serde_json::from_str(info).unwrap();
    let regions = info["mr_info"].as_object().unwrap().iter();
    regions
        .map(|(name, entry)| (name.clone(), entry["access"].as_str().unwrap().to_owned()))
        .collect()
}

fn list(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|&(name, access)| (name.into(), access.into())).collect()
}

#[tokio::test(start_paused = true)]
async fn each_token_reaches_what_it_is_named_for_and_finds_no_more_than_that() {
    let whole: &[(&str, &str)] = &[("kv", "readwrite"), ("shared", "readwrite")];
    let partly: &[(&str, &str)] = &[("kv", "readwrite"), ("shared", "read")];
    let without: &[(&str, &str)] = &[("kv", "readwrite")];
    let cases = [
        (TRAINER, None, None, whole),
        (VIEWER, None, Some(ErrorKind::Access), partly),
        (
            GUEST,
            Some(ErrorKind::RegionNotFound),
            Some(ErrorKind::RegionNotFound),
            without,
        ),
    ];
    for (ours, read, write, lists) in cases {
        let theirs = security(ALL);
        let rights = shares(&theirs);
        let both = [Behaviour::default(), Behaviour::default()];
        let wired = wired_by(Mode::Native, both, security(&[ours]), theirs);
        let region = wired.target.registry.alloc("shared", 64, rights).unwrap();
        let addr = region.address();
        let ended = async |request| wired.start(request, Duration::from_secs(1)).ended.wait().await;
        let kind = |ended: Result<Done, Error>| ended.err().map(|error| error.kind());

        let from = Span::copied(&[1; 64]).unwrap();
        assert_eq!(kind(ended(Request::Write { addr, from }).await), write, "{ours:?}");
        let into = Span::whole(Memory::private(64).unwrap());
        assert_eq!(kind(ended(Request::Read { addr, into }).await), read, "{ours:?}");
        let mut bytes = [7; 64];
        region.span(0, 64).unwrap().copy_out(0, &mut bytes).unwrap();
        assert_eq!(bytes, [if write.is_none() { 1 } else { 0 }; 64], "{ours:?}");

        let Ok(Done::Text(info)) = ended(Request::Describe).await else {
            panic!("{ours:?} gets no endpoint info")
        };
        assert_eq!(listed(&info), list(lists), "{ours:?}");
        // What is not there for it hinders it in nothing else.
        assert_eq!(wired.read(0, 64).await.unwrap(), [0; 64]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_on_the_legacy_wire_has_no_token_and_so_no_region_of_some_tokens() {
    let beside = Security {
        legacy: Some(true),
        ..(*security(ALL)).clone()
    };
    let rights = shares(&beside);
    let both = [Behaviour::default(), Behaviour::default()];
    let wired = wired_by(Mode::Legacy, both, Arc::default(), Arc::new(beside));
    let region = wired.target.registry.alloc("shared", 64, rights).unwrap();
    assert_eq!(wired.read(0, 64).await.unwrap(), [0; 64]);
    let request = Request::Read {
        addr: region.address(),
        into: Span::whole(Memory::private(64).unwrap()),
    };
    let refused = wired.start(request, Duration::from_secs(1)).ended.wait().await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::PeerClosed);
    let rejected = wired.target.stats.totals().rejected;
    assert_eq!(rejected[Status::NoSuchRegion.wire() as usize], 1, "{rejected:?}");
}

/// One segment, so that the region of one request is held when the next is looked at.
#[tokio::test(start_paused = true)]
async fn requests_that_come_together_are_each_held_to_what_their_token_may() {
    let theirs = security(ALL);
    let cases = [
        (TRAINER, [Status::Ok, Status::Ok, Status::Ok]),
        (VIEWER, [Status::Ok, Status::AccessDenied, Status::Ok]),
        (GUEST, [Status::NoSuchRegion; 3]),
    ];
    for (ours, of_shared) in cases {
        let (target, shared, open) = target_of_all(&theirs);
        let (near, session) = admitted(&target, &security(&[ours]).tokens).await;
        let at_shared = [Opcode::Read, Opcode::Write, Opcode::Read];
        let mut said = Vec::new();
        for opcode in at_shared {
            // From one region into the other, and back.
            for (opcode, region) in [(opcode, &shared), (Opcode::Read, &open)] {
                said.extend(Header::new(opcode, 1, region.address()).encode());
                said.extend(if opcode == Opcode::Write { &[9][..] } else { &[] });
            }
        }
        // And three in a row, of one.
        for opcode in at_shared {
            said.extend(Header::new(opcode, 1, shared.address()).encode());
            said.extend(if opcode == Opcode::Write { &[9][..] } else { &[] });
        }
        near.say(&said).await;
        let expected: Vec<_> = of_shared
            .into_iter()
            .zip(at_shared)
            .flat_map(|of_one| [of_one, (Status::Ok, Opcode::Read)])
            .chain(of_shared.into_iter().zip(at_shared))
            .collect();
        for (sequence, (status, opcode)) in expected.into_iter().enumerate() {
            let frame = StatusFrame::take(&near.hear(StatusFrame::LEN).await).unwrap();
            assert_eq!(frame, StatusFrame::new(sequence as u32, status), "{ours:?}");
            if status == Status::Ok && opcode == Opcode::Read {
                near.hear(1).await;
            }
        }
        let mut byte = [7];
        shared.span(0, 1).unwrap().copy_out(0, &mut byte).unwrap();
        assert_eq!(byte, [if of_shared[1] == Status::Ok { 9 } else { 0 }], "{ours:?}");
        drop(near);
        session.await.unwrap();
    }
}

async fn described(near: &Far, sequence: u32) -> String {
    near.say(&Header::new(Opcode::Describe, 0, 0).encode()).await;
    let frame = StatusFrame::take(&near.hear(StatusFrame::LEN).await).unwrap();
    assert_eq!(frame, StatusFrame::new(sequence, Status::Ok));
    let length = DescribeLength::take(&near.hear(DescribeLength::LEN).await).unwrap();
    String::from_utf8(near.hear(length.0 as usize).await).unwrap()
}

#[tokio::test(start_paused = true)]
async fn peers_who_ask_in_turn_are_each_told_of_their_own_regions_whatever_was_told_before() {
    let theirs = security(ALL);
    let (target, shared, _open) = target_of_all(&theirs);
    let mut peers = Vec::new();
    for ours in ALL {
        let (near, _) = admitted(&target, &security(&[*ours]).tokens).await;
        peers.push(near);
    }
    let expected = [
        list(&[("open", "readwrite"), ("shared", "readwrite")]),
        list(&[("open", "readwrite"), ("shared", "read")]),
        list(&[("open", "readwrite")]),
    ];
    let mut sequence = 0;
    for turn in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        for peer in turn {
            let told = described(&peers[peer], sequence).await;
            assert_eq!(listed(&told), expected[peer], "peer {peer}, in turn {sequence}");
        }
        sequence += 1;
    }
    target.registry.close(&shared);
    for peer in &peers {
        assert_eq!(listed(&described(peer, sequence).await), expected[2]);
    }
    assert_eq!(listed(&target.info(None)), expected[2]);
}

#[tokio::test]
async fn an_endpoint_info_is_made_once_for_all_unless_they_are_told_different_things() {
    let theirs = security(ALL);
    let target = Target::secured(Arc::default(), Arc::clone(&theirs)).unwrap();
    let ids: Vec<Option<TokenId>> = ALL
        .iter()
        .map(|(name, _)| theirs.tokens.id(name))
        .chain([None])
        .collect();
    let told = |one: usize| target.describe(ids[one]).unwrap();
    let same = |one: usize, other: usize| told(one).is_all_of(told(other).place().0);
    target.registry.alloc("open", 64, Access::READ_WRITE).unwrap();
    assert!(same(0, 1) && same(1, 2) && same(2, 3));
    let shared = target.registry.alloc("shared", 64, shares(&theirs)).unwrap();
    assert!(!same(0, 1) && !same(1, 2) && !same(2, 3));
    assert!((0..4).all(|one| same(one, one)), "made again each time");
    target.registry.close(&shared);
    assert!(same(0, 1) && same(1, 2) && same(2, 3));
}
