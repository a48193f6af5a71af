//! A transport in memory for tests, simulations and micro benchmarks: it delivers in pieces, and as late, as they choose, and cuts
//! where they say.

use super::{
    Transport,
    raw::{RecvSegment, SendSegment},
};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// How one direction of a pipe behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// Most bytes that one call takes or gives; at least 1.
    pub(crate) step: usize,
    /// Most bytes on their way.
    pub(crate) room: usize,
    /// The stream ends, for both sides, when so many bytes have passed.
    pub(crate) cut_after: Option<u64>,
    /// How long a byte is on its way; tokio's clock goes by whole milliseconds.
    pub(crate) delay: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            step: usize::MAX,
            room: 256 << 10,
            cut_after: None,
            delay: Duration::ZERO,
        }
    }
}

#[derive(Default)]
struct Direction {
    bytes: VecDeque<u8>,
    passed: u64,
    /// Where the bytes end that may be read already.
    arrived: u64,
    /// When more may be, and where those end.
    due: VecDeque<(Instant, u64)>,
    alarm: Option<Pin<Box<Sleep>>>,
    taken: u64,
    /// So much later than by its behaviour, from now on.
    late: Duration,
    ended: bool,
    /// Nothing of it arrives any more, its end neither; whoever sends is told nothing.
    silent: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn sent(&mut self, count: u64, delay: Duration) {
        self.passed += count;
        let delay = delay + self.late;
        if delay.is_zero() {
            self.arrived = self.passed;
        } else {
            self.due.push_back((Instant::now() + delay, self.passed));
        }
    }

    /// Bytes that have arrived; the reader is woken when there are more.
    fn arrived(&mut self, cx: &mut Context<'_>) -> usize {
        while let Some(&(at, end)) = self.due.front() {
            if at > Instant::now() {
                break;
            }
            self.arrived = end;
            self.due.pop_front();
        }
        let count = self.arrived - self.taken;
        if count == 0 {
            self.reader = Some(cx.waker().clone());
            if let Some(&(at, _)) = self.due.front() {
                let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
                alarm.as_mut().reset(at);
                if alarm.as_mut().poll(cx).is_ready() {
                    cx.waker().wake_by_ref();
                }
            }
        }
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

/// One end of a pipe.
pub(crate) struct Pipe {
    incoming: Arc<Mutex<Direction>>,
    outgoing: Arc<Mutex<Direction>>,
    behaviour: Behaviour,
}

/// Two ends; `behaviour` holds for the bytes that each of them sends.
pub(crate) fn pipe(first: Behaviour, second: Behaviour) -> (Pipe, Pipe) {
    let there = Arc::new(Mutex::new(Direction::default()));
    let back = Arc::new(Mutex::new(Direction::default()));
    (
        Pipe {
            incoming: Arc::clone(&back),
            outgoing: Arc::clone(&there),
            behaviour: first,
        },
        Pipe {
            incoming: there,
            outgoing: back,
            behaviour: second,
        },
    )
}

impl Transport for Pipe {
    fn poll_recv(&self, cx: &mut Context<'_>, segments: &mut [RecvSegment<'_>]) -> Poll<io::Result<usize>> {
        let mut direction = self.incoming.lock();
        if direction.silent {
            direction.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if direction.bytes.is_empty() {
            if direction.ended {
                return Poll::Ready(Ok(0));
            }
            direction.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let arrived = direction.arrived(cx).min(self.behaviour.step);
        if arrived == 0 {
            return Poll::Pending;
        }
        let mut total = 0;
        for segment in segments {
            let most = segment.len().min(arrived - total);
            let (first, second) = direction.bytes.as_slices();
            let first = &first[..most.min(first.len())];
            segment.fill(0, first);
            segment.fill(first.len(), &second[..most - first.len()]);
            direction.bytes.drain(..most);
            total += most;
        }
        direction.taken += total as u64;
        if direction.bytes.is_empty() {
            // A socket at rest holds nothing either.
            (direction.bytes, direction.due) = Default::default();
        }
        direction.wake();
        Poll::Ready(Ok(total))
    }

    fn poll_send(&self, cx: &mut Context<'_>, segments: &[SendSegment<'_>]) -> Poll<io::Result<usize>> {
        let mut direction = self.outgoing.lock();
        if direction.ended && !direction.silent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut room = (self.behaviour.room - direction.bytes.len()).min(self.behaviour.step);
        if let Some(cut) = self.behaviour.cut_after {
            room = room.min(usize::try_from(cut - direction.passed).unwrap_or(usize::MAX));
            if cut == direction.passed {
                direction.ended = true;
                direction.wake();
                drop(direction);
                self.end();
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
        }
        if room == 0 {
            direction.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut total = 0;
        for segment in segments {
            let bytes = segment.copied(room - total);
            total += bytes.len();
            direction.bytes.extend(bytes);
        }
        direction.sent(total as u64, self.behaviour.delay);
        direction.wake();
        Poll::Ready(Ok(total))
    }

    fn shutdown_write(&self) {
        let mut direction = self.outgoing.lock();
        direction.ended = true;
        direction.wake();
    }
}

impl Pipe {
    /// Ends both directions: what is on its way is still delivered, as by a socket that was closed.
    pub(crate) fn end(&self) {
        for direction in [&self.incoming, &self.outgoing] {
            let mut direction = direction.lock();
            direction.ended = true;
            direction.wake();
        }
    }
}

/// What a pipe is made slower or ended by from outside.
#[cfg(any(test, feature = "simulation"))]
pub(crate) struct Grip([std::sync::Weak<Mutex<Direction>>; 2]);

#[cfg(any(test, feature = "simulation"))]
impl Grip {
    pub(crate) fn of(pipe: &Pipe) -> Self {
        Self([Arc::downgrade(&pipe.incoming), Arc::downgrade(&pipe.outgoing)])
    }

    /// What this end sends comes so much later from now on.
    pub(crate) fn slow_down(&self, late: Duration) {
        if let Some(outgoing) = self.0[1].upgrade() {
            outgoing.lock().late = late;
        }
    }

    /// Has nothing arrive any more of what this end receives, or of what it sends.
    pub(crate) fn silence(&self, incoming: bool, outgoing: bool) {
        for (direction, is_silent) in self.0.iter().zip([incoming, outgoing]) {
            if is_silent && let Some(direction) = direction.upgrade() {
                direction.lock().silent = true;
            }
        }
    }

    /// Whether nobody has either end any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.iter().all(|direction| direction.strong_count() == 0)
    }

    /// Ends the pipe as a crash does: what is on its way is lost.
    pub(crate) fn cut(&self) {
        for direction in self.0.iter().filter_map(std::sync::Weak::upgrade) {
            let mut direction = direction.lock();
            direction.bytes.clear();
            direction.due.clear();
            (direction.ended, direction.silent) = (true, false);
            direction.wake();
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.end();
    }
}
