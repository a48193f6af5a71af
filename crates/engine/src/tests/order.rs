//! Requests of one connection apply in their order, however many come together.

use super::{support::*, wired::*};
use crate::{io::pipe::Behaviour, region::Access, target::Target};
use memlane_wire::{Header, Opcode, Status, StatusFrame};
use std::sync::Arc;

#[tokio::test(start_paused = true)]
async fn a_read_that_is_being_answered_does_not_see_the_write_behind_it() {
    let target = Target::new(Arc::default()).unwrap();
    let region = target.registry.alloc("kv", REGION, Access::READ_WRITE).unwrap();
    for len in [8192, 8193, 70_000, REGION] {
        let before = pattern(REGION, len as u64);
        region.memory().copy_in(0, &before).unwrap();
        let (near, session) = served(&target, Behaviour::default()).await;
        let write = |at: usize, byte: u8| {
            let header = Header::new(Opcode::Write, 8, region.address() + at as u64);
            [header.encode().to_vec(), vec![byte; 8]].concat()
        };
        let read = Header::new(Opcode::Read, len as u64, region.address());
        // The first and the last bytes of what is being read, and then some that are not.
        let beside = if len < REGION { len } else { 0 };
        let requests = [read.encode().to_vec(), write(0, 7), write(len - 8, 8), write(beside, 9)].concat();
        near.say(&requests).await;
        let heard = near.hear(4 * StatusFrame::LEN + len).await;
        let body = &heard[StatusFrame::LEN..StatusFrame::LEN + len];
        assert!(
            body == &before[..len],
            "{len} bytes as they were when they were asked for"
        );
        let written: Vec<u8> = (1..4)
            .flat_map(|sequence| StatusFrame::new(sequence, Status::Ok).encode())
            .collect();
        assert_eq!(heard[StatusFrame::LEN + len..], written);
        let mut last = [0; 8];
        region.memory().copy_out(len - 8, &mut last).unwrap();
        assert_eq!(last, [8; 8]);
        drop(near);
        session.await.unwrap();
    }
}
