//! A write that a message follows is given up while its first lane hands it on to another.

use super::{Ends, explore, thread};
use crate::{
    config::Limits,
    context::Context,
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    lane::{Command, LaneParts},
    mailbox::Mailbox,
    network::{Destination, Network},
    op::{CompletionSink, Done, OperationKey, Ticket},
    peer::Peer,
    region::span::Span,
};
use memlane_wire::Mode;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::{runtime::Handle, task::JoinHandle};

/// The mailboxes of the lanes that were opened, in their order.
#[derive(Debug, Default)]
struct Opened(Mutex<Vec<Arc<Mailbox<Command>>>>);

impl Network for Opened {
    fn start(self: Arc<Self>, lane: LaneParts, _to: Destination, thread: &Handle) -> JoinHandle<()> {
        self.0.lock().push(lane.commands);
        thread.spawn(async {})
    }
}

/// What a lane that has this operation, or none, has when it has done what it is told.
fn turn(mailbox: &Mailbox<Command>, has: Option<Ticket>, key: &OperationKey) -> Option<Ticket> {
    let mut commands = Vec::new();
    mailbox.take(&mut commands);
    commands.into_iter().fold(has, |has, command| match command {
        Command::Submit(operation) => Some(operation.ticket),
        Command::Cancel(_) => end(has, key, ErrorKind::Aborted),
        Command::Forget(..) => end(has, key, ErrorKind::Closed),
        _ => has,
    })
}

fn end(has: Option<Ticket>, key: &OperationKey, kind: ErrorKind) -> Option<Ticket> {
    let ticket = has?;
    if !ticket.is(key) {
        return Some(ticket);
    }
    ticket.complete(Err(Error::new(kind)));
    None
}

fn given_up(by: fn(&Peer, &OperationKey), kind: ErrorKind) {
    explore(move || {
        // Polls nothing: what is spawned goes with it.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let opened = Arc::new(Opened::default());
        let context = Context::over(Arc::clone(&opened) as _, runtime.handle().clone(), Limits::default()).unwrap();
        let endpoint = Endpoint::new(context).unwrap();
        let peer = endpoint.connect("target", 9, Mode::Native).unwrap();
        // The lanes stay when the peer goes.
        let other = endpoint.connect("target", 9, Mode::Native).unwrap();
        let ends = Ends::new(move |completion| {
            assert_eq!(completion.result.unwrap_err().kind(), kind);
        });
        let sink: Arc<dyn CompletionSink> = Arc::clone(&ends) as _;
        let key = OperationKey::new(Arc::clone(&sink), 0);
        let ticket = Ticket::new(peer.issuer(sink), 0, "write");
        peer.write_and_notify(ticket, 0, Span::copied(&[1; 8]).unwrap(), 7, None);
        let first = Arc::clone(&opened.0.lock()[0]);
        let lane = {
            let (first, key) = (Arc::clone(&first), key.clone());
            thread(move || {
                if let Some(ticket) = turn(&first, None, &key) {
                    // Answered.
                    ticket.complete(Ok(Done::Bytes(8)));
                }
            })
        };
        by(&peer, &key);
        lane.join().unwrap();
        assert!(turn(&first, None, &key).is_none());
        let messages = opened.0.lock().get(1).map(Arc::clone);
        if let Some(messages) = messages {
            assert!(turn(&messages, None, &key).is_none(), "the message is sent");
        }
        assert_eq!(ends.count(), 1);
        drop((other, endpoint));
        drop(runtime);
    });
}

#[test]
fn a_cancel_of_a_write_that_is_told_of_finds_it_in_every_moment() {
    given_up(|peer, key| peer.cancel(key), ErrorKind::Aborted);
}

#[test]
fn a_peer_that_is_closed_while_a_message_follows_its_write_ends_both() {
    given_up(|peer, _| drop(peer.shut()), ErrorKind::Closed);
}
