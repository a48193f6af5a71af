//! Somebody in a process who does everything that can be done to the others.

use super::{
    Dice, Ledger,
    ledger::Ends,
    node::{LARGE_SLOT, Life, Node, SLOT},
    slots::{POISON, Place, bytes_of},
};
use crate::{
    endpoint::Wanted,
    error::{Error, ErrorKind},
    op::{CompletionSink, Direction, Done, Issuer, List, Operation, OperationKey, Request, Ticket},
    peer::Peer,
    region::{memory::Memory, span::Span},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::sleep;

const BURSTS: u64 = 14;
const AT_ONCE: u64 = 8;
/// What a read's memory is filled with when the read has ended.
const LEFT: u8 = 0xfe;

#[derive(Clone)]
pub(super) struct Actor {
    number: u32,
    nodes: Vec<Arc<Node>>,
    dice: Arc<Dice>,
    ledger: Arc<Ledger>,
}

/// One operation's peer, and what it is done to.
struct Aim {
    life: Arc<Life>,
    peer: Arc<Peer>,
    theirs: Arc<Life>,
    timeout: Duration,
}

impl Actor {
    pub(super) fn new(number: u32, nodes: &[Arc<Node>], dice: &Arc<Dice>, ledger: &Arc<Ledger>) -> Self {
        Self {
            number,
            nodes: nodes.to_vec(),
            dice: Arc::clone(dice),
            ledger: Arc::clone(ledger),
        }
    }

    pub(super) async fn act(self) {
        for _ in 0..BURSTS {
            let tasks: Vec<_> = (0..1 + self.dice.below(AT_ONCE))
                .map(|_| tokio::spawn(self.clone().one()))
                .collect();
            for task in tasks {
                self.ledger
                    .expect(task.await.is_ok(), || "an operation panicked".to_owned());
            }
            sleep(self.dice.millis(40)).await;
        }
    }

    async fn one(self) {
        let count = self.nodes.len() as u64;
        let other = (u64::from(self.number) + 1 + self.dice.below(count - 1)) % count;
        let life = self.nodes[self.number as usize].life();
        let Some(peer) = life.peers[other as usize].clone() else {
            return;
        };
        let timeout = [5, 20, 60, 200, 900][self.dice.below(5) as usize];
        let aim = Aim {
            theirs: self.nodes[other as usize].life(),
            timeout: Duration::from_millis(timeout),
            life,
            peer,
        };
        match self.dice.below(100) {
            0..32 => self.read(&aim).await,
            32..62 => self.write(&aim).await,
            62..72 => self.list(&aim, Direction::Read).await,
            72..80 => self.list(&aim, Direction::Write).await,
            80..88 => self.send(&aim).await,
            88..97 => self.receive(&aim).await,
            97..99 => drop(self.ask(&aim, "ping", Request::Ping).await),
            _ => drop(self.ask(&aim, "describe", Request::Describe).await),
        }
    }

    fn ticket(&self, aim: &Aim, name: &'static str) -> (Arc<Ends>, Ticket) {
        let ends = self.ledger.begin(name);
        let sink: Arc<dyn CompletionSink> = Arc::clone(&ends) as _;
        (ends, Ticket::new(aim.peer.issuer(sink), 0, name))
    }

    /// The end, which a cancel may bring about.
    async fn ended(&self, aim: &Aim, ends: &Arc<Ends>) -> Result<Done, Error> {
        if self.dice.percent(15) {
            let patience = self.dice.millis(aim.timeout.as_millis() as u64);
            let (peer, sink) = (Arc::clone(&aim.peer), Arc::clone(ends) as Arc<dyn CompletionSink>);
            tokio::spawn(async move {
                sleep(patience).await;
                peer.cancel(&OperationKey::new(sink, 0));
            });
        }
        let never = || Err(Error::new(ErrorKind::Internal));
        self.ledger.end(ends, aim.timeout).await.unwrap_or_else(never)
    }

    async fn ask(&self, aim: &Aim, name: &'static str, request: Request) -> (u64, Result<Done, Error>) {
        let (ends, ticket) = self.ticket(aim, name);
        aim.peer.submit(Operation {
            ticket,
            request,
            timeout: Some(aim.timeout),
        });
        (ends.id, self.ended(aim, &ends).await)
    }

    fn length(&self, place: &Place) -> usize {
        if place.len == SLOT {
            return self.dice.below(SLOT as u64 + 1) as usize;
        }
        LARGE_SLOT - self.dice.below(1 << 19) as usize
    }

    fn place(&self, aim: &Aim) -> Option<Place> {
        aim.theirs.served(self.dice.percent(8)).place(&self.dice)
    }

    /// Leaves memory that an operation has ended with to nobody.
    fn leave(&self, id: u64, memory: Arc<Memory>) {
        let left = vec![LEFT; memory.len()];
        let _ = memory.copy_in(0, &left);
        self.ledger.quiet(
            format!("the memory of operation {id} was touched after its end"),
            move || {
                let mut bytes = vec![0; memory.len()];
                memory.copy_out(0, &mut bytes).is_ok() && bytes == left
            },
        );
    }

    /// What was written from is overwritten: nobody may send it any more.
    fn poison(memory: &Memory) {
        let _ = memory.copy_in(0, &vec![POISON; memory.len()]);
    }

    /// A private copy of an operation's bytes, on the peer's account.
    fn staged(&self, aim: &Aim, id: u64, len: usize) -> Option<Arc<Memory>> {
        let memory = aim.peer.stage(len).ok()?;
        memory.copy_in(0, &bytes_of(id, len)).ok()?;
        Some(memory)
    }

    async fn read(&self, aim: &Aim) {
        let Some(place) = self.place(aim) else { return };
        let Ok(memory) = Memory::private(self.length(&place)) else {
            return;
        };
        let into = Span::whole(Arc::clone(&memory));
        let addr = place.served.region.address() + place.at as u64;
        let (id, result) = self.ask(aim, "read", Request::Read { addr, into }).await;
        if result.is_ok() {
            let mut bytes = vec![0; memory.len()];
            let _ = memory.copy_out(0, &mut bytes);
            place.was_read(id, &bytes, &self.ledger);
        }
        self.leave(id, memory);
    }

    async fn write(&self, aim: &Aim) {
        let Some(place) = self.place(aim) else { return };
        let (ends, ticket) = self.ticket(aim, "write");
        let len = self.length(&place);
        let Some(memory) = self.staged(aim, ends.id, len) else {
            return;
        };
        let requests = if len > 1 << 20 { len.div_ceil(1 << 20) } else { 1 };
        aim.peer.submit(Operation {
            ticket,
            request: Request::Write {
                addr: place.served.region.address() + place.at as u64,
                from: Span::whole(Arc::clone(&memory)),
            },
            timeout: Some(aim.timeout),
        });
        let result = self.ended(aim, &ends).await;
        self.wrote(&place, ends.id, len, requests, &result);
        Self::poison(&memory);
    }

    fn wrote(&self, place: &Place, id: u64, len: usize, requests: usize, result: &Result<Done, Error>) {
        let is_unknown = matches!(result, Err(error) if error.is_outcome_unknown());
        if result.is_ok() || is_unknown {
            place.served.applied.fetch_add(requests as u64, Ordering::Relaxed);
            place.was_written(id, len, result.is_ok(), &self.ledger);
        } else {
            place.was_not_written(id, &self.ledger);
        }
    }

    /// Entries of one place, side by side.
    async fn list(&self, aim: &Aim, direction: Direction) {
        let Some(place) = aim.theirs.served(false).place(&self.dice) else {
            return;
        };
        let name = if direction == Direction::Read {
            "read list"
        } else {
            "write list"
        };
        let (ends, ticket) = self.ticket(aim, name);
        let entries = 1 + self.dice.below(70) as usize;
        let each = self.dice.below((SLOT / entries) as u64 + 1) as usize;
        let len = entries * each;
        let memory = match direction {
            Direction::Read => Memory::private(len).ok(),
            Direction::Write => self.staged(aim, ends.id, len),
        };
        let Some(memory) = memory else { return };
        let mut list = List::for_entries(entries);
        for entry in 0..entries {
            let addr = place.served.region.address() + (place.at + entry * each) as u64;
            let fits = list.push(addr, &memory, entry * each, each);
            self.ledger
                .expect(fits, || format!("entry {entry} of {name} {}", ends.id));
        }
        aim.peer.submit_list(ticket, direction, list, Some(aim.timeout));
        let result = self.ended(aim, &ends).await;
        if direction == Direction::Write {
            self.wrote(&place, ends.id, len, entries, &result);
            return Self::poison(&memory);
        }
        if result.is_ok() {
            let mut bytes = vec![0; len];
            let _ = memory.copy_out(0, &mut bytes);
            place.was_read(ends.id, &bytes, &self.ledger);
        }
        self.leave(ends.id, memory);
    }

    async fn send(&self, aim: &Aim) {
        let (ends, ticket) = self.ticket(aim, "send");
        let len = self.dice.below(2000) as usize;
        let Some(memory) = self.staged(aim, ends.id, len) else {
            return;
        };
        aim.peer.submit(Operation {
            ticket,
            request: Request::Send {
                tag: ends.id,
                from: Span::whole(Arc::clone(&memory)),
            },
            timeout: Some(aim.timeout),
        });
        let result = self.ended(aim, &ends).await;
        self.ledger.sent(ends.id, &result);
        Self::poison(&memory);
    }

    /// A receive of our own; who takes it back too late waits for its message.
    async fn receive(&self, aim: &Aim) {
        let Ok(memory) = Memory::private(2000) else { return };
        let ends = self.ledger.begin("receive");
        let sink: Arc<dyn CompletionSink> = Arc::clone(&ends) as _;
        let ticket = Ticket::new(Issuer::local(Arc::clone(&sink)), 0, "recv");
        let endpoint = &aim.life.endpoint;
        endpoint.recv(Span::whole(Arc::clone(&memory)), Wanted::default(), ticket);
        let (canceller, key) = (Arc::clone(endpoint), OperationKey::new(sink, 0));
        let patience = aim.timeout;
        let cancelling = tokio::spawn(async move {
            loop {
                sleep(patience).await;
                // False while a message comes in: that may be cut off, and then it is posted again.
                if canceller.cancel_recv(&key) {
                    return;
                }
            }
        });
        let most = patience + Duration::from_secs(5);
        let result = self.ledger.end(&ends, most).await;
        cancelling.abort();
        if let Some(Ok(Done::Message(message))) = result {
            let mut bytes = vec![0; message.bytes as usize];
            let _ = memory.copy_out(0, &mut bytes);
            let is_right = message.bytes == message.message_bytes && bytes == bytes_of(message.tag, bytes.len());
            self.ledger.expect(is_right, || {
                format!("the message of send {} came as another", message.tag)
            });
            self.ledger.received(message.tag);
        }
        self.leave(ends.id, memory);
    }
}
