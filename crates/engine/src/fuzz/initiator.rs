//! A target that lies: whatever it answers, each operation ends once, as the answers have it, and no byte but its own is touched.

use super::{
    input::{Cuts, Input},
    line::{Line, said},
    rig::{Dialled, OpEnd, Ops, lane, limits, pattern, preface},
};
use crate::{
    error::ErrorKind,
    io::pipe::Behaviour,
    op::{Direction, Done, List, Request},
    region::{memory::Memory, span::Span},
};
use liar::{Fate, Liar};
use memlane_wire::{Opcode, Preface};
use std::{ops::Range, sync::Arc, time::Duration};

mod liar;

/// Where all local ends of operations are, with bytes of nobody between them.
const ARENA: usize = 1 << 15;
const GAP: usize = 16;
const MOST_STEPS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(25);

/// What was asked for.
struct Asking {
    kind: Kind,
    /// Its local end.
    range: Range<usize>,
    /// Remote addresses, one an entry, of lengths that tell where its bytes go.
    entries: Vec<(u64, Range<usize>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Send,
    Describe,
    Ping,
}

impl Kind {
    fn opcode(self) -> Opcode {
        match self {
            Self::Read => Opcode::Read,
            Self::Write => Opcode::Write,
            Self::Send => Opcode::Send,
            Self::Describe => Opcode::Describe,
            Self::Ping => Opcode::Ping,
        }
    }
}

struct Play {
    arena: Arc<Memory>,
    ops: Arc<Ops>,
    asking: Vec<Asking>,
    next: usize,
    line: Line,
    lane: Dialled,
    liar: Liar,
    cuts: Cuts,
    /// Whether the liar takes what is said to it.
    hears: bool,
}

pub(super) async fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let cuts = input.cuts();
    let step = input.step();
    let room = [usize::MAX >> 1, 64, 1000, 20_000][input.below(4)];
    let arena = Memory::private(ARENA).expect("memory");
    arena.copy_in(0, &pattern(ARENA, 1)).expect("private memory");
    let (line, lane) = lane(Arc::default(), step, Behaviour { room, ..said(step) });
    let mut play = Play {
        ops: Ops::watching(Arc::clone(&arena)),
        arena,
        asking: Vec::new(),
        next: GAP,
        line,
        lane,
        liar: Liar::new(room, limits().max_info_bytes),
        cuts,
        hears: true,
    };
    play.greet().await;
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        play.step(&mut input).await;
    }
    play.end().await;
}

impl Play {
    async fn greet(&mut self) {
        self.lane.side.settle(&mut self.line).await;
        assert_eq!(self.line.heard.len(), Preface::LEN, "an initiator greets");
        self.line.heard.clear();
        self.line.say(&preface(7, 8));
        self.settle().await;
    }

    async fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0..=5 => self.ask(input),
            6 => self.hears = input.flag(),
            7 if !self.asking.is_empty() => {
                let id = input.below(self.asking.len());
                self.lane.cancel(&self.ops, id as u64);
                self.liar.give_up(id as u64, !self.hears);
            }
            // Seldom, since what runs into its deadline, or into silence, ends as it may.
            8 if input.byte() > 220 => {
                let seconds = input.below(40) as u64;
                self.lane.side.pass(&mut self.line, Duration::from_secs(seconds)).await;
                self.liar.lose_track();
            }
            9 if input.byte() > 200 => {
                self.line.shut();
                self.liar.hang_up();
            }
            _ => {
                let speech = self.liar.speech(input);
                for piece in self.cuts.clone().pieces(&speech) {
                    self.line.say(piece);
                    self.settle().await;
                    self.liar.said(piece);
                }
            }
        }
        self.settle().await;
    }

    fn place(&mut self, len: usize) -> Option<Range<usize>> {
        let range = self.next..self.next + len;
        if range.end + GAP > ARENA {
            return None;
        }
        self.next = range.end + GAP;
        Some(range)
    }

    fn span(&self, range: &Range<usize>) -> Span {
        let whole = Span::whole(Arc::clone(&self.arena));
        whole.slice(range.start, range.len()).expect("a range of the arena")
    }

    fn ask(&mut self, input: &mut Input<'_>) {
        let id = self.asking.len() as u64;
        let len = match input.below(8) {
            0 => 0,
            1..=4 => usize::from(input.byte()),
            5 => 8190 + input.below(8),
            _ => 8200 + usize::from(input.byte()) * 8,
        };
        let choice = input.below(10);
        let kind = [
            Kind::Read,
            Kind::Read,
            Kind::Write,
            Kind::Send,
            Kind::Describe,
            Kind::Ping,
        ][choice % 6];
        // An address tells which operation it is of.
        let addr = |entry: usize| (id + 1) << 32 | (entry as u64) << 24;
        if choice > 6 {
            let direction = if choice == 7 { Direction::Write } else { Direction::Read };
            let count = 1 + input.below(40);
            let Some(range) = self.place(len / count * count) else {
                return;
            };
            let mut list = List::for_entries(count);
            let each = len / count;
            let mut entries = Vec::new();
            for entry in 0..count {
                let at = range.start + entry * each;
                assert!(list.push(addr(entry), &self.arena, at, each));
                entries.push((addr(entry), at..at + each));
            }
            let kind = if choice == 7 { Kind::Write } else { Kind::Read };
            self.liar.expect(id, kind.opcode(), count);
            self.asking.push(Asking { kind, range, entries });
            return self.lane.submit_list(&self.ops, id, direction, list, PATIENCE);
        }
        let len = if matches!(kind, Kind::Describe | Kind::Ping) {
            0
        } else {
            len
        };
        let Some(range) = self.place(len) else { return };
        let span = self.span(&range);
        let request = match kind {
            Kind::Read => Request::Read {
                addr: addr(0),
                into: span,
            },
            Kind::Write => Request::Write {
                addr: addr(0),
                from: span,
            },
            Kind::Send => Request::Send {
                tag: addr(0),
                from: span,
            },
            Kind::Describe => Request::Describe,
            Kind::Ping => Request::Ping,
        };
        self.liar.expect(id, kind.opcode(), 1);
        let entries = vec![(addr(0), range.clone())];
        self.asking.push(Asking { kind, range, entries });
        self.lane.submit(&self.ops, id, request, PATIENCE);
    }

    /// Until the lane sleeps; takes what it says meanwhile, if it is to be taken.
    async fn settle(&mut self) {
        if self.hears {
            self.lane.side.settle(&mut self.line).await;
            self.liar.hear(&std::mem::take(&mut self.line.heard));
        } else {
            self.lane.side.rest().await;
        }
    }

    async fn end(mut self) {
        self.line.end();
        self.lane.side.pass(&mut self.line, Duration::from_secs(200)).await;
        assert!(self.lane.side.has_ended(), "a lane outlives its target");
        let Self {
            ops,
            asking,
            liar,
            arena,
            lane,
            ..
        } = self;
        lane.side.join().await;
        let ended = ops.ended();
        assert_eq!(ended.len(), asking.len(), "ends of so many operations");
        let mut after = vec![0; ARENA];
        arena.copy_out(0, &mut after).expect("private memory");
        let mut expected = pattern(ARENA, 1);
        for (id, asking) in asking.iter().enumerate() {
            let mut ends = ended.iter().filter(|end| end.id == id as u64);
            let (Some(end), None) = (ends.next(), ends.next()) else {
                panic!("operation {id} ended more than once, or never");
            };
            check_end(asking, end, liar.fate(id as u64));
            assert_eq!(
                end.memory[asking.range.clone()],
                after[asking.range.clone()],
                "touched behind its end: operation {id}"
            );
            if asking.kind != Kind::Read {
                continue;
            }
            if end.result.is_ok() {
                liar.check_bytes(&asking.entries, &after);
            }
            expected[asking.range.clone()].copy_from_slice(&after[asking.range.clone()]);
        }
        let wrong = after.iter().zip(&expected).position(|(is, should)| is != should);
        assert_eq!(wrong, None, "the first byte of nobody's that was touched");
    }
}

/// An end that the answers allow.
fn check_end(asking: &Asking, end: &OpEnd, fate: Fate) {
    let id = end.id;
    match (&end.result, fate) {
        (Ok(done), Fate::Done | Fate::Unknown) => match (asking.kind, done) {
            (Kind::Ping, Done::Nothing) | (Kind::Describe, Done::Text(_)) => {}
            (_, Done::Bytes(bytes)) => assert_eq!(*bytes, asking.range.len() as u64, "operation {id}"),
            other => panic!("operation {id} ended with {other:?}"),
        },
        (Ok(done), fate) => panic!("operation {id} is {done:?} where the answers say {fate:?}"),
        (Err(_), Fate::Unknown | Fate::Open) => {}
        (Err(kind), Fate::Refused(should)) => assert_eq!(*kind, should, "operation {id}"),
        // A text that is no UTF-8 is a fault of its own.
        (Err(ErrorKind::Protocol), Fate::Done) if asking.kind == Kind::Describe => {}
        (Err(kind), Fate::Done) => panic!("operation {id} failed with {kind:?} where it was answered"),
    }
}
