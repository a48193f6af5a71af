//! Models of what several threads share, each so small that loom goes through every order in which its threads can get, and
//! through every value that a load may see under the memory model; `npm run test:model` runs them.
//!
//! What is explored is the engine's own code, over the locks and atomics of [`crate::sync`]; what stands in for a lane or for
//! JavaScript does what those do, in their order. What a model counts for itself is no part of it: plain atomics, which loom
//! does not see.

mod collection;
mod fence;
mod halves;
mod mailbox;
mod opening;
mod parts;
mod pieces;
mod places;
mod queued;
mod receives;

use crate::{
    op::{Completion, CompletionSink, Issuer, Ticket},
    sync::{Condvar, Mutex},
};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

/// Goes through every order in which the model's threads can get, and says how many there were.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    explore_within(None, model);
}

/// The same where those orders are too many: those in which threads are interrupted at most `preemptions` times.
fn explore_within(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    let orders = Arc::new(AtomicU64::new(0));
    let (began, counted) = (Instant::now(), Arc::clone(&orders));
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let orders = orders.load(Ordering::Relaxed);
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default().trim_start_matches("models::");
    let bound = preemptions.map_or("all of them".to_owned(), |most| format!("at most {most} preemptions"));
    println!(
        "model {name}: {orders} orders, {bound}, {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

/// A thread of a model.
fn thread<T: 'static>(body: impl FnOnce() -> T + Send + 'static) -> loom::thread::JoinHandle<T> {
    loom::thread::spawn(body)
}

/// What a task or a JavaScript thread sleeps on. One that is never woken again is found by loom, as a deadlock.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock() = true;
        self.heard.notify_all();
    }

    fn sleep(&self) {
        let mut rung = self.rung.lock();
        while !std::mem::take(&mut *rung) {
            self.heard.wait(&mut rung);
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// A task on a thread of its own.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let (mut cx, mut future) = (Context::from_waker(&waker), pin!(future));
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(value) => return value,
            Poll::Pending => bell.sleep(),
        }
    }
}

/// Memory that one thread at a time stores to, until somebody says that it is quiet and sees all of that.
#[derive(Default)]
struct Bytes {
    /// What loom sees: without an order between the two, a load may find what was there before.
    value: crate::sync::AtomicUsize,
    stored: AtomicUsize,
    quiet: AtomicBool,
}

impl Bytes {
    fn store(&self) {
        assert!(!self.quiet.load(Ordering::Relaxed), "it was said to be quiet");
        let stored = self.stored.fetch_add(1, Ordering::Relaxed) + 1;
        self.value.store(stored, Ordering::Relaxed);
        assert!(!self.quiet.load(Ordering::Relaxed), "it was said to be quiet");
    }

    fn are_quiet(&self) {
        self.quiet.store(true, Ordering::Relaxed);
        let seen = self.value.load(Ordering::Relaxed);
        assert_eq!(seen, self.stored.load(Ordering::Relaxed), "all that was stored is seen");
    }
}

/// Counts ends, and looks at what each ended with.
struct Ends<F> {
    count: AtomicUsize,
    look: F,
}

impl<F: Fn(Completion) + Send + Sync + 'static> Ends<F> {
    fn new(look: F) -> Arc<Self> {
        let count = AtomicUsize::new(0);
        Arc::new(Self { count, look })
    }

    fn ticket(self: &Arc<Self>) -> Ticket {
        Ticket::new(Issuer::local(Arc::clone(self) as _), 0, "model")
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl<F: Fn(Completion) + Send + Sync + 'static> CompletionSink for Ends<F> {
    fn complete(&self, completion: Completion) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        (self.look)(completion);
        false
    }
}
