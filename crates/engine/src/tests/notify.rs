//! Writes that a message follows, given up in every moment; the peer's answers are in our hands, and time is virtual.

use super::{support::*, wired::*};
use crate::{
    context::Context,
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    io::pipe::{Behaviour, Pipe, pipe},
    lane::{Dialler, LaneParts},
    network::{self, Destination, Network},
    op::{Completion, CompletionSink, Done, Operation, OperationKey, Request, Ticket, channel},
    peer::Peer,
    region::{memory::Memory, span::Span},
};
use memlane_wire::{Mode, Opcode, Status, StatusFrame};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

const TAG: u64 = 77;

/// Hands over the far end of whatever is dialled.
#[derive(Debug)]
struct Hands(UnboundedSender<Pipe>);

impl Network for Hands {
    fn start(self: Arc<Self>, lane: LaneParts, _to: Destination, thread: &Handle) -> JoinHandle<()> {
        let dialler: Dialler<Pipe> = Box::new(move || {
            let (near, far) = pipe(Behaviour::default(), Behaviour::default());
            let heard = self.0.send(far);
            Box::pin(async { heard.map(|()| near).map_err(|_| Error::new(ErrorKind::Connect)) })
        });
        network::start(lane, dialler, thread)
    }
}

/// Two peers of one endpoint, and the lane of their messages, which is up.
struct Rig {
    peer: Arc<Peer>,
    other: Arc<Peer>,
    _endpoint: Endpoint,
    dialled: UnboundedReceiver<Pipe>,
    messages: Far,
    /// How many messages that lane has carried.
    carried: u32,
}

/// A write that is told of.
struct Notified {
    ended: channel::Ended,
    key: OperationKey,
}

impl Rig {
    async fn new() -> Self {
        let (sender, mut dialled) = unbounded_channel();
        let context = Context::over(Arc::new(Hands(sender)), Handle::current(), Default::default()).unwrap();
        let endpoint = Endpoint::new(context).unwrap();
        let peer = endpoint.connect("target", 7400, Mode::Native).unwrap();
        let other = endpoint.connect("target", 7400, Mode::Native).unwrap();
        let first = message(&other, 1);
        let messages = Far(dialled.recv().await.unwrap());
        messages.greet().await;
        let mut rig = Self {
            peer,
            other,
            _endpoint: endpoint,
            dialled,
            messages,
            carried: 0,
        };
        assert_eq!(rig.carry(Status::Ok).await, 1);
        assert_eq!(first.ended.wait().await.unwrap(), Done::Bytes(1));
        rig
    }

    fn write(&self, timeout: Option<Duration>) -> Notified {
        let (sink, ended) = channel::once();
        let ticket = Ticket::new(self.peer.issuer(Arc::clone(&sink)), 0, "write");
        let from = Span::copied(&[9; 8]).unwrap();
        self.peer.write_and_notify(ticket, 4096, from, TAG, timeout);
        let key = OperationKey::new(sink, 0);
        Notified { ended, key }
    }

    /// The far end of the lane of what is no message.
    async fn first_lane(&mut self) -> Far {
        let far = Far(self.dialled.recv().await.unwrap());
        far.greet().await;
        far
    }

    /// Takes the next message and answers it; its tag.
    async fn carry(&mut self, status: Status) -> u64 {
        let header = self.messages.request().await;
        assert_eq!(header.opcode(), Some(Opcode::Send));
        self.messages.hear(header.size as usize).await;
        self.messages
            .say(&StatusFrame::new(self.carried, status).encode())
            .await;
        self.carried += 1;
        header.addr
    }

    /// Whatever is sent from now on is the first message since.
    async fn nothing_was_sent(&mut self) {
        everybody_rests().await;
        let next = message(&self.other, 2);
        assert_eq!(
            self.carry(Status::Ok).await,
            2,
            "a message of an operation that has ended"
        );
        assert_eq!(next.ended.wait().await.unwrap(), Done::Bytes(1));
    }

    /// Starts a read and behind it a notified write, whose answers come together: what `act` does when the end of the read is
    /// told is done when the write is answered already, and what has that answer has not looked at it.
    async fn between(&mut self, act: impl FnOnce(&Arc<Peer>, &OperationKey) + Send + 'static) -> Notified {
        let (told, _) = channel::once();
        let moment = Arc::new(Moment {
            act: Mutex::new(None),
            told,
        });
        let into = Span::whole(Memory::private(8).unwrap());
        self.other.submit(Operation {
            ticket: Ticket::new(self.other.issuer(Arc::clone(&moment) as _), 0, "read"),
            request: Request::Read { addr: 1, into },
            timeout: None,
        });
        let written = self.write(None);
        let (peer, key) = (Arc::clone(&self.peer), written.key.clone());
        *moment.act.lock() = Some(Box::new(move || act(&peer, &key)));
        let far = self.first_lane().await;
        assert_eq!(far.request().await.opcode(), Some(Opcode::Read));
        write_comes_in(&far).await;
        let mut answers = StatusFrame::new(0, Status::Ok).encode().to_vec();
        answers.extend([0; 8]);
        answers.extend(StatusFrame::new(1, Status::Ok).encode());
        far.say(&answers).await;
        everybody_rests().await;
        assert!(moment.act.lock().is_none());
        written
    }
}

async fn write_comes_in(far: &Far) {
    let header = far.request().await;
    assert_eq!(header.opcode(), Some(Opcode::Write));
    far.hear(header.size as usize).await;
}

fn message(peer: &Peer, tag: u64) -> Started {
    let from = Span::copied(b"x").unwrap();
    start(peer, "send", Request::Send { tag, from }, None)
}

/// Does something in the moment of an end, as another thread might.
struct Moment {
    act: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    told: Arc<dyn CompletionSink>,
}

impl CompletionSink for Moment {
    fn complete(&self, completion: Completion) -> bool {
        if let Some(act) = self.act.lock().take() {
            act();
        }
        self.told.complete(completion)
    }
}

/// It has ended by now, with this; what it changed is not said to be nothing.
async fn has_ended(written: Notified, kind: ErrorKind) {
    let end = tokio::time::timeout(Duration::ZERO, written.ended.wait()).await;
    let error = end.expect("it has ended").unwrap_err();
    assert_eq!((error.kind(), error.is_outcome_unknown()), (kind, true), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_between_a_write_and_its_message_ends_both() {
    let mut rig = Rig::new().await;
    let written = rig.between(|peer, key| peer.cancel(key)).await;
    has_ended(written, ErrorKind::Aborted).await;
    rig.nothing_was_sent().await;
}

#[tokio::test(start_paused = true)]
async fn closing_a_peer_between_a_write_and_its_message_ends_both_before_the_close_does() {
    let mut rig = Rig::new().await;
    let (ticket, _, closed) = channel::ticket("close");
    let written = rig.between(move |peer, _| peer.close(ticket)).await;
    closed.wait().await.unwrap();
    has_ended(written, ErrorKind::Closed).await;
    rig.nothing_was_sent().await;
}

#[tokio::test(start_paused = true)]
async fn no_message_follows_a_write_that_is_answered_when_its_time_is_over() {
    let mut rig = Rig::new().await;
    let time = Duration::from_secs(1);
    let written = rig.write(Some(time));
    let far = rig.first_lane().await;
    write_comes_in(&far).await;
    far.say(&StatusFrame::new(0, Status::Ok).encode()).await;
    // The answer is there, and nobody has looked at it.
    tokio::time::advance(time).await;
    everybody_rests().await;
    has_ended(written, ErrorKind::Timeout).await;
    rig.nothing_was_sent().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_before_the_answer_of_the_write_or_behind_its_message_ends_both_too() {
    let mut rig = Rig::new().await;
    let early = rig.write(None);
    let far = rig.first_lane().await;
    write_comes_in(&far).await;
    rig.peer.cancel(&early.key);
    everybody_rests().await;
    has_ended(early, ErrorKind::Aborted).await;
    far.say(&StatusFrame::new(0, Status::Ok).encode()).await;
    rig.nothing_was_sent().await;
    let late = rig.write(None);
    write_comes_in(&far).await;
    far.say(&StatusFrame::new(1, Status::Ok).encode()).await;
    let header = rig.messages.request().await;
    assert_eq!((header.opcode(), header.addr), (Some(Opcode::Send), TAG));
    rig.peer.cancel(&late.key);
    everybody_rests().await;
    has_ended(late, ErrorKind::Aborted).await;
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_behind_an_applied_write_says_that_something_may_have_been_done() {
    let mut rig = Rig::new().await;
    let dropped = rig.write(None);
    let far = rig.first_lane().await;
    write_comes_in(&far).await;
    far.say(&StatusFrame::new(0, Status::Ok).encode()).await;
    assert_eq!(rig.carry(Status::NoReceive).await, TAG);
    everybody_rests().await;
    has_ended(dropped, ErrorKind::NoReceive).await;
    // The next one's finds nobody.
    rig.messages = Far(pipe(Behaviour::default(), Behaviour::default()).0);
    rig.dialled.close();
    everybody_rests().await;
    let unsent = rig.write(None);
    write_comes_in(&far).await;
    far.say(&StatusFrame::new(1, Status::Ok).encode()).await;
    everybody_rests().await;
    has_ended(unsent, ErrorKind::Connect).await;
}
