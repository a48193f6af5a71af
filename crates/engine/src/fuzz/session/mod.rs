//! A whole session, held against a model of memory: the input is a program of requests, receives, regions, cuts and waits.

mod answers;
mod model;
mod requests;

use super::{
    input::{Cuts, Input},
    line::{Line, Side, said},
    rig::{Receiving, bytes_of, connect, limits, preface, region, target},
};
use crate::{
    io::pipe::Behaviour,
    region::{Access, Region},
    target::Target,
};
use memlane_wire::{Header, Opcode, Preface};
use model::{Asked, Model, ModelRegion, Post, Time};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Steps of one program, and bytes that it sends: an input is to take milliseconds.
const MOST_STEPS: usize = 100;
const MOST_BYTES: usize = 1 << 20;

/// Lengths on both sides of what is copied, what is gathered, and what goes straight.
const LENGTHS: [usize; 8] = [1, 64, 100, 4096, 5000, 9000, 40_000, 65_536];
const RIGHTS: [Access; 4] = [Access::READ_WRITE, Access::READ, Access::WRITE, Access::NONE];

/// More than a message is kept.
const WAIT: Duration = Duration::from_secs(6);
/// A connection may rest for 70 s; no program makes one rest so long.
const MOST_WAITS: u32 = 3;

struct Play {
    began: Instant,
    target: Arc<Target>,
    regions: Vec<Arc<Region>>,
    receiving: BTreeMap<usize, Receiving>,
    model: Model,
    connection: Option<(Line, Side)>,
    outbox: Vec<Asked>,
    sent: usize,
    cuts: Cuts,
    step: usize,
    room: usize,
    waits: u32,
    stamp: u64,
}

pub(super) async fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut play = Play::new(&mut input);
    for _ in 0..MOST_STEPS {
        if input.is_empty() || play.sent > MOST_BYTES {
            break;
        }
        play.step(&mut input).await;
    }
    play.end_lane(&[], true).await;
    play.check_receives().await;
    play.check_memory();
}

impl Play {
    fn new(input: &mut Input<'_>) -> Self {
        let mut play = Self {
            began: Instant::now(),
            target: target(Arc::default()),
            regions: Vec::new(),
            receiving: BTreeMap::new(),
            model: Model::new(limits()),
            connection: None,
            outbox: Vec::new(),
            sent: 0,
            cuts: input.cuts(),
            step: input.step(),
            room: [usize::MAX >> 1, 64, 1000, 20_000][input.below(4)],
            waits: 0,
            stamp: 0,
        };
        // Canaries before, between and behind.
        for (len, access) in [(64, 3), (100, 0), (5000, 3), (9000, 0), (64, 2), (64, 1), (64, 3)] {
            play.open_region(len, RIGHTS[access]);
        }
        play
    }

    fn now(&self) -> Time {
        self.began.elapsed().as_millis() as Time
    }

    fn stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    async fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0..=3 => self.ask(requests::one_sided(Opcode::Read, input, &self.model, 0)),
            4..=7 => {
                let stamp = self.stamp();
                self.ask(requests::one_sided(Opcode::Write, input, &self.model, stamp));
            }
            8 | 9 => {
                let stamp = self.stamp();
                self.ask(requests::message(input, stamp));
            }
            10 => self.ask(requests::other(input)),
            11 => self.post(input).await,
            12 => self.change_regions(input).await,
            13 => self.flush().await,
            14 if self.waits < MOST_WAITS => {
                self.flush().await;
                self.waits += 1;
                self.wait(WAIT).await;
            }
            14 => {}
            _ => self.cut(input).await,
        }
    }

    fn ask(&mut self, asked: Asked) {
        self.sent += Header::LEN + asked.body.len();
        self.outbox.push(asked);
    }

    fn open_region(&mut self, len: usize, access: Access) {
        let number = self.regions.len() as u64;
        let (name, address) = (format!("r{number}"), 0x10_0000 + number * 0x2_0000);
        let region = region(&self.target, &name, address, len, access);
        self.model.regions.push(ModelRegion {
            name,
            address,
            access,
            bytes: bytes_of(&region),
            is_open: true,
        });
        self.regions.push(region);
    }

    async fn change_regions(&mut self, input: &mut Input<'_>) {
        self.flush().await;
        match input.below(4) {
            0 | 1 if self.regions.len() < 24 => {
                let len = LENGTHS[input.below(LENGTHS.len())];
                self.open_region(len, RIGHTS[input.below(RIGHTS.len())]);
            }
            2 => {
                let index = input.below(self.regions.len());
                self.close_region(index);
                assert_eq!(self.regions[index].in_flight(), 0, "a region at rest is held");
            }
            _ => self.close_under_write(input).await,
        }
    }

    fn close_region(&mut self, index: usize) {
        self.target.registry.close(&self.regions[index]);
        self.model.regions[index].is_open = false;
    }

    /// Closes a region while a WRITE to it is half there: its fence waits for that one, and nothing comes behind it.
    async fn close_under_write(&mut self, input: &mut Input<'_>) {
        let index = input.below(self.regions.len());
        let (address, len) = (self.regions[index].address(), self.regions[index].len());
        let part = input.below(len.min(255));
        if len < 2 || self.model.is_parked() || self.model.check(address, len as u64, Access::WRITE).is_err() {
            return;
        }
        let stamp = self.stamp();
        let asked = Asked {
            header: Header::new(Opcode::Write, len as u64, address),
            body: super::rig::pattern(len, stamp),
        };
        let bytes = requests::encoded(&asked);
        let (first, second) = bytes.split_at(Header::LEN + part);
        self.dial().await;
        let now = self.now();
        self.model.ask(now, asked);
        let Some((line, session)) = &mut self.connection else {
            return;
        };
        line.say(first);
        session.settle(line).await;
        self.target.registry.close(&self.regions[index]);
        assert_eq!(
            self.regions[index].in_flight(),
            1,
            "the fence of a region that is written to"
        );
        line.say(second);
        session.settle(line).await;
        assert_eq!(self.regions[index].in_flight(), 0, "the fence behind the last byte");
        self.model.regions[index].is_open = false;
        self.check_lane().await;
    }

    async fn post(&mut self, input: &mut Input<'_>) {
        self.flush().await;
        let tag = [None, Some(0), Some(1), Some(2)][input.below(4)];
        let (exact, room) = (input.flag(), input.byte().into());
        let number = self.receiving.len();
        self.receiving
            .insert(number, Receiving::post(&self.target, room, tag, exact));
        let now = self.now();
        self.model.post(
            now,
            Post {
                number,
                room,
                tag,
                exact,
            },
        );
        self.settle().await;
    }

    /// A connection, greeted.
    async fn dial(&mut self) {
        if self.connection.is_some() {
            return;
        }
        let back = Behaviour {
            room: self.room,
            ..said(self.step)
        };
        let (mut line, session) = connect(&self.target, self.step, back);
        line.say(&preface(7, 8));
        session.settle(&mut line).await;
        assert_eq!(line.heard.len(), Preface::LEN, "the target greets");
        line.heard.clear();
        self.connection = Some((line, session));
        self.model.begin_lane();
        self.waits = 0;
    }

    /// Sends what is asked for, in one stream, and looks at the answers.
    async fn flush(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        self.dial().await;
        let mut stream = Vec::new();
        let now = self.now();
        for asked in std::mem::take(&mut self.outbox) {
            stream.extend(requests::encoded(&asked));
            self.model.ask(now, asked);
        }
        if let Some((line, session)) = &mut self.connection {
            for piece in self.cuts.pieces(&stream) {
                line.say(piece);
                session.rest().await;
            }
        }
        self.settle().await;
    }

    async fn settle(&mut self) {
        if let Some((line, session)) = &mut self.connection {
            session.settle(line).await;
        }
        self.check_lane().await;
    }

    async fn wait(&mut self, time: Duration) {
        let until = self.now() + time.as_millis() as Time;
        if let Some((line, session)) = &mut self.connection {
            session.pass(line, time).await;
        } else {
            tokio::time::sleep(time).await;
        }
        self.model.pass(until);
        self.check_lane().await;
    }

    async fn check_lane(&mut self) {
        let Some((line, _)) = &mut self.connection else { return };
        answers::check(&mut self.model.lane, &std::mem::take(&mut line.heard));
        assert_eq!(
            line.ended, self.model.lane.is_closed,
            "whether the target ends the connection"
        );
        if line.ended
            && let Some((mut line, session)) = self.connection.take()
        {
            line.end();
            session.settle(&mut line).await;
            assert!(session.has_ended(), "a session outlives its connection");
            session.join().await;
        }
    }

    /// Sends a part of one more request, and no more; takes no more either, or waits for the answers.
    async fn cut(&mut self, input: &mut Input<'_>) {
        self.flush().await;
        self.dial().await;
        if self.model.is_parked() {
            // Its time comes first: who sends no more is noticed by who reads.
            self.wait(WAIT).await;
        }
        if self.connection.is_none() || self.model.is_parked() {
            return;
        }
        let asked = if input.flag() {
            let stamp = self.stamp();
            requests::one_sided(Opcode::Write, input, &self.model, stamp)
        } else {
            let stamp = self.stamp();
            requests::message(input, stamp)
        };
        let bytes = requests::encoded(&asked);
        let mut at = usize::from(input.u16()) % bytes.len();
        let Header { size, addr, .. } = asked.header;
        if asked.header.opcode() == Some(Opcode::Send) && !self.model.has_place(addr, size) {
            // Of one that waits in the socket it is not told when its end is noticed.
            at = at.min(Header::LEN - 1);
        }
        let waits = input.flag();
        self.cut_request(&asked, at, waits).await;
        self.end_lane(&bytes[..at], waits).await;
        if asked.header.opcode() == Some(Opcode::Write) {
            self.adopt_undefined(&asked);
        }
    }

    /// Tells the model of a request whose bytes end at `at`.
    async fn cut_request(&mut self, asked: &Asked, at: usize, waits: bool) {
        let Header { size, addr, .. } = asked.header;
        if at < Header::LEN {
            return;
        }
        let now = self.now();
        let right = Access::WRITE;
        match asked.header.opcode() {
            Some(Opcode::Send) if self.model.has_place(addr, size) => {
                let asked = Asked {
                    header: asked.header,
                    body: asked.body.clone(),
                };
                self.model.cut_off(asked, at - Header::LEN);
                if !waits {
                    // Whoever takes no more hears no answer.
                    self.model.lane.sends.clear();
                }
            }
            Some(Opcode::Write) if size <= requests::MOST_BODY && self.model.check(addr, size, right).is_ok() => {}
            // Refused by its header.
            _ if waits => {
                let header = asked.header;
                self.model.ask(
                    now,
                    Asked {
                        header,
                        body: asked.body.clone(),
                    },
                );
            }
            _ => {}
        }
    }

    /// What a WRITE that was cut off has left in its range is undefined: whatever it is, is taken for right.
    fn adopt_undefined(&mut self, asked: &Asked) {
        let Header { size, addr, .. } = asked.header;
        if let Ok((index, at)) = self.model.check(addr, size, Access::WRITE)
            && size <= requests::MOST_BODY
        {
            let (bytes, size) = (bytes_of(&self.regions[index]), size as usize);
            self.model.regions[index].bytes[at..at + size].copy_from_slice(&bytes[at..at + size]);
        }
    }

    /// Ends the connection behind these bytes; with patience, when all is answered.
    async fn end_lane(&mut self, last: &[u8], waits: bool) {
        self.flush().await;
        let Some((line, _)) = &self.connection else { return };
        line.say(last);
        if waits {
            line.shut();
            self.wait_for_end().await;
        } else {
            line.end();
        }
        let Some((mut line, session)) = self.connection.take() else {
            return;
        };
        session.pass(&mut line, Duration::from_secs(20)).await;
        assert!(session.has_ended(), "a session outlives its initiator");
        session.join().await;
    }

    /// A session that hears no more goes on until its messages have come to their ends.
    async fn wait_for_end(&mut self) {
        // As many messages as there are steps may wait one behind the other.
        let time = Duration::from_secs(600);
        let until = self.now() + time.as_millis() as Time;
        let Some((line, session)) = &mut self.connection else {
            return;
        };
        session.pass(line, time).await;
        self.model.pass(until);
        answers::check(&mut self.model.lane, &std::mem::take(&mut line.heard));
        assert!(line.ended, "the target ends the connection when all is answered");
    }

    async fn check_receives(&mut self) {
        for (number, receiving) in std::mem::take(&mut self.receiving) {
            let ended = receiving.ended().await;
            assert_eq!(ended, self.model.received.remove(&number), "receive {number}");
        }
    }

    fn check_memory(&self) {
        for (region, model) in self.regions.iter().zip(&self.model.regions) {
            assert_eq!(region.in_flight(), 0, "{} is still held", model.name);
            let bytes = bytes_of(region);
            let wrong = bytes.iter().zip(&model.bytes).position(|(is, should)| is != should);
            assert_eq!(wrong, None, "the first byte of {} that is wrong", model.name);
        }
    }
}
