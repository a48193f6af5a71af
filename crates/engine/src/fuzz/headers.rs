//! A stream of requests is the same stream however it is cut: answers, memory, messages and counters.

use super::{
    input::{Cuts, Input},
    line::{Side, said},
    rig::{Received, Receiving, bytes_of, connect, preface, region, target},
};
use crate::{random::seeded, region::Access, stats::Counted};
use memlane_wire::Preface;
use std::{sync::Arc, time::Duration};

/// Everything that can be told of a connection when it is over.
struct Outcome {
    heard: Vec<u8>,
    regions: Vec<Vec<u8>>,
    received: Vec<Option<Received>>,
    counted: String,
}

/// How a stream is fed.
struct Feed {
    cuts: Cuts,
    step: usize,
}

pub(super) async fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let is_legacy = input.flag();
    let receives = input.below(4);
    let feed = Feed {
        cuts: input.cuts(),
        step: input.step(),
    };
    let at_once = Feed {
        cuts: Cuts::default(),
        step: usize::MAX,
    };
    let stream = input.rest();
    let whole = outcome(is_legacy, receives, stream, &at_once).await;
    let cut = outcome(is_legacy, receives, stream, &feed).await;
    let how = format!("cut into {:?}, at most {} bytes a call", feed.cuts, feed.step);
    assert!(
        whole.heard == cut.heard,
        "{how}: {:x?} or {:x?}",
        whole.heard,
        cut.heard
    );
    for (index, (whole, cut)) in whole.regions.iter().zip(&cut.regions).enumerate() {
        let differs = whole.iter().zip(cut).position(|(whole, cut)| whole != cut);
        assert_eq!(differs, None, "{how}: the first byte of region {index}");
    }
    assert_eq!(whole.received, cut.received, "{how}");
    assert_eq!(whole.counted, cut.counted, "{how}");
}

async fn outcome(is_legacy: bool, receives: usize, stream: &[u8], feed: &Feed) -> Outcome {
    // The same numbers for both.
    seeded::set(Some(0));
    let target = target(Arc::default());
    // The first two are those that the golden vectors speak to.
    let regions = [
        region(&target, "weights", 0x0fed_cba9_8000, 16, Access::READ),
        region(&target, "inbox", 0x1234_5678_9000, 32, Access::READ_WRITE),
        region(&target, "wide", 0x1000, 20_000, Access::READ_WRITE),
        region(&target, "hidden", 0x1234_5678_9000 + 4096, 64, Access::NONE),
        region(&target, "drop", 0x10_0000, 64, Access::WRITE),
    ];
    let hidden = bytes_of(&regions[3]);
    let receiving: Vec<Receiving> = [(8, None, false), (64, Some(7), false), (5, None, true)]
        .into_iter()
        .take(receives)
        .map(|(room, tag, exact)| Receiving::post(&target, room, tag, exact))
        .collect();
    let (mut line, session) = connect(&target, feed.step, said(usize::MAX));
    if !is_legacy {
        line.say(&preface(0xa0, 0x10));
        session.settle(&mut line).await;
        assert_eq!(line.heard.len(), Preface::LEN, "the target greets");
        line.heard.clear();
    }
    for piece in feed.cuts.pieces(stream) {
        line.say(piece);
        session.rest().await;
    }
    line.shut();
    session.settle(&mut line).await;
    last_words(&mut line, &session).await;
    session.join().await;

    assert_eq!(bytes_of(&regions[3]), hidden, "bytes without rights");
    assert!(
        regions.iter().all(|region| region.in_flight() == 0),
        "a region is still held"
    );
    let mut received = Vec::new();
    for one in receiving {
        received.push(one.ended().await);
    }
    Outcome {
        heard: line.heard,
        regions: regions.iter().map(|region| bytes_of(region)).collect(),
        received,
        counted: format!("{:?}", target.stats.totals()),
    }
}

/// Lets all the time pass that a session may take behind its last byte, which is that of its kept messages.
async fn last_words(line: &mut super::line::Line, session: &Side) {
    for _ in 0..60 {
        if session.has_ended() {
            return;
        }
        session.pass(line, Duration::from_secs(2)).await;
    }
    panic!("a session outlives its initiator by two minutes");
}
