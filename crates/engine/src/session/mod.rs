//! One accepted connection: bytes in, decisions, bytes out.
//!
//! A session is one task that is polled, not a chain of awaits: it reads, decides and writes as far as each goes, and
//! sleeps when none of them can. `input` takes requests and bodies from what was received, `clock` says when patience
//! ends.

mod clock;
mod greeting;
pub(crate) mod handler;
mod input;
mod message;

use crate::{
    auth::Prefaces,
    events::Parting,
    io::{RecvBuffer, SendQueue, Timer, Transport, share},
    mailbox::Mailbox,
    op::{Instance, Telling},
    recv::{Event, MessageKey, Posted, Sender},
    region::{Held, span::Span},
    roster::Attendance,
    target::{Admission, Target},
};
use memlane_wire::{Header, Mode, Status, StatusFrame};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::Instant;
use tracing::debug;

/// One accepted connection, to be spawned; ends when the connection does.
pub(crate) struct Session<T: Transport> {
    io: T,
    target: Arc<Target>,
    /// Before the admission: whoever waits for the last session has heard that it ended.
    attendance: Option<Attendance>,
    admission: Admission,
    from: Arc<str>,
    /// What the peer's preface says it is; the legacy wire has none.
    instance: Option<Instance>,
    /// Why it ends, once that is known.
    parting: Option<Parting>,
    mode: Mode,
    phase: Phase,
    rx: RecvBuffer,
    tx: SendQueue,
    /// While requests are gone through, and no longer; and always the token that the peer came with.
    held: Held,
    sequence: u32,
    /// Whether a small read or write came since that was last looked at.
    has_small: bool,
    /// The next request waits until answers before it are out.
    waits: bool,
    /// The peer has sent its last byte.
    ended: bool,
    /// The endpoint closes: when this connection is cut, whatever it is doing.
    cut: Option<Instant>,
    /// Sequence and deadline of the messages that wait for a receive, oldest first.
    kept: VecDeque<(u32, Instant)>,
    events: Vec<Event>,
    clock: clock::Clock,
    timer: Timer,
}

/// What the next received byte is.
enum Phase {
    /// Of a preface or of a legacy header: not known yet.
    Sniff,
    Preface,
    /// Of the proof that the peer knows the token which its preface names.
    Proof {
        hint: u32,
        prefaces: Box<Prefaces>,
    },
    Header,
    /// Of a WRITE's body.
    Store {
        into: Span,
        at: usize,
        sequence: u32,
    },
    /// Of a body that nobody wants.
    Drain {
        left: u64,
    },
    /// Of a message's body; `into` holds what fits of it.
    Message {
        into: Span,
        at: usize,
        header: Header,
        sequence: u32,
        fate: Fate,
    },
    /// Of the body of a message that finds no place yet: it stays in the socket.
    Parked {
        key: MessageKey,
        header: Header,
        sequence: u32,
    },
    /// Of no interest: answers are flushed, then the end of the stream is sent, each within the drain time.
    Closing {
        since: Instant,
        farewell_sent: bool,
    },
}

/// Where a message goes once it is complete.
enum Fate {
    Receive(Posted),
    /// Within the time that it may take up room, its receive's included.
    Keep(MessageKey, Instant),
}

/// Why a session ends; each is counted where it is found.
#[derive(Debug)]
struct End(Parting);

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self(Parting::Reset)
    }
}

impl<T: Transport> Session<T> {
    pub(crate) fn new(io: T, target: Arc<Target>, admission: Admission, from: Arc<str>) -> Self {
        let now = Instant::now();
        Self {
            io,
            attendance: None,
            admission,
            from,
            instance: None,
            parting: None,
            mode: Mode::Native,
            phase: Phase::Sniff,
            rx: RecvBuffer::default(),
            tx: SendQueue::default(),
            held: Held::default(),
            sequence: 0,
            has_small: false,
            waits: false,
            ended: false,
            cut: None,
            kept: VecDeque::new(),
            events: Vec::new(),
            clock: clock::Clock::start(now),
            timer: Timer::new(now),
            target,
        }
    }

    /// Goes on until nothing can: `Pending` to sleep, an end to end.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        let mut moved = 0;
        loop {
            let _telling = Telling::begin();
            self.handle_events()?;
            self.handle_input()?;
            if std::mem::take(&mut self.has_small) {
                share::note_small();
            }
            let before = moved;
            moved += self.send(cx)?;
            moved += self.receive(cx)?;
            self.finish_if_done()?;
            if moved == before {
                break;
            }
            if moved >= share::turn_bytes() {
                self.clock.note(true);
                // Deadlines hold for who never pauses, too.
                self.keep_time(cx)?;
                share::end_turn(cx);
                return Ok(Poll::Pending);
            }
        }
        self.clock.note(moved > 0);
        if !self.admission.mailbox.sleep(cx) {
            cx.waker().wake_by_ref();
        }
        self.keep_time(cx)?;
        Ok(Poll::Pending)
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Result<usize, End> {
        let mut moved = 0;
        while self.tx.pending() > 0 && moved < share::turn_bytes() {
            match self.tx.poll_send(&self.io, cx) {
                Poll::Ready(Ok(count)) => moved += count,
                Poll::Ready(Err(error)) => {
                    // Its status has gone out, so that the stream has no other way to say it than its end.
                    if self.tx.has_lost(&error) {
                        self.target.stats.reject(Status::OutOfRange);
                    }
                    return Err(End(Parting::Local));
                }
                Poll::Pending => break,
            }
        }
        Ok(moved)
    }

    /// Receives once, if the next bytes have a place: a body straight into its memory, all else into the buffer.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<usize, End> {
        if self.ended || matches!(self.phase, Phase::Parked { .. }) || self.rx_waits() {
            return Ok(0);
        }
        let straight = match &self.phase {
            Phase::Store { into, at, .. } | Phase::Message { into, at, .. }
                if self.rx.len() == 0 && !(self.io.copies() && into.is_file()) =>
            {
                Some((into, *at))
            }
            _ => None,
        };
        if let Some((into, at)) = straight {
            let before = self.rx.len();
            let Poll::Ready(stored) = self.rx.poll_fill_span(into, at, &self.io, cx) else {
                return Ok(0);
            };
            if let Err(error) = &stored
                && into.is_lost(error)
            {
                self.lose_store();
                self.lose_message();
                return self.receive(cx);
            }
            let Some(stored) = stored? else {
                return self.end_of_stream();
            };
            if let Phase::Store { at, .. } | Phase::Message { at, .. } = &mut self.phase {
                *at += stored;
            }
            return Ok(stored + self.rx.len() - before);
        }
        match self.rx.poll_fill(&self.io, cx) {
            Poll::Ready(Ok(0)) => self.end_of_stream(),
            Poll::Ready(Ok(count)) => Ok(count),
            Poll::Ready(Err(error)) => self.lose_trust(error),
            Poll::Pending => Ok(0),
        }
    }

    /// Whether requests wait in the buffer because the answers before them are not out yet.
    fn rx_waits(&self) -> bool {
        (self.tx.is_full() || self.waits) && matches!(self.phase, Phase::Header)
    }

    /// The peer has sent its last byte. The whole requests before it are still answered; a body that was cut off is not.
    fn end_of_stream(&mut self) -> Result<usize, End> {
        self.ended = true;
        match self.phase {
            Phase::Sniff | Phase::Preface => return Err(End(Parting::Closed)),
            Phase::Proof { .. } => {
                if self.rx.len() > 0 {
                    self.target.stats.auth_failures.add(1);
                }
                return Err(End(Parting::Closed));
            }
            Phase::Header | Phase::Closing { .. } => {}
            _ => self.leave_phase(Phase::Header),
        }
        Ok(0)
    }

    /// Ends the session once nothing is left to answer.
    fn finish_if_done(&mut self) -> Result<(), End> {
        if self.tx.pending() > 0 {
            return Ok(());
        }
        match &mut self.phase {
            Phase::Closing { since, farewell_sent } => {
                if self.ended {
                    return Err(End(Parting::Closed));
                }
                if !*farewell_sent {
                    (*since, *farewell_sent) = (Instant::now(), true);
                    self.io.shutdown_write();
                }
                Ok(())
            }
            Phase::Header if self.ended && self.rx.len() < Header::LEN => {
                if self.kept.is_empty() || self.mode == Mode::Legacy {
                    Err(End(Parting::Closed))
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    fn handle_events(&mut self) -> Result<(), End> {
        let mut events = std::mem::take(&mut self.events);
        if self.admission.mailbox.take(&mut events) {
            let mut unhandled = events.drain(..);
            while let Some(event) = unhandled.next() {
                if let Err(end) = self.handle_event(event) {
                    // Kept for the end, which gives back the receives that were granted.
                    self.events = unhandled.collect();
                    return Err(end);
                }
            }
            drop(unhandled);
        }
        self.events = events;
        Ok(())
    }

    fn handle_event(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Close(by) => {
                self.parting.get_or_insert(Parting::Local);
                self.cut = Some(by);
            }
            Event::Revoke => {
                let revoked = match &self.phase {
                    Phase::Store { into, .. } | Phase::Message { into, .. } => into.is_revoked(),
                    _ => false,
                };
                if revoked || self.tx.has_revoked_body() {
                    return Err(End(Parting::Fence));
                }
            }
            Event::Grant(key, posted) => self.granted(key, posted),
            Event::Keep(key) => self.keep_parked(key),
            Event::Answer { sequence, status } => {
                self.kept.retain(|&(kept, _)| kept != sequence);
                self.answer(sequence, status);
                // The legacy wire has one way to say that a message found no receive.
                if self.mode == Mode::Legacy && status == Status::NoReceive {
                    self.close_after_answers(Parting::Refused);
                }
            }
        }
        Ok(())
    }

    /// Queues a status frame; the legacy wire has none.
    fn answer(&mut self, sequence: u32, status: Status) {
        if self.mode == Mode::Native {
            self.tx.push(&StatusFrame::new(sequence, status).encode());
        }
    }

    /// Whether a body is coming in that is somebody's: it may get there though the endpoint closes.
    fn is_storing(&self) -> bool {
        match &self.phase {
            Phase::Store { .. } => true,
            Phase::Message { fate, .. } => matches!(fate, Fate::Receive(_)),
            _ => false,
        }
    }

    /// Nothing on this connection is parsed any more; what was answered is still sent.
    fn close_after_answers(&mut self, why: Parting) {
        self.parting.get_or_insert(why);
        if !matches!(self.phase, Phase::Closing { .. }) {
            self.leave_phase(Phase::Closing {
                since: Instant::now(),
                farewell_sent: false,
            });
        }
    }

    /// Gives back what the current phase holds, so that no receive is lost with its message.
    fn leave_phase(&mut self, next: Phase) {
        let receives = &self.target.receives;
        match std::mem::replace(&mut self.phase, next) {
            Phase::Message {
                fate: Fate::Receive(posted),
                ..
            } => receives.put_back(posted),
            Phase::Message {
                fate: Fate::Keep(key, _),
                ..
            }
            | Phase::Parked { key, .. } => receives.abandon(key),
            _ => {}
        }
    }

    fn sender(&self, sequence: u32) -> Sender {
        Sender {
            mailbox: Arc::clone(&self.admission.mailbox),
            sequence,
            from: Arc::clone(&self.from),
            instance: self.instance,
        }
    }
}

impl<T: Transport> Future for Session<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let session = self.get_mut();
        session.turn(cx).unwrap_or_else(|End(why)| {
            session.parting.get_or_insert(why);
            Poll::Ready(())
        })
    }
}

impl<T: Transport> Drop for Session<T> {
    fn drop(&mut self) {
        let mailbox: &Mailbox<Event> = &self.admission.mailbox;
        for event in mailbox.close().into_iter().chain(self.events.drain(..)) {
            if let Event::Grant(_, posted) = event {
                self.target.receives.put_back(posted);
            }
        }
        self.leave_phase(Phase::Header);
        // Dropped without a reason: the runtime stops.
        let why = self.parting.unwrap_or(Parting::Local);
        debug!(peer = %self.from, reason = why.name(), "session ended");
        if let Some(attendance) = &mut self.attendance {
            attendance.part(why);
        }
    }
}
