//! One connection that we dialled: operations in, requests out, answers back, each operation ended exactly once.
//!
//! A lane is one task, polled like a session: it takes commands, writes requests as far as the socket takes them, reads
//! answers meanwhile, and sleeps when nothing moves. `queue` and `bulk` hold what is not on the wire yet, `inflight` what is;
//! `write` and `read` are the two directions, `giving_up` is every way to end early.

pub(crate) mod bulk;
mod clock;
pub(crate) mod giving_up;
mod greeting;
pub(crate) mod inflight;
pub(crate) mod mates;
pub(crate) mod queue;
mod read;
mod redial;
pub(crate) mod train;
mod window;
mod write;

use crate::{
    auth::Security,
    backoff::{Attempt, Backoff, Turn},
    config::Limits,
    error::{Error, ErrorKind},
    events::Parting,
    io::{RecvBuffer, SendQueue, Timer, Transport, share},
    mailbox::Mailbox,
    op::{Instance, Operation, OperationKey, Remote, Telling},
    roster::{Attendance, Destined},
    stats::Stats,
};
use bulk::Membership;
use giving_up::GiveUp;
use inflight::InFlight;
use memlane_wire::{Mode, Preface};
use queue::{Piece, Queue, Tiny};
use read::Incoming;
use std::{
    collections::{HashSet, VecDeque},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{sync::oneshot, time::Instant};
use tracing::debug;
use window::Window;
use write::Departure;

/// What a lane is told.
#[derive(Debug)]
pub(crate) enum Command {
    Submit(Operation),
    /// Requests of an operation of several parts.
    Parts(Vec<Tiny>),
    /// There are large operations to take pieces of, up to the one of this number.
    Work(u64),
    Cancel(OperationKey),
    /// A part of an operation has failed: end its other parts.
    Abandon,
    /// A peer is closed here: end its operations, then let go of the sender.
    Forget(Remote, oneshot::Sender<()>),
    /// A local region is being closed and its fence waits: end what still moves its bytes.
    Revoke,
    Close,
}

impl Command {
    /// Ends what it asks for: no lane will look at it.
    pub(crate) fn fail(self, error: &Error) {
        match self {
            Self::Submit(operation) => operation.ticket.complete(Err(error.clone())),
            Self::Parts(parts) => parts.into_iter().for_each(|part| part.fail(error.clone())),
            _ => {}
        }
    }
}

/// A connection in the making.
pub(crate) type Dial<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// Makes a connection each time that it is called.
pub(crate) type Dialler<T> = Box<dyn FnMut() -> Dial<T> + Send>;

/// What a lane is made of beside its connection.
pub(crate) struct LaneParts {
    pub(crate) commands: Arc<Mailbox<Command>>,
    pub(crate) mode: Mode,
    /// What we say first on the native wire; its nonce is made anew for each connection.
    pub(crate) preface: Preface,
    pub(crate) security: Arc<Security>,
    /// For a lane that carries large operations.
    pub(crate) bulk: Option<Membership>,
    /// Until it is time to dial.
    pub(crate) turn: Turn,
    /// What it shares with the other lanes of its link: when to dial again.
    pub(crate) backoff: Arc<Backoff>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) stats: Arc<Stats>,
    /// Whom it goes to, and who wants to know when that is there.
    pub(crate) destined: Destined,
}

enum Link<T> {
    Dialling(Dial<T>),
    Up(T),
}

/// One dialled connection, to be spawned. It ends when the connection does and nothing is left that may go by another one;
/// all its operations have ended then.
pub(crate) struct Lane<T: Transport> {
    commands: Arc<Mailbox<Command>>,
    taken: Vec<Command>,
    link: Link<T>,
    dialler: Dialler<T>,
    backoff: Arc<Backoff>,
    /// Until it is time to dial: the last dial of the link may have failed.
    turn: Option<Turn>,
    /// From then on, until it is known whether the peer answers.
    attempt: Option<Attempt>,
    mode: Mode,
    preface: Preface,
    security: Arc<Security>,
    /// What the peer's preface said it is.
    instance: Option<Instance>,
    limits: Arc<Limits>,
    stats: Arc<Stats>,
    destined: Destined,
    /// Once the peer has answered.
    attendance: Option<Attendance>,
    queue: Queue,
    bulk: Option<Membership>,
    tiny_run: u32,
    /// Whether a small operation was issued since that was last looked at.
    has_small: bool,
    bulk_turn: bool,
    inflight: InFlight,
    window: Window,
    /// Requests that end when they have left: refused ones whose body is still being sent, and on the legacy wire all
    /// but READ.
    departures: VecDeque<Departure>,
    rx: RecvBuffer,
    tx: SendQueue,
    incoming: Incoming,
    /// Whole answers may lie in `rx`.
    has_more: bool,
    /// Sending failed; what the peer said before that is still read.
    send_error: Option<Error>,
    /// What ended the connection before, while another one is being made for what is left.
    lost: Option<Error>,
    began: Instant,
    moved: Instant,
    /// No deadline of an operation is earlier than this.
    earliest: Option<Instant>,
    timer: Timer,
}

/// Why a lane ends: with an error for what it still holds, or quietly because it held nothing.
#[derive(Debug)]
enum End {
    Failed(Error),
    Idle,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<T: Transport> Lane<T> {
    pub(crate) fn new(parts: LaneParts, mut dialler: Dialler<T>) -> Self {
        let LaneParts {
            commands,
            mode,
            preface,
            security,
            bulk,
            turn,
            backoff,
            limits,
            stats,
            destined,
        } = parts;
        debug!(peer = %destined.address, "dialling");
        let now = Instant::now();
        Self {
            commands,
            taken: Vec::new(),
            link: Link::Dialling(dialler()),
            dialler,
            turn: Some(turn),
            backoff,
            attempt: None,
            mode,
            preface,
            security,
            instance: None,
            limits,
            stats,
            destined,
            attendance: None,
            queue: Queue::default(),
            bulk,
            tiny_run: 0,
            has_small: false,
            bulk_turn: false,
            inflight: InFlight::default(),
            window: Window::default(),
            departures: VecDeque::new(),
            rx: RecvBuffer::default(),
            tx: SendQueue::default(),
            incoming: Incoming::first(mode),
            has_more: false,
            send_error: None,
            lost: None,
            began: now,
            moved: now,
            earliest: None,
            timer: Timer::new(now),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let mut total = 0;
        loop {
            let _telling = Telling::begin();
            self.take_commands()?;
            if !self.poll_link(cx)? {
                break;
            }
            self.issue();
            if std::mem::take(&mut self.has_small) {
                share::note_small();
            }
            let moved = self.send(cx)? + self.receive(cx)?;
            self.settle_departures();
            if moved == 0 {
                break;
            }
            total += moved;
            if total >= share::turn_bytes() {
                share::end_turn(cx);
                break;
            }
        }
        if total > 0 {
            self.moved = Instant::now();
        }
        if !self.commands.sleep(cx) {
            cx.waker().wake_by_ref();
        }
        self.keep_time(cx)
    }

    /// Whether the connection stands; dials on otherwise.
    fn poll_link(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let Link::Dialling(dial) = &mut self.link else {
            return Ok(true);
        };
        if let Some(turn) = &mut self.turn {
            let Poll::Ready(attempt) = turn.as_mut().poll(cx) else {
                return Ok(false);
            };
            self.turn = None;
            self.attempt = Some(attempt?);
            self.began = Instant::now();
            self.stats.lanes_dialled.add(1);
        }
        let Poll::Ready(io) = dial.as_mut().poll(cx) else {
            return Ok(false);
        };
        self.link = Link::Up(io?);
        self.moved = Instant::now();
        self.began = self.moved;
        match self.mode {
            Mode::Native => self.introduce()?,
            Mode::Legacy if !self.security.takes_legacy() => return Err(greeting::without_proof(&self.security).into()),
            Mode::Legacy => self.greet(None),
        }
        Ok(true)
    }

    /// The peer is there, and nobody has to wait before it is dialled again.
    fn greet(&mut self, instance: Option<[u8; 16]>) {
        if let Some(attempt) = self.attempt.take() {
            attempt.succeeded();
        }
        self.lost = None;
        debug!(peer = %self.destined.address, wire = ?self.mode, "lane open");
        self.attendance = Some(self.destined.arrived(self.mode, instance));
    }

    /// Says why it ends: to those who watch, unless a reason is known already, and to the log.
    fn part(&mut self, error: Option<&Error>) {
        let peer = &self.destined.address;
        let Some(attendance) = &mut self.attendance else {
            return debug!(%peer, error = error.map(tracing::field::display), "not connected");
        };
        let why = attendance.part(error.map_or(Parting::Evicted, |error| error.kind().into()));
        debug!(%peer, reason = why.name(), error = error.map(tracing::field::display), "lane ended");
    }

    fn take_commands(&mut self) -> Result<(), End> {
        let mut commands = std::mem::take(&mut self.taken);
        let mut result = Ok(());
        if self.commands.take(&mut commands) {
            let now = Instant::now();
            let mut untouched = commands.drain(..);
            let mut cancels = HashSet::new();
            let mut has_failed_parts = false;
            while result.is_ok()
                && let Some(command) = untouched.next()
            {
                // Cancels that come together are looked for together; before anything else is done, because a caller
                // may use the number of an operation that has ended for its next one.
                if !cancels.is_empty() && !matches!(command, Command::Cancel(_)) {
                    result = self.give_up(&GiveUp::Cancelled(&std::mem::take(&mut cancels)));
                    if result.is_err() {
                        self.taken = std::iter::once(command).chain(untouched).collect();
                        return result;
                    }
                }
                result = match command {
                    Command::Submit(operation) => {
                        self.accept(Piece::whole(operation, now));
                        Ok(())
                    }
                    Command::Parts(parts) => {
                        parts.into_iter().for_each(|part| self.accept_part(part));
                        Ok(())
                    }
                    Command::Work(number) => {
                        if let Some(bulk) = &mut self.bulk {
                            bulk.told(number);
                            let earliest = bulk.queue().earliest_deadline();
                            self.note_deadline(earliest);
                        }
                        Ok(())
                    }
                    // The sender goes with this arm, which is what its receiver waits for.
                    Command::Forget(remote, _done) => self.give_up(&GiveUp::Closed(&remote)),
                    Command::Cancel(key) => {
                        cancels.insert(key);
                        Ok(())
                    }
                    Command::Abandon => {
                        has_failed_parts = true;
                        Ok(())
                    }
                    Command::Revoke => self.give_up(&GiveUp::Revoked),
                    Command::Close => Err(Error::new(ErrorKind::Closed).into()),
                };
            }
            if result.is_ok() && !cancels.is_empty() {
                result = self.give_up(&GiveUp::Cancelled(&cancels));
            }
            if result.is_ok() && has_failed_parts {
                result = self.give_up(&GiveUp::Abandoned);
            }
            if result.is_err() {
                self.taken = untouched.collect();
                return result;
            }
        }
        self.taken = commands;
        result
    }

    fn accept(&mut self, piece: Piece) {
        self.note_deadline(piece.deadline);
        self.queue.push(piece);
    }

    fn accept_part(&mut self, part: Tiny) {
        match part {
            Tiny::Piece(piece) => self.accept(piece),
            // No frame on the legacy wire says that an entry is applied.
            Tiny::Train(train) if self.mode == Mode::Legacy => train.pieces().for_each(|piece| self.accept(piece)),
            Tiny::Train(train) => {
                self.note_deadline(train.deadline());
                self.queue.push_train(train);
            }
        }
    }

    fn note_deadline(&mut self, deadline: Option<Instant>) {
        self.earliest = [self.earliest, deadline].into_iter().flatten().min();
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.bulk.as_ref().is_none_or(|bulk| bulk.queue().is_empty())
            && self.inflight.is_empty()
            && self.departures.is_empty()
            && self.incoming.is_quiet()
    }
}

impl<T: Transport> Future for Lane<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let lane = self.get_mut();
        match lane.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(End::Idle) => {
                lane.part(None);
                Poll::Ready(())
            }
            Err(End::Failed(error)) if lane.dial_again(&error) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(End::Failed(error)) => {
                lane.part(Some(&error));
                // Nobody is woken before the mailbox is closed: what they ask for next would end here too, by an error that
                // is not its own.
                let _telling = Telling::begin();
                lane.fail_all(&error);
                Poll::Ready(())
            }
        }
    }
}

impl<T: Transport> Drop for Lane<T> {
    /// Ends what is left when the task is dropped before its end: the runtime stops, or it panicked.
    fn drop(&mut self) {
        self.fail_all(&Error::new(ErrorKind::Closed));
    }
}
