//! What `docs/protocol.md` says about a connection, worked out without any connection: which answers come, what receives get, and
//! what memory holds.

use super::super::rig::Received;
use crate::{config::Limits, error::ErrorKind, region::Access};
use memlane_wire::{Header, Opcode, Status};
use std::collections::{BTreeMap, VecDeque};

/// Milliseconds of virtual time since the input began.
pub(super) type Time = u64;

pub(super) struct ModelRegion {
    pub(super) name: String,
    pub(super) address: u64,
    pub(super) access: Access,
    pub(super) bytes: Vec<u8>,
    pub(super) is_open: bool,
}

/// A receive that waits.
pub(super) struct Post {
    pub(super) number: usize,
    pub(super) room: usize,
    pub(super) tag: Option<u64>,
    pub(super) exact: bool,
}

/// A request, its body whole.
pub(super) struct Asked {
    pub(super) header: Header,
    pub(super) body: Vec<u8>,
}

/// What has to come for one request that is no SEND.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) sequence: u32,
    pub(super) status: Status,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Bytes(Vec<u8>),
    /// Of an endpoint info: name, address, length and rights of each region that it lists.
    Listing(Vec<(String, u64, usize, &'static str)>),
}

enum Place {
    Kept { deadline: Time },
    Parked,
}

struct Message {
    lane: u32,
    sequence: u32,
    tag: u64,
    body: Vec<u8>,
    place: Place,
}

/// One connection, as its initiator sees it.
#[derive(Default)]
pub(super) struct ModelLane {
    number: u32,
    sequence: u32,
    backlog: VecDeque<Asked>,
    is_parked: bool,
    moved: Time,
    /// The target ends it by itself.
    pub(super) is_closed: bool,
    pub(super) ordered: VecDeque<Answer>,
    pub(super) sends: BTreeMap<u32, Status>,
}

pub(super) struct Model {
    limits: Limits,
    pub(super) regions: Vec<ModelRegion>,
    pub(super) lane: ModelLane,
    pub(super) received: BTreeMap<usize, Received>,
    posted: VecDeque<Post>,
    messages: Vec<Message>,
}

impl Model {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            regions: Vec::new(),
            lane: ModelLane::default(),
            received: BTreeMap::new(),
            posted: VecDeque::new(),
            messages: Vec::new(),
        }
    }

    /// Another connection; what the one before left behind is answered to nobody.
    pub(super) fn begin_lane(&mut self) {
        self.lane = ModelLane {
            number: self.lane.number + 1,
            ..ModelLane::default()
        };
    }

    pub(super) fn is_parked(&self) -> bool {
        self.lane.is_parked
    }

    pub(super) fn ask(&mut self, now: Time, asked: Asked) {
        self.lane.backlog.push_back(asked);
        if !self.lane.is_parked {
            self.lane.moved = now;
        }
        self.go_on(now);
    }

    /// The region that a request is granted, and where in it, or why not.
    pub(super) fn check(&self, addr: u64, size: u64, right: Access) -> Result<(usize, usize), Status> {
        let owns = |region: &&ModelRegion| {
            region.is_open && (region.address..=region.address + region.bytes.len() as u64).contains(&addr)
        };
        let found = self.regions.iter().find(owns).ok_or(Status::NoSuchRegion)?;
        let offset = (addr - found.address) as usize;
        if u128::from(size) + offset as u128 > found.bytes.len() as u128 {
            return Err(Status::OutOfRange);
        }
        if (right.read && !found.access.read) || (right.write && !found.access.write) {
            return Err(Status::AccessDenied);
        }
        let index = self.regions.iter().position(|region| region.address == found.address);
        index.map(|index| (index, offset)).ok_or(Status::NoSuchRegion)
    }

    /// Whether a message of that tag and size has somewhere to go at once.
    pub(super) fn has_place(&self, tag: u64, size: u64) -> bool {
        self.match_for(tag).is_some() || self.fits(size)
    }

    fn match_for(&self, tag: u64) -> Option<usize> {
        self.posted
            .iter()
            .position(|post| post.tag.is_none_or(|wanted| wanted == tag))
    }

    fn fits(&self, size: u64) -> bool {
        let kept = self
            .messages
            .iter()
            .filter(|message| matches!(message.place, Place::Kept { .. }));
        let (count, bytes) = kept.fold((0, 0), |(count, bytes), message| {
            (count + 1, bytes + message.body.len() as u64)
        });
        count < self.limits.max_unexpected_messages && bytes + size <= self.limits.max_unexpected_bytes
    }

    fn go_on(&mut self, now: Time) {
        while !self.lane.is_closed
            && !self.lane.is_parked
            && let Some(asked) = self.lane.backlog.pop_front()
        {
            let sequence = self.lane.sequence;
            self.lane.sequence += 1;
            self.lane.moved = now;
            self.answer_to(now, sequence, asked);
        }
    }

    fn say(&mut self, sequence: u32, status: Status, body: Vec<u8>) {
        let body = Body::Bytes(body);
        self.lane.ordered.push_back(Answer { sequence, status, body });
    }

    fn answer_to(&mut self, now: Time, sequence: u32, Asked { header, body }: Asked) {
        let Header { size, addr, .. } = header;
        let Some(opcode) = header.opcode() else {
            self.lane.is_closed = true;
            return self.say(sequence, Status::BadRequest, Vec::new());
        };
        match opcode {
            Opcode::Describe | Opcode::Ping if size != 0 || addr != 0 => {
                self.lane.is_closed = true;
                self.say(sequence, Status::BadRequest, Vec::new());
            }
            Opcode::Ping => self.say(sequence, Status::Ok, Vec::new()),
            Opcode::Describe => self.lane.ordered.push_back(Answer {
                sequence,
                status: Status::Ok,
                body: Body::Listing(self.listing()),
            }),
            _ if size > self.limits.max_operation_bytes => {
                self.lane.is_closed = true;
                self.say(sequence, Status::Limit, Vec::new());
            }
            Opcode::Read => match self.check(addr, size, Access::READ) {
                Ok((region, at)) => {
                    let bytes = self.regions[region].bytes[at..at + size as usize].to_vec();
                    self.say(sequence, Status::Ok, bytes);
                }
                Err(status) => self.say(sequence, status, Vec::new()),
            },
            Opcode::Write => match self.check(addr, size, Access::WRITE) {
                Ok((region, at)) => {
                    self.regions[region].bytes[at..at + body.len()].copy_from_slice(&body);
                    self.say(sequence, Status::Ok, Vec::new());
                }
                Err(status) => {
                    self.lane.is_closed = size > self.limits.drain_bytes;
                    self.say(sequence, status, Vec::new());
                }
            },
            Opcode::Send => self.message(now, sequence, addr, body),
        }
    }

    fn listing(&self) -> Vec<(String, u64, usize, &'static str)> {
        let listed = self
            .regions
            .iter()
            .filter(|region| region.is_open && region.access != Access::NONE);
        let mut listing: Vec<_> = listed
            .map(|region| {
                (
                    region.name.clone(),
                    region.address,
                    region.bytes.len(),
                    region.access.name(),
                )
            })
            .collect();
        listing.sort();
        listing
    }

    fn message(&mut self, now: Time, sequence: u32, tag: u64, body: Vec<u8>) {
        self.sweep(now);
        if let Some(index) = self.match_for(tag)
            && let Some(post) = self.posted.remove(index)
        {
            return self.receive(post, sequence, tag, body);
        }
        let place = if self.fits(body.len() as u64) {
            Place::Kept {
                deadline: now + self.limits.unexpected_timeout,
            }
        } else {
            self.lane.is_parked = true;
            Place::Parked
        };
        let lane = self.lane.number;
        self.messages.push(Message {
            lane,
            sequence,
            tag,
            body,
            place,
        });
    }

    /// A message goes from the connection into a receive.
    fn receive(&mut self, post: Post, sequence: u32, tag: u64, body: Vec<u8>) {
        let (status, stored) = self.deliver(&post, tag, &body);
        self.lane.sends.insert(sequence, status);
        self.lane.is_closed |= (body.len() - stored) as u64 > self.limits.drain_bytes;
    }

    /// What the sender is told, and how many bytes were stored.
    fn deliver(&mut self, post: &Post, tag: u64, body: &[u8]) -> (Status, usize) {
        if post.exact && post.room != body.len() {
            self.received.insert(post.number, Err(ErrorKind::MessageSize));
            return (Status::MessageSize, 0);
        }
        let stored = post.room.min(body.len());
        let message = (body[..stored].to_vec(), body.len() as u64, tag);
        self.received.insert(post.number, Ok(message));
        (
            if stored < body.len() {
                Status::MessageSize
            } else {
                Status::Ok
            },
            stored,
        )
    }

    pub(super) fn post(&mut self, now: Time, post: Post) {
        self.sweep(now);
        let takes = |message: &Message| post.tag.is_none_or(|wanted| wanted == message.tag);
        let Some(index) = self.messages.iter().position(takes) else {
            return self.posted.push_back(post);
        };
        let message = self.messages.remove(index);
        if matches!(message.place, Place::Parked) {
            self.lane.is_parked = false;
            self.lane.moved = now;
            self.receive(post, message.sequence, message.tag, message.body);
        } else {
            let (status, _) = self.deliver(&post, message.tag, &message.body);
            self.tell(now, &message, status);
            self.promote(now);
        }
        self.go_on(now);
    }

    /// A message of which only so many bytes of its body come. A receive that has all that it can take of it has its message; one
    /// that has not is the first again.
    pub(super) fn cut_off(&mut self, Asked { header, body }: Asked, came: usize) {
        let Header { addr: tag, size, .. } = header;
        let sequence = self.lane.sequence;
        self.lane.sequence += 1;
        let Some(post) = self.match_for(tag).and_then(|index| self.posted.remove(index)) else {
            return;
        };
        let takes = if post.exact && post.room as u64 != size {
            0
        } else {
            post.room
        };
        if came >= takes {
            self.receive(post, sequence, tag, body);
        } else {
            self.posted.push_front(post);
        }
    }

    /// The answer of a kept message, if its connection is still there.
    fn tell(&mut self, now: Time, message: &Message, status: Status) {
        if message.lane == self.lane.number && !self.lane.is_closed {
            self.lane.sends.insert(message.sequence, status);
            self.lane.moved = now;
        }
    }

    fn sweep(&mut self, now: Time) {
        let is_late = |message: &Message| matches!(message.place, Place::Kept { deadline } if deadline <= now);
        let mut swept = false;
        while let Some(index) = self.messages.iter().position(is_late) {
            let message = self.messages.remove(index);
            self.tell(now, &message, Status::NoReceive);
            swept = true;
        }
        if swept {
            self.promote(now);
        }
    }

    fn promote(&mut self, now: Time) {
        for index in 0..self.messages.len() {
            let message = &self.messages[index];
            if matches!(message.place, Place::Parked) && self.fits(message.body.len() as u64) {
                let deadline = now + self.limits.unexpected_timeout;
                self.messages[index].place = Place::Kept { deadline };
                self.lane.is_parked = false;
                self.lane.moved = now;
            }
        }
    }

    /// Time passes, and what is due in it happens in its order.
    pub(super) fn pass(&mut self, until: Time) {
        loop {
            let own = self.messages.iter().filter(|message| message.lane == self.lane.number);
            let late = own.filter_map(|message| match message.place {
                Place::Kept { deadline } => Some(deadline),
                Place::Parked => None,
            });
            let late = late.min();
            let parked = self
                .lane
                .is_parked
                .then_some(self.lane.moved + self.limits.unexpected_timeout);
            let Some(now) = [late, parked].into_iter().flatten().min().filter(|due| *due <= until) else {
                return;
            };
            if self.lane.is_closed {
                return;
            }
            if late == Some(now) {
                self.sweep(now);
            } else {
                self.give_up_parked(now);
            }
            self.go_on(now);
        }
    }

    fn give_up_parked(&mut self, now: Time) {
        let Some(index) = self
            .messages
            .iter()
            .position(|message| matches!(message.place, Place::Parked))
        else {
            return;
        };
        let message = self.messages.remove(index);
        self.lane.is_parked = false;
        self.lane.moved = now;
        self.lane.sends.insert(message.sequence, Status::NoReceive);
        self.lane.is_closed = message.body.len() as u64 > self.limits.drain_bytes;
    }
}
