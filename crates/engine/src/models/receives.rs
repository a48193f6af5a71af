//! Receives that are given up while the message that they were to have is cut off.

use super::{Ends, explore, thread};
use crate::{
    config::Limits,
    error::ErrorKind,
    op::{CompletionSink, OperationKey, Ticket},
    recv::{Arrival, Posted, Receives, Sender},
    region::{memory::Memory, span::Span},
    stats::EndpointStats,
};
use std::sync::Arc;

fn sender() -> Sender {
    Sender {
        mailbox: Arc::default(),
        sequence: 0,
        from: "peer:1".into(),
        instance: None,
    }
}

fn posted(ticket: Ticket) -> Posted {
    Posted {
        ticket,
        into: Span::whole(Memory::private(8).unwrap()),
        tag: None,
        from: None,
        exact: false,
    }
}

/// A receive is posted before or behind the header of a message, which is cut off while the caller gives the receive up.
fn cut_off(begin: fn(&Receives, Posted) -> Box<dyn FnOnce(&Receives) + Send>) {
    explore(move || {
        let ends = Ends::new(|completion| assert_eq!(completion.result.unwrap_err().kind(), ErrorKind::Aborted));
        let receives = Arc::new(Receives::new(&Limits::default(), Arc::new(EndpointStats::default())));
        let end = begin(&receives, posted(ends.ticket()));
        let session = {
            let receives = Arc::clone(&receives);
            thread(move || end(&receives))
        };
        let key = OperationKey::new(Arc::clone(&ends) as Arc<dyn CompletionSink>, 0);
        assert!(receives.cancel(&key), "it has not ended");
        session.join().unwrap();
        assert_eq!(ends.count(), 1);
        let next = receives.arrive(0, 8, &sender());
        assert!(matches!(next, Arrival::Keep(_)), "it takes no message any more");
    });
}

#[test]
fn a_cancel_of_a_receive_whose_message_is_cut_off_ends_it() {
    cut_off(|receives, posted| {
        receives.post(posted);
        let Arrival::Matched(posted) = receives.arrive(0, 8, &sender()) else {
            unreachable!()
        };
        Box::new(move |receives| receives.put_back(posted))
    });
}

#[test]
fn a_cancel_of_a_receive_that_was_promised_a_message_which_is_cut_off_ends_it() {
    cut_off(|receives, posted| {
        let Arrival::Keep(key) = receives.arrive(0, 8, &sender()) else {
            unreachable!()
        };
        receives.post(posted);
        Box::new(move |receives| receives.abandon(key))
    });
}
