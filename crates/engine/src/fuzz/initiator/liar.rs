//! What the liar was asked, what it has answered, and what an initiator may believe of it.

use super::super::{input::Input, rig::pattern};
use crate::error::ErrorKind;
use memlane_wire::{DESCRIBE_MAX, Header, Opcode, Status, StatusFrame};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
};

/// A request that was heard.
#[derive(Debug)]
struct Asked {
    sequence: u32,
    opcode: Opcode,
    size: u64,
    addr: u64,
    /// Which operation it is of.
    id: u64,
    /// Bytes of its body that were not heard yet.
    missing: u64,
}

/// How an operation ends, by the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// All of it was answered with OK.
    Done,
    Refused(ErrorKind),
    /// It was not answered, or by a lie: it fails.
    Open,
    /// It was given up, or it is not known what had been sent: it ends in one way or another.
    Unknown,
}

/// What the next byte of the answers is.
#[derive(Debug)]
enum Incoming {
    Status,
    Body(Asked, Vec<u8>),
    Length(Asked),
    Text(Asked, u64),
}

#[derive(Debug)]
pub(super) struct Liar {
    /// Bytes that may be on their way to it unheard.
    room: u64,
    most_info: u64,
    heard: Vec<u8>,
    asked: u32,
    /// Requests that the operations make, heard or not.
    wanted: u32,
    ordered: VecDeque<Asked>,
    sends: BTreeMap<u32, Asked>,
    describes: VecDeque<u64>,
    pings: VecDeque<u64>,
    incoming: Incoming,
    answered: VecDeque<u8>,
    /// The lane has seen a lie, or the end: it looks at nothing more.
    is_over: bool,
    /// Nobody can say here any more what the lane makes of an answer.
    is_lost: bool,
    given_up: BTreeSet<u64>,
    left: BTreeMap<u64, usize>,
    fates: BTreeMap<u64, Fate>,
    bodies: BTreeMap<u64, Vec<u8>>,
}

impl Liar {
    pub(super) fn new(room: usize, most_info: u64) -> Self {
        Self {
            room: room as u64,
            most_info,
            heard: Vec::new(),
            asked: 0,
            wanted: 0,
            ordered: VecDeque::new(),
            sends: BTreeMap::new(),
            describes: VecDeque::new(),
            pings: VecDeque::new(),
            incoming: Incoming::Status,
            answered: VecDeque::new(),
            is_over: false,
            is_lost: false,
            given_up: BTreeSet::new(),
            left: BTreeMap::new(),
            fates: BTreeMap::new(),
            bodies: BTreeMap::new(),
        }
    }

    /// An operation of so many requests begins.
    pub(super) fn expect(&mut self, id: u64, opcode: Opcode, requests: usize) {
        self.wanted += requests as u32;
        self.left.insert(id, requests);
        match opcode {
            Opcode::Describe => self.describes.push_back(id),
            Opcode::Ping => self.pings.push_back(id),
            Opcode::Read | Opcode::Write | Opcode::Send => {}
        }
    }

    /// An operation is given up; `is_behind` says that there may be requests that are not heard.
    pub(super) fn give_up(&mut self, id: u64, is_behind: bool) {
        self.given_up.insert(id);
        let has_no_address = self.describes.contains(&id) || self.pings.contains(&id);
        // A body that is half out ends the lane.
        self.is_lost |= is_behind || has_no_address || self.ordered.iter().any(|asked| asked.missing > 0);
    }

    pub(super) fn lose_track(&mut self) {
        self.is_lost = true;
    }

    pub(super) fn hang_up(&mut self) {
        self.is_over = true;
    }

    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let last = self.unfinished();
            if let Some(asked) = last {
                let count = bytes.len().min(usize::try_from(asked.missing).unwrap_or(usize::MAX));
                asked.missing -= count as u64;
                bytes = &bytes[count..];
                continue;
            }
            let count = bytes.len().min(Header::LEN - self.heard.len());
            self.heard.extend(&bytes[..count]);
            bytes = &bytes[count..];
            if let Some(header) = Header::take(&self.heard) {
                self.heard.clear();
                self.request(header);
            }
        }
    }

    /// The request whose body is coming. It may have been refused meanwhile: then it is nobody's, and kept all the same.
    fn unfinished(&mut self) -> Option<&mut Asked> {
        let newest = self.asked.wrapping_sub(1);
        let ordered = self
            .ordered
            .back_mut()
            .filter(|asked| asked.sequence == newest && asked.missing > 0);
        match ordered {
            Some(asked) => Some(asked),
            None => self.sends.get_mut(&newest).filter(|asked| asked.missing > 0),
        }
    }

    fn request(&mut self, header: Header) {
        let opcode = header.opcode().expect("an opcode that there is");
        let id = match opcode {
            Opcode::Describe => self.describes.pop_front().expect("a description that was asked for"),
            Opcode::Ping => self.pings.pop_front().expect("a ping that was asked for"),
            Opcode::Read | Opcode::Write | Opcode::Send => (header.addr >> 32) - 1,
        };
        let asked = Asked {
            sequence: self.asked,
            opcode,
            size: header.size,
            addr: header.addr,
            id,
            missing: if matches!(opcode, Opcode::Write | Opcode::Send) {
                header.size
            } else {
                0
            },
        };
        self.asked += 1;
        if opcode == Opcode::Send {
            self.sends.insert(asked.sequence, asked);
        } else {
            self.ordered.push_back(asked);
        }
    }

    /// Something to say.
    pub(super) fn speech(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let oldest = self.ordered.front().map_or(self.asked, |asked| asked.sequence);
        match input.below(12) {
            0..=4 => self.honest(),
            5 => {
                let mut whole = self.honest();
                whole.truncate(usize::from(input.u16()) % (whole.len() + 1));
                whole
            }
            6 => frame(oldest, 1 + input.below(8) as u32),
            7 => {
                let nth = input.below(4);
                let sequence = self.sends.keys().nth(nth).copied().unwrap_or(oldest);
                frame(sequence, input.below(9) as u32 & u32::from(input.byte()))
            }
            8 => {
                // One that was answered, one behind the next, or one that never was; most often with OK.
                let near = input.below(9) as u32;
                frame(
                    oldest.wrapping_add(near).wrapping_sub(4),
                    input.below(22).saturating_sub(11) as u32,
                )
            }
            9 => {
                let count = input.below(64);
                input.bytes(count).to_vec()
            }
            10 => {
                let count = u32::from_le_bytes(input.array());
                let mut text = frame(oldest, 0);
                text.extend((count >> (input.byte() & 31)).to_le_bytes());
                text
            }
            // As many as are still awaited.
            _ => match &self.incoming {
                Incoming::Status => Vec::new(),
                Incoming::Body(asked, bytes) => pattern(asked.size as usize, asked.addr).split_off(bytes.len()),
                Incoming::Length(_) => vec![7, 0, 0, 0],
                Incoming::Text(_, left) => vec![b'7'; (*left).min(1 << 21) as usize],
            },
        }
    }

    /// The right answer to the oldest request.
    fn honest(&self) -> Vec<u8> {
        let Some(asked) = self.ordered.front() else {
            return self
                .sends
                .keys()
                .next()
                .map_or_else(Vec::new, |sequence| frame(*sequence, 0));
        };
        let mut bytes = frame(asked.sequence, 0);
        match asked.opcode {
            Opcode::Read => bytes.extend(pattern(asked.size as usize, asked.addr)),
            Opcode::Describe => bytes.extend(b"\x02\0\0\0{}"),
            Opcode::Ping | Opcode::Write | Opcode::Send => {}
        }
        bytes
    }

    /// What an initiator makes of that.
    pub(super) fn said(&mut self, bytes: &[u8]) {
        self.answered.extend(bytes);
        while !self.is_over && !self.is_lost && self.take() {}
    }

    fn taken<const N: usize>(&mut self) -> Option<[u8; N]> {
        (self.answered.len() >= N).then(|| std::array::from_fn(|_| self.answered.pop_front().unwrap_or_default()))
    }

    /// Whether it came further.
    fn take(&mut self) -> bool {
        match std::mem::replace(&mut self.incoming, Incoming::Status) {
            Incoming::Status => match self.taken() {
                Some(frame) => self.status(StatusFrame::decode(&frame)),
                None => return false,
            },
            Incoming::Body(asked, mut bytes) => {
                let count = self.answered.len().min(asked.size as usize - bytes.len());
                bytes.extend(self.answered.drain(..count));
                if bytes.len() < asked.size as usize {
                    self.incoming = Incoming::Body(asked, bytes);
                    return false;
                }
                self.bodies.insert(asked.addr, bytes);
                self.done(&asked);
            }
            Incoming::Length(asked) => match self.taken().map(u32::from_le_bytes) {
                None => {
                    self.incoming = Incoming::Length(asked);
                    return false;
                }
                Some(length) if length > DESCRIBE_MAX => self.is_over = true,
                Some(length) => {
                    if u64::from(length) > self.most_info {
                        self.fail(asked.id, ErrorKind::Limit);
                    }
                    self.incoming = Incoming::Text(asked, length.into());
                }
            },
            Incoming::Text(asked, left) => {
                let count = self.answered.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.answered.drain(..count);
                let left = left - count as u64;
                if left > 0 {
                    self.incoming = Incoming::Text(asked, left);
                    return false;
                }
                self.done(&asked);
            }
        }
        true
    }

    fn status(&mut self, frame: StatusFrame) {
        let Some(status) = frame.status() else {
            self.is_over = true;
            return;
        };
        let is_next = self
            .ordered
            .front()
            .is_some_and(|asked| asked.sequence == frame.sequence);
        let known = if is_next {
            self.ordered.pop_front()
        } else {
            self.sends.remove(&frame.sequence)
        };
        let Some(asked) = known else {
            // It may have been sent in the moment before.
            let may_be = frame.sequence >= self.asked && self.asked < self.wanted;
            self.is_lost |= may_be;
            self.is_over |= !may_be;
            return;
        };
        if asked.missing > 0 {
            // What was heard next would be taken for a header.
            self.is_lost |= status != Status::Ok || asked.missing <= self.room;
            self.is_over = true;
            return;
        }
        match (status, asked.opcode) {
            (Status::Ok, Opcode::Read) if asked.size > 0 => self.incoming = Incoming::Body(asked, Vec::new()),
            (Status::Ok, Opcode::Describe) => self.incoming = Incoming::Length(asked),
            (Status::Ok, _) => self.done(&asked),
            (status, _) => self.fail(asked.id, ErrorKind::from(status)),
        }
    }

    /// One request of an operation has come to a good end.
    fn done(&mut self, asked: &Asked) {
        if let Some(left) = self.left.get_mut(&asked.id) {
            *left -= 1;
            if *left == 0 && !self.given_up.contains(&asked.id) {
                self.fates.entry(asked.id).or_insert(Fate::Done);
            }
        }
    }

    fn fail(&mut self, id: u64, kind: ErrorKind) {
        if !self.given_up.contains(&id) {
            self.fates.entry(id).or_insert(Fate::Refused(kind));
        }
    }

    pub(super) fn fate(&self, id: u64) -> Fate {
        let known = self.fates.get(&id).copied();
        let unknown = self.is_lost || self.given_up.contains(&id);
        known.unwrap_or(if unknown { Fate::Unknown } else { Fate::Open })
    }

    /// What was read is what was said, in its places.
    pub(super) fn check_bytes(&self, entries: &[(u64, Range<usize>)], memory: &[u8]) {
        for (addr, range) in entries {
            if let Some(body) = self.bodies.get(addr) {
                assert!(memory[range.clone()] == **body, "the bytes of {addr:#x}");
            }
        }
    }
}

fn frame(sequence: u32, status: u32) -> Vec<u8> {
    StatusFrame { sequence, status }.encode().to_vec()
}
