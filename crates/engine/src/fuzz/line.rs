//! The end of a connection that the input has in its hands, and the task at the other one.

use crate::io::{
    Transport,
    pipe::{Behaviour, Pipe},
    raw::{RecvSegment, SendSegment},
};
use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::task::JoinHandle;

/// So many times everybody has a turn without anybody using it: then all of them sleep.
const QUIET_TURNS: u32 = 3;

/// A pipe that takes and gives all that there is, and no waiting for it: who uses it goes on when the other side sleeps.
pub(super) struct Line {
    pipe: Pipe,
    /// What has come.
    pub(super) heard: Vec<u8>,
    /// The other side has sent its last byte.
    pub(super) ended: bool,
}

/// The behaviour of what the input itself sends: there is always room, and the other side gets at most `step` at a time.
pub(super) fn said(step: usize) -> Behaviour {
    Behaviour {
        step,
        room: usize::MAX >> 1,
        ..Behaviour::default()
    }
}

impl Line {
    pub(super) fn new(pipe: Pipe) -> Self {
        Self {
            pipe,
            heard: Vec::new(),
            ended: false,
        }
    }

    /// Sends; what nobody takes any more is nobody's loss.
    pub(super) fn say(&self, mut bytes: &[u8]) {
        let mut cx = Context::from_waker(Waker::noop());
        while !bytes.is_empty()
            && let Poll::Ready(Ok(count)) = self.pipe.poll_send(&mut cx, &[SendSegment::bytes(bytes)])
        {
            bytes = &bytes[count..];
        }
    }

    /// Takes what is there; whether that was anything.
    pub(super) fn hear(&mut self) -> bool {
        self.poll_hear(&mut Context::from_waker(Waker::noop()))
    }

    /// The same, and wakes whoever asks when there is more.
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> bool {
        let before = self.heard.len();
        let mut bytes = [0; 4096];
        while !self.ended {
            match self.pipe.poll_recv(cx, &mut [RecvSegment::bytes(&mut bytes)]) {
                Poll::Ready(Ok(count)) if count > 0 => self.heard.extend(&bytes[..count]),
                Poll::Ready(_) => self.ended = true,
                Poll::Pending => break,
            }
        }
        self.heard.len() > before
    }

    /// Sends no more.
    pub(super) fn shut(&self) {
        self.pipe.shutdown_write();
    }

    /// Sends no more, and takes no more.
    pub(super) fn end(&self) {
        self.pipe.end();
    }
}

/// One side of a connection: a task, and how often it was polled.
pub(super) struct Side {
    task: JoinHandle<()>,
    polls: Arc<AtomicU64>,
}

struct Counted<F> {
    inner: F,
    polls: Arc<AtomicU64>,
}

impl<F: Future<Output = ()> + Unpin> Future for Counted<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll(cx)
    }
}

impl Side {
    pub(super) fn spawn(inner: impl Future<Output = ()> + Unpin + Send + 'static) -> Self {
        let polls = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            inner,
            polls: Arc::clone(&polls),
        };
        Self {
            task: tokio::spawn(counted),
            polls,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Until it sleeps. No time passes.
    pub(super) async fn rest(&self) {
        let mut quiet = 0;
        while quiet < QUIET_TURNS {
            let before = self.polls.load(Ordering::Relaxed);
            tokio::task::yield_now().await;
            quiet = if self.polls.load(Ordering::Relaxed) == before {
                quiet + 1
            } else {
                0
            };
        }
    }

    /// Until it sleeps, and has said all that it has to say.
    pub(super) async fn settle(&self, line: &mut Line) {
        loop {
            self.rest().await;
            if !line.hear() {
                return;
            }
        }
    }

    /// Lets time pass, and takes what is said meanwhile in the moment in which it is.
    pub(super) async fn pass(&self, line: &mut Line, time: Duration) {
        let mut sleep = pin!(tokio::time::sleep(time));
        std::future::poll_fn(|cx| {
            while line.poll_hear(cx) {}
            sleep.as_mut().poll(cx)
        })
        .await;
        self.settle(line).await;
    }

    /// Its end; a panic of it goes on here.
    pub(super) async fn join(self) {
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}
