//! Messages without a receive that take their time; time is virtual.

use super::wired::*;
use crate::{
    config::Limits,
    io::pipe::Behaviour,
    op::{Done, channel},
    recv::Posted,
    region::{memory::Memory, span::Span},
    target::Target,
};
use memlane_wire::{Header, Opcode, Status, StatusFrame};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

fn timeout() -> Duration {
    Duration::from_millis(Limits::default().unexpected_timeout)
}

fn post(target: &Target) -> channel::Ended {
    let (ticket, _, ended) = channel::ticket("recv");
    let into = Span::whole(Memory::private(1 << 20).unwrap());
    target.receives.post(Posted {
        ticket,
        into,
        tag: None,
        from: None,
        exact: false,
    });
    ended
}

/// A message of all that may be kept, of which a byte a second comes.
async fn trickle(far: &Far, seconds: u64) {
    far.say(&Header::new(Opcode::Send, 1 << 20, 0).encode()).await;
    for _ in 0..seconds {
        far.say(&[7]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_trickles_in_takes_up_room_no_longer_than_a_whole_one() {
    let target = Target::new(Arc::default()).unwrap();
    let (slow, _session) = served(&target, Behaviour::default()).await;
    let (other, _session) = served(&target, Behaviour::default()).await;
    let began = Instant::now();
    trickle(&slow, 3).await;
    // There is no room for another one: it stays in the socket.
    other.say(&Header::new(Opcode::Send, 1 << 20, 0).encode()).await;
    let refusal = StatusFrame::new(0, Status::NoReceive).encode();
    assert_eq!(slow.hear(StatusFrame::LEN).await, refusal);
    assert_eq!(began.elapsed().as_millis(), timeout().as_millis());
    // Now there is, and what is left of the first goes nowhere: its sender goes on.
    other.say(&vec![9; 1 << 20]).await;
    slow.say(&vec![7; (1 << 20) - 3]).await;
    slow.say(&Header::new(Opcode::Ping, 0, 0).encode()).await;
    assert_eq!(
        slow.hear(StatusFrame::LEN).await,
        StatusFrame::new(1, Status::Ok).encode()
    );
    let received = post(&target).wait().await.unwrap();
    assert!(matches!(received, Done::Message(message) if message.bytes == 1 << 20));
    assert_eq!(
        other.hear(StatusFrame::LEN).await,
        StatusFrame::new(0, Status::Ok).encode()
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_its_receive_waits_for_may_take_longer() {
    let target = Target::new(Arc::default()).unwrap();
    let (slow, _session) = served(&target, Behaviour::default()).await;
    let trickling = tokio::spawn(async move {
        trickle(&slow, 12).await;
        slow.say(&vec![7; (1 << 20) - 12]).await;
        slow
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let received = post(&target).wait().await.unwrap();
    assert!(matches!(received, Done::Message(message) if message.bytes == 1 << 20));
    let slow = trickling.await.unwrap();
    assert_eq!(
        slow.hear(StatusFrame::LEN).await,
        StatusFrame::new(0, Status::Ok).encode()
    );
}
