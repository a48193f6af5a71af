//! The lanes of one link, as far as one of them has something to tell the others.

use super::Command;
use crate::{mailbox::Mailbox, op::PartHolders, sync::Mutex};
use std::sync::{Arc, Weak};

/// Every lane that may hold parts of the same operation.
#[derive(Debug, Default)]
pub(crate) struct Mates(Mutex<Vec<Weak<Mailbox<Command>>>>);

impl Mates {
    /// One more lane; those that are gone are forgotten.
    pub(crate) fn add(&self, lane: &Arc<Mailbox<Command>>) {
        let mut lanes = self.0.lock();
        lanes.retain(|lane| lane.strong_count() > 0);
        lanes.push(Arc::downgrade(lane));
    }
}

impl PartHolders for Mates {
    fn part_failed(&self) {
        for lane in self.0.lock().iter().filter_map(Weak::upgrade) {
            // One that has ended holds nothing.
            let _ = lane.push(Command::Abandon);
        }
    }
}
