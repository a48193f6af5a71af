//! Large operations that come in the very moment in which the last lane to their peer goes: as a link does, they are queued
//! first and lanes are told then, and one that is gone by then is opened anew.

use super::{support::*, wired::*};
use crate::{
    io::pipe::{Behaviour, Pipe, pipe},
    lane::{
        Command,
        bulk::{Bulk, BulkQueue},
    },
    mailbox::Mailbox,
    op::{Completion, CompletionSink, Done, Issuer, Operation, OperationKey, Request, Ticket, channel},
    region::{memory::Memory, span::Span},
};
use memlane_wire::{Mode, Status, StatusFrame};
use parking_lot::Mutex;
use std::{pin::Pin, sync::Arc};

const LARGE: usize = 3 << 20;

/// Queues a large read, of which no lane is told yet.
fn queue(bulk: &BulkQueue) -> (Started, u64) {
    let (ticket, sink, ended) = channel::ticket("read");
    let operation = Operation {
        ticket,
        request: Request::Read {
            addr: 1,
            into: Span::whole(Memory::private(LARGE).unwrap()),
        },
        timeout: None,
    };
    let number = bulk.push(Bulk::take_apart(operation, || bulk.holders()).unwrap());
    let key = OperationKey::new(sink, 0);
    (Started { ended, key }, number)
}

fn ends() -> (Pipe, Far) {
    let (near, far) = pipe(Behaviour::default(), Behaviour::default());
    (near, Far(far))
}

/// The next lane takes the operation up to its end.
async fn is_served_by_the_next_lane(bulk: &Arc<BulkQueue>, (started, number): (Started, u64)) {
    let (near, far) = ends();
    let (commands, lane) = lane_of(bulk, vec![near], Mode::Native);
    commands.push(Command::Work(number)).unwrap();
    let serving = tokio::spawn(async move {
        far.greet().await;
        far.serve_reads().await
    });
    assert_eq!(started.ended.wait().await.unwrap(), Done::Bytes(LARGE as u64));
    commands.push(Command::Close).unwrap();
    assert_eq!(serving.await.unwrap(), 3);
    lane.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_large_operation_that_meets_the_last_lane_as_it_goes_for_idleness_is_served_by_the_next() {
    let bulk: Arc<BulkQueue> = Arc::default();
    let (near, far) = ends();
    let (commands, mut lane) = resting_lane(&bulk, vec![near], Mode::Native, Arc::default());
    let until_idle = std::future::poll_fn(|cx| Pin::new(&mut lane).poll(cx));
    tokio::join!(until_idle, far.greet());
    let queued = queue(&bulk);
    assert!(
        commands.push(Command::Work(queued.1)).is_err(),
        "it takes nothing any more"
    );
    drop(lane);
    is_served_by_the_next_lane(&bulk, queued).await;
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_to_go_for_idleness_takes_what_was_queued_and_not_told_yet() {
    let bulk: Arc<BulkQueue> = Arc::default();
    let (commands, mut membership) = (Mailbox::<Command>::default(), bulk.join());
    let (started, _) = queue(&bulk);
    assert!(!membership.goes(&commands));
    assert!(commands.push(Command::Work(1)).is_ok());
    while let Some(piece) = bulk.next() {
        piece.waiter.end(Ok(Done::Nothing));
    }
    assert_eq!(started.ended.wait().await.unwrap(), Done::Bytes(LARGE as u64));
    assert!(!membership.goes(&commands), "it was told something");
    commands.take(&mut Vec::new());
    assert!(membership.goes(&commands));
    assert!(commands.push(Command::Work(1)).is_err());
}

/// Queues a large operation in the moment in which it hears that another one has failed.
struct AsksForMore {
    bulk: Arc<BulkQueue>,
    commands: Arc<Mailbox<Command>>,
    queued: Mutex<Option<(Started, u64)>>,
}

impl CompletionSink for AsksForMore {
    fn complete(&self, completion: Completion) -> bool {
        assert!(completion.result.is_err());
        let queued = queue(&self.bulk);
        assert!(self.commands.push(Command::Work(queued.1)).is_err());
        *self.queued.lock() = Some(queued);
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_operation_that_meets_the_last_lane_as_it_fails_is_served_by_the_next() {
    let (wired, far) = by_hand(1, Behaviour::default());
    let bulk = Arc::clone(&wired.bulk);
    let asks = Arc::new(AsksForMore {
        bulk: Arc::clone(&bulk),
        commands: Arc::clone(&wired.commands),
        queued: Mutex::default(),
    });
    let sink: Arc<dyn CompletionSink> = Arc::clone(&asks) as _;
    let ping = Operation {
        ticket: Ticket::new(Issuer::local(sink), 0, "ping"),
        request: Request::Ping,
        timeout: None,
    };
    wired.commands.push(Command::Submit(ping)).unwrap();
    far[0].greet().await;
    far[0].request().await;
    // A number that was never sent.
    far[0].say(&StatusFrame::new(7, Status::Ok).encode()).await;
    wired.lane.await.unwrap();
    let queued = asks.queued.lock().take().unwrap();
    is_served_by_the_next_lane(&bulk, queued).await;
}
