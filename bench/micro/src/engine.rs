//! The engine: look-up, decision, gate, in-flight table, and whole operations.

use crate::{Path, Steps};
use memlane_engine::{
    bench::{Connected, Outstanding, Regions, Requests},
    op::{Completion, CompletionSink, Direction},
    region::{memory::Memory, span::Span},
};
use memlane_wire::{Header, Opcode};
use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Look-ups of one call: each of the smaller registries' regions many times, a part of the largest's.
const LOOKUPS: usize = 10_000;

pub(crate) fn paths() -> Vec<Path> {
    let mut paths: Vec<_> = [10, 1_000, 100_000].into_iter().flat_map(lookups).collect();
    paths.extend([
        decision("request: read, granted", |address| {
            Header::new(Opcode::Read, 64, address)
        }),
        decision("request: read out of range", |address| {
            Header::new(Opcode::Read, 8192, address)
        }),
        Path::plain("span: make and drop", 1000, || {
            let span = Span::whole(Memory::private(4096).expect("4 KiB"));
            move || (0..1000).for_each(|at| drop(black_box(black_box(&span).slice(at, 64))))
        }),
    ]);
    for depth in [1, 256, 16_384] {
        paths.push(Path::plain(
            format!("in flight: answer in order, {depth} deep"),
            1000,
            move || {
                let mut reads = Outstanding::reads(depth);
                move || (0..1000).for_each(|_| reads.answer_oldest())
            },
        ));
    }
    for depth in [256, 16_384] {
        paths.push(Path::plain(
            format!("in flight: answer the newest message, {depth} deep"),
            1000,
            move || {
                let mut sends = Outstanding::sends(depth);
                move || (0..1000).for_each(|_| sends.answer_newest())
            },
        ));
    }
    for depth in [256, 4096] {
        paths.push(Path::new(
            format!("in flight: cancel one of {depth}"),
            CANCELS,
            move || Cancels::of(depth),
        ));
    }
    paths.extend(whole("read", Connected::read, Direction::Read));
    paths.extend(whole("write", Connected::write, Direction::Write));
    paths
}

fn lookups(count: usize) -> [Path; 3] {
    let path = |what: &str, addresses: fn(&Regions) -> Vec<u64>, is_hit: bool| {
        Path::plain(format!("look-up: {what}, {count} regions"), LOOKUPS as u64, move || {
            let regions = Regions::of(count);
            let addresses = addresses(&regions);
            move || {
                for &address in black_box(&addresses) {
                    assert_eq!(regions.may_read(address), is_hit);
                }
            }
        })
    };
    let each = |regions: &Regions| regions.middles().iter().copied().cycle().take(LOOKUPS).collect();
    // One region again and again, then the next: what is gained by remembering the last one shows here.
    let again = |regions: &Regions| {
        let few = regions.middles().iter().cycle().take(LOOKUPS / 20);
        few.flat_map(|&address| [address; 20]).collect()
    };
    let beside = |regions: &Regions| {
        let middles = regions.middles().iter().cycle().take(LOOKUPS);
        middles.map(|&address| address + 4096).collect()
    };
    [
        path("hit", each, true),
        path("same region again", again, true),
        path("miss", beside, false),
    ]
}

fn decision(name: &str, header: fn(u64) -> Header) -> Path {
    Path::plain(name, 1000, move || {
        let mut requests = Requests::default();
        let header = header(requests.address());
        let is_granted = header.size == 64;
        move || (0..1000).for_each(|_| assert_eq!(requests.grants(black_box(&header)), is_granted))
    })
}

/// Counts ends; all operations here succeed or are cancelled.
#[derive(Default)]
struct Ends(AtomicU64);

impl CompletionSink for Ends {
    fn complete(&self, completion: Completion) -> bool {
        drop(completion);
        self.0.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn wake(&self) {}
}

/// Hands one operation over and says its number.
type Start = fn(&mut Connected) -> u64;

/// Operations from peer to end: one at a time, 1,000 handed over at once, and a list of 1,000.
fn whole(what: &'static str, start: Start, direction: Direction) -> [Path; 3] {
    const COUNT: usize = 1000;
    let path = |how: &str, ends: u64, go: fn(&mut Connected, Start, Direction)| {
        Path::plain(format!("{what} of 64 B: {how}"), COUNT as u64, move || {
            let told = Arc::new(Ends::default());
            let mut connected = Connected::telling(told.clone());
            move || {
                go(&mut connected, start, direction);
                assert_eq!(told.0.swap(0, Ordering::Relaxed), ends);
            }
        })
    };
    [
        path("one at a time", COUNT as u64, |connected, start, _| {
            for _ in 0..COUNT {
                start(connected);
                connected.settle();
            }
        }),
        path("1,000 at once", COUNT as u64, |connected, start, _| {
            for _ in 0..COUNT {
                start(connected);
            }
            connected.settle();
        }),
        path("a list of 1,000", 1, |connected, _, direction| {
            connected.list(direction, COUNT);
            connected.settle();
        }),
    ]
}

const CANCELS: u64 = 16;

/// So many reads whose answers are outstanding, of which a few are cancelled one after the other.
struct Cancels {
    depth: u64,
    connected: Connected,
    ends: Arc<Ends>,
    chosen: Vec<u64>,
}

impl Cancels {
    fn of(depth: u64) -> Self {
        let ends = Arc::new(Ends::default());
        Self {
            depth,
            connected: Connected::telling(ends.clone()),
            ends,
            chosen: Vec::new(),
        }
    }
}

impl Steps for Cancels {
    fn prepare(&mut self) {
        self.connected.settle();
        self.ends.0.store(0, Ordering::Relaxed);
        let numbers: Vec<_> = (0..self.depth).map(|_| self.connected.read()).collect();
        self.connected.settle_lane();
        let apart = numbers.len() / CANCELS as usize;
        self.chosen = numbers.into_iter().step_by(apart).collect();
    }

    fn run(&mut self) {
        for &number in &self.chosen {
            self.connected.cancel(number);
            self.connected.settle_lane();
        }
        assert_eq!(self.ends.0.load(Ordering::Relaxed), CANCELS);
    }
}
