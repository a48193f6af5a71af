use super::*;
use crate::op::channel::{self, Ended};
use crate::region::memory::Memory;
use std::time::Duration;

struct Fixture {
    receives: Receives,
    sender: Sender,
}

fn fixture(limits: Limits) -> Fixture {
    let receives = Receives::new(&limits, Arc::new(EndpointStats::default()));
    let sender = Sender {
        mailbox: Arc::new(Mailbox::default()),
        sequence: 0,
        from: "peer:1".into(),
        instance: None,
    };
    Fixture { receives, sender }
}

impl Fixture {
    fn post(&self, room: usize, tag: Option<u64>) -> (Ended, OperationKey) {
        let (ticket, sink, ended) = channel::ticket("recv");
        self.receives.post(Posted {
            ticket,
            into: span(room),
            tag,
            from: None,
            exact: false,
        });
        (ended, OperationKey::new(sink, 0))
    }

    /// A message that arrives and is complete at once.
    fn message(&self, tag: u64, bytes: &[u8]) -> MessageKey {
        let Arrival::Keep(key) = self.receives.arrive(tag, bytes.len() as u64, &self.sender) else {
            panic!()
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        assert_eq!(self.receives.filled(key, Span::copied(bytes).unwrap(), deadline), None);
        key
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        self.sender.mailbox.take(&mut events);
        events
    }
}

fn span(len: usize) -> Span {
    Span::whole(Memory::private(len).unwrap())
}

async fn tag_of(ended: Ended) -> u64 {
    match ended.wait().await.unwrap() {
        Done::Message(message) => message.tag,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn receives_are_matched_first_in_first_out_and_by_tag() {
    let f = fixture(Limits::default());
    let (_first, _) = f.post(8, Some(1));
    let (_second, _) = f.post(8, None);
    let Arrival::Matched(any) = f.receives.arrive(2, 1, &f.sender) else {
        panic!()
    };
    assert_eq!(any.tag, None, "the receive for another tag is passed over");
    let Arrival::Matched(tagged) = f.receives.arrive(1, 1, &f.sender) else {
        panic!()
    };
    assert_eq!(tagged.tag, Some(1));
}

#[tokio::test]
async fn messages_that_came_first_are_taken_in_order_of_arrival() {
    let f = fixture(Limits::default());
    f.message(5, b"a");
    f.message(6, b"b");
    f.message(5, b"c");
    assert_eq!(tag_of(f.post(8, Some(6)).0).await, 6);
    assert_eq!(tag_of(f.post(8, None).0).await, 5);
    assert_eq!(tag_of(f.post(8, None).0).await, 5);
    assert_eq!(f.events().len(), 3);
}

#[tokio::test]
async fn beyond_the_limits_a_message_is_parked_until_a_receive_or_room_comes() {
    let f = fixture(Limits {
        max_unexpected_messages: 1,
        ..Limits::default()
    });
    let kept = f.message(1, b"kept");
    let Arrival::Park(parked) = f.receives.arrive(2, 4, &f.sender) else {
        panic!()
    };
    f.receives.abandon(kept);
    assert!(
        matches!(f.events()[..], [Event::Keep(key)] if key == parked),
        "room came"
    );
    let Arrival::Park(next) = f.receives.arrive(3, 4, &f.sender) else {
        panic!()
    };
    let (_ended, _) = f.post(8, Some(3));
    assert!(
        matches!(f.events()[..], [Event::Grant(key, _)] if key == next),
        "a receive came"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_that_nobody_receives_is_dropped_in_time_and_its_sender_told() {
    let f = fixture(Limits::default());
    f.message(1, b"late");
    f.receives.expire(Instant::now());
    assert!(f.events().is_empty());
    tokio::time::advance(Duration::from_secs(5)).await;
    f.receives.expire(Instant::now());
    assert!(matches!(
        f.events()[..],
        [Event::Answer {
            status: Status::NoReceive,
            ..
        }]
    ));
}

#[tokio::test]
async fn a_cancelled_receive_swallows_no_message() {
    let f = fixture(Limits::default());
    let Arrival::Keep(key) = f.receives.arrive(1, 4, &f.sender) else {
        panic!()
    };
    // Posted while the message is coming in, and cancelled again.
    let (ended, cancel) = f.post(8, None);
    assert!(f.receives.cancel(&cancel));
    assert_eq!(ended.wait().await.unwrap_err().kind(), ErrorKind::Aborted);
    assert!(!f.receives.cancel(&cancel));
    assert_eq!(
        f.receives.filled(
            key,
            Span::copied(b"here").unwrap(),
            Instant::now() + Duration::from_secs(5)
        ),
        None
    );
    assert_eq!(tag_of(f.post(8, None).0).await, 1);
}

#[tokio::test]
async fn a_receive_whose_message_was_cut_off_is_first_in_line_again() {
    let f = fixture(Limits::default());
    let (first, _) = f.post(8, None);
    let (second, _) = f.post(8, None);
    let Arrival::Matched(posted) = f.receives.arrive(1, 4, &f.sender) else {
        panic!()
    };
    f.receives.put_back(posted);
    for (tag, ended) in [(7, first), (8, second)] {
        let Arrival::Matched(posted) = f.receives.arrive(tag, 4, &f.sender) else {
            panic!()
        };
        f.receives.complete(posted, tag, 4, &f.sender.from, None);
        assert_eq!(tag_of(ended).await, tag);
    }
}

#[tokio::test]
async fn closing_fails_what_is_posted_and_refuses_what_comes() {
    let f = fixture(Limits::default());
    let (posted, _) = f.post(8, None);
    f.receives.close();
    assert_eq!(posted.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(f.post(8, None).0.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(matches!(f.receives.arrive(1, 1, &f.sender), Arrival::Closed));
}

#[tokio::test]
async fn a_receive_that_was_given_up_while_its_message_came_in_takes_no_other() {
    let f = fixture(Limits::default());
    let (given_up, key) = f.post(8, None);
    let Arrival::Matched(posted) = f.receives.arrive(1, 4, &f.sender) else {
        panic!()
    };
    assert!(f.receives.cancel(&key));
    f.receives.put_back(posted);
    assert_eq!(given_up.wait().await.unwrap_err().kind(), ErrorKind::Aborted);
    assert!(matches!(f.receives.arrive(1, 4, &f.sender), Arrival::Keep(_)));
    // One whose message does come whole ends with it, whatever was asked meanwhile.
    let (too_late, key) = f.post(8, Some(9));
    let Arrival::Matched(posted) = f.receives.arrive(9, 4, &f.sender) else {
        panic!()
    };
    assert!(f.receives.cancel(&key));
    f.receives.complete(posted, 9, 4, &f.sender.from, None);
    assert_eq!(tag_of(too_late).await, 9);
    assert!(!f.receives.cancel(&key));
}

fn whom(f: &Fixture, instance: u8) -> Arc<Whom> {
    let whom = Arc::new(Whom::default());
    f.receives.identify(&whom, [instance; 16]);
    whom
}

impl Fixture {
    /// The same endpoint, as it hears of another peer.
    fn sender(&self, instance: Option<u8>) -> Sender {
        Sender {
            instance: instance.map(|byte| [byte; 16]),
            ..self.sender.clone()
        }
    }

    fn post_from(&self, whom: &Arc<Whom>, tag: Option<u64>) -> (Ended, OperationKey) {
        let (ticket, sink, ended) = channel::ticket("recv");
        self.receives.post(Posted {
            ticket,
            into: span(8),
            tag,
            from: Some(Arc::clone(whom)),
            exact: false,
        });
        (ended, OperationKey::new(sink, 0))
    }

    /// A message of that peer that is complete at once; where no receive takes it, it is kept.
    fn message_of(&self, instance: Option<u8>, tag: u64) {
        let sender = self.sender(instance);
        match self.receives.arrive(tag, 1, &sender) {
            Arrival::Matched(posted) => {
                self.receives.complete(posted, tag, 1, &sender.from, sender.instance);
            }
            Arrival::Keep(key) => {
                let deadline = Instant::now() + Duration::from_secs(5);
                self.receives.filled(key, span(1), deadline);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Instance and tag of the message that a receive ended with.
async fn origin_of(ended: Ended) -> (Option<u8>, u64) {
    match ended.wait().await.unwrap() {
        Done::Message(message) => (message.instance.map(|instance| instance[0]), message.tag),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_receive_from_one_peer_takes_its_messages_alone_in_order_and_with_a_tag() {
    let f = fixture(Limits::default());
    let (one, two) = (whom(&f, 1), whom(&f, 2));
    // One that has not said who it is: nobody is meant by that, not even who does not say so either.
    let (_never, _) = f.post_from(&Arc::default(), None);
    let (first, _) = f.post_from(&one, None);
    let (tagged, _) = f.post_from(&two, Some(9));
    let (second, _) = f.post_from(&one, None);
    let (any, _) = f.post(8, None);
    // The legacy wire does not say who it is; a peer with another tag is not meant either.
    f.message_of(None, 9);
    f.message_of(Some(2), 5);
    for (sender, tag) in [(Some(1), 10), (Some(2), 9), (Some(1), 11)] {
        f.message_of(sender, tag);
    }
    assert_eq!(origin_of(any).await, (None, 9));
    assert_eq!(origin_of(first).await, (Some(1), 10));
    assert_eq!(origin_of(second).await, (Some(1), 11));
    assert_eq!(origin_of(tagged).await, (Some(2), 9));
    // What was kept is found by its sender too.
    f.message_of(Some(1), 6);
    assert_eq!(origin_of(f.post_from(&one, None).0).await, (Some(1), 6));
    assert_eq!(origin_of(f.post_from(&two, None).0).await, (Some(2), 5));
}

#[tokio::test]
async fn a_parked_message_is_granted_to_the_receive_from_its_sender_alone() {
    let f = fixture(Limits {
        max_unexpected_messages: 0,
        ..Limits::default()
    });
    let Arrival::Park(parked) = f.receives.arrive(1, 4, &f.sender(Some(2))) else {
        panic!()
    };
    let (_waiting, key) = f.post_from(&whom(&f, 1), None);
    assert!(f.events().is_empty());
    assert!(f.receives.cancel(&key));
    let (_ended, _) = f.post_from(&whom(&f, 2), None);
    assert!(matches!(f.events()[..], [Event::Grant(key, _)] if key == parked));
}

#[tokio::test]
async fn receives_from_a_restarted_peer_go_on_with_its_new_instance_in_their_order() {
    let f = fixture(Limits::default());
    let peer = whom(&f, 1);
    let (first, _) = f.post_from(&peer, None);
    let (second, _) = f.post_from(&peer, None);
    let (third, _) = f.post_from(&peer, None);
    // Its last message is cut off, and what it sends after its restart is nobody's yet.
    let Arrival::Matched(cut_off) = f.receives.arrive(0, 4, &f.sender(Some(1))) else {
        panic!()
    };
    f.message_of(Some(3), 30);
    f.message_of(Some(3), 31);
    assert!(f.events().is_empty(), "both are kept");
    f.receives.identify(&peer, [3; 16]);
    assert_eq!(origin_of(second).await, (Some(3), 30));
    assert_eq!(origin_of(third).await, (Some(3), 31));
    f.receives.put_back(cut_off);
    f.message_of(Some(1), 10);
    f.message_of(Some(3), 32);
    assert_eq!(origin_of(first).await, (Some(3), 32));
    assert_eq!(origin_of(f.post_from(&whom(&f, 1), None).0).await, (Some(1), 10));
}

#[tokio::test]
async fn a_new_instance_leaves_the_order_of_other_receives_as_it_was() {
    let f = fixture(Limits::default());
    let peer = whom(&f, 1);
    let (theirs, _) = f.post_from(&peer, None);
    let (any, _) = f.post(8, None);
    f.receives.identify(&peer, [3; 16]);
    f.message_of(Some(3), 30);
    f.message_of(Some(3), 31);
    assert_eq!(origin_of(theirs).await, (Some(3), 30));
    assert_eq!(origin_of(any).await, (Some(3), 31));
}

#[tokio::test]
async fn closing_a_peer_ends_the_receives_from_it_and_no_others() {
    let f = fixture(Limits::default());
    let (peer, other) = (whom(&f, 1), whom(&f, 2));
    let (filling, _) = f.post_from(&peer, None);
    let Arrival::Matched(matched) = f.receives.arrive(1, 4, &f.sender(Some(1))) else {
        panic!()
    };
    let Arrival::Keep(_) = f.receives.arrive(2, 4, &f.sender(Some(1))) else {
        panic!()
    };
    let (claims, _) = f.post_from(&peer, None);
    let (posted, _) = f.post_from(&peer, None);
    let (others, _) = f.post_from(&other, None);
    f.receives.leave(&peer);
    for ended in [claims, posted, f.post_from(&peer, None).0] {
        assert_eq!(ended.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    }
    // Its message is cut off: nobody would ever end it.
    f.receives.put_back(matched);
    assert_eq!(filling.wait().await.unwrap_err().kind(), ErrorKind::Closed);
    f.message_of(Some(2), 7);
    assert_eq!(origin_of(others).await, (Some(2), 7));
}
