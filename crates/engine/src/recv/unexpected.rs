//! Messages that found no receive: kept within the limits, parked beyond them.

use super::{Arrival, Event, MessageKey, Posted, Sender};
use crate::{config::Limits, region::span::Span};
use std::{
    collections::VecDeque,
    ops::{Index, IndexMut},
};
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Unexpected {
    pub(super) key: MessageKey,
    pub(super) tag: u64,
    pub(super) size: u64,
    pub(super) sender: Sender,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// Its bytes are still coming; a receive that is posted meanwhile claims it.
    Filling { claimed: Option<Posted> },
    /// It is complete and waits until its deadline.
    Kept { bytes: Span, deadline: Instant },
    /// Its bytes are left in the socket.
    Parked,
}

/// In order of arrival; the counts are of those that are kept, whole or not.
#[derive(Debug, Default)]
pub(super) struct UnexpectedQueue {
    messages: VecDeque<Unexpected>,
    bytes: u64,
    count: u64,
    last_key: MessageKey,
}

impl UnexpectedQueue {
    pub(super) fn push(&mut self, tag: u64, size: u64, sender: &Sender, limits: &Limits) -> Arrival {
        self.last_key += 1;
        let key = self.last_key;
        let keep = self.fits(size, limits);
        let state = if keep {
            State::Filling { claimed: None }
        } else {
            State::Parked
        };
        self.messages.push_back(Unexpected {
            key,
            tag,
            size,
            sender: sender.clone(),
            state,
        });
        if keep {
            self.bytes += size;
            self.count += 1;
            Arrival::Keep(key)
        } else {
            Arrival::Park(key)
        }
    }

    fn fits(&self, size: u64, limits: &Limits) -> bool {
        self.count < limits.max_unexpected_messages && size <= limits.max_unexpected_bytes.saturating_sub(self.bytes)
    }

    /// The first message from `after` on that no receive has claimed and that this one takes.
    pub(super) fn unclaimed(&self, after: usize, posted: &Posted) -> Option<usize> {
        let free = |message: &Unexpected| !matches!(message.state, State::Filling { claimed: Some(_) });
        (after..self.messages.len()).find(|&index| {
            let message = &self.messages[index];
            free(message) && posted.takes(message.tag, &message.sender)
        })
    }

    pub(super) fn index(&self, key: MessageKey) -> Option<usize> {
        self.messages.iter().position(|message| message.key == key)
    }

    /// Takes a message out, and its bytes off the count.
    pub(super) fn remove(&mut self, index: usize) -> Unexpected {
        let message = self
            .messages
            .remove(index)
            .expect("callers take the index from this queue under one lock");
        if !matches!(message.state, State::Parked) {
            self.bytes -= message.size;
            self.count -= 1;
        }
        message
    }

    pub(super) fn unclaim(&mut self, wanted: impl Fn(&Posted) -> bool) -> Option<Posted> {
        self.messages.iter_mut().find_map(|message| match &mut message.state {
            State::Filling { claimed } if claimed.as_ref().is_some_and(&wanted) => claimed.take(),
            _ => None,
        })
    }

    pub(super) fn take_late(&mut self, now: Instant) -> Vec<Unexpected> {
        let is_late = |message: &Unexpected| matches!(message.state, State::Kept { deadline, .. } if deadline <= now);
        let mut late = Vec::new();
        while let Some(index) = self.messages.iter().position(is_late) {
            late.push(self.remove(index));
        }
        late
    }

    pub(super) fn take_all(&mut self) -> Vec<Unexpected> {
        (self.bytes, self.count) = (0, 0);
        self.messages.drain(..).collect()
    }

    /// Lets parked messages be kept, in order of arrival, as far as there is room again.
    pub(super) fn promote(&mut self, limits: &Limits) {
        for index in 0..self.messages.len() {
            let message = &self.messages[index];
            if !matches!(message.state, State::Parked) || !self.fits(message.size, limits) {
                continue;
            }
            // A connection that ended in this moment abandons its message itself.
            if message.sender.mailbox.push(Event::Keep(message.key)).is_ok() {
                self.bytes += message.size;
                self.count += 1;
                self.messages[index].state = State::Filling { claimed: None };
            }
        }
    }
}

impl Index<usize> for UnexpectedQueue {
    type Output = Unexpected;

    fn index(&self, index: usize) -> &Unexpected {
        &self.messages[index]
    }
}

impl IndexMut<usize> for UnexpectedQueue {
    fn index_mut(&mut self, index: usize) -> &mut Unexpected {
        &mut self.messages[index]
    }
}
