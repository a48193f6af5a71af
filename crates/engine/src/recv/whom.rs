//! Receives for the messages of one peer, which may be started anew.

use super::{Found, Posted, Receives, Sender};
use crate::{
    error::{Error, ErrorKind},
    op::Instance,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// Who a peer is, for the receives that wait for its messages. Changed under their lock.
#[derive(Debug, Default)]
pub(crate) struct Whom(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// As it last described itself: after a restart another one.
    instance: Option<Instance>,
    /// Nobody receives from it any more.
    closed: bool,
}

impl Whom {
    pub(super) fn is(&self, sender: &Sender) -> bool {
        let known = self.0.lock();
        known.instance.is_some() && known.instance == sender.instance
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

impl Posted {
    /// Whether it waits for a message of this very peer.
    fn is_from(&self, whom: &Arc<Whom>) -> bool {
        self.from.as_ref().is_some_and(|from| Arc::ptr_eq(from, whom))
    }

    pub(super) fn is_from_nobody(&self) -> bool {
        self.from.as_ref().is_some_and(|from| from.is_closed())
    }

    pub(super) fn fail_from_nobody(self) {
        self.ticket.complete(Err(
            Error::new(ErrorKind::Closed).detail("the peer that it was to be from was closed")
        ));
    }
}

impl Receives {
    /// A peer has described itself as this instance. Receives that wait for its messages take those of this instance from
    /// now on, in their order; such as have come already, first.
    pub(crate) fn identify(&self, whom: &Arc<Whom>, instance: Instance) {
        let mut state = self.state.lock();
        if whom.0.lock().instance.replace(instance) == Some(instance) {
            return;
        }
        let (mut index, mut kept) = (0, Vec::new());
        while let Some(posted) = state.posted.get(index) {
            if posted.is_from(whom)
                && state.unexpected.unclaimed(0, posted).is_some()
                && let Some(posted) = state.posted.remove(index)
            {
                match self.find(&mut state, posted) {
                    Found::Nothing(posted) => state.posted.insert(index, posted),
                    Found::Coming => continue,
                    Found::Kept(posted, message) => {
                        kept.push((posted, message));
                        continue;
                    }
                }
            }
            index += 1;
        }
        drop(state);
        for (posted, message) in kept {
            self.hand_over(posted, message);
        }
    }

    /// A peer is closed here: receives that wait for its messages end.
    pub(crate) fn leave(&self, whom: &Arc<Whom>) {
        let mut state = self.state.lock();
        whom.0.lock().closed = true;
        let (mut left, rest): (Vec<_>, Vec<_>) = state.posted.drain(..).partition(|posted| posted.is_from(whom));
        state.posted = rest.into();
        while let Some(claimed) = state.unexpected.unclaim(|posted| posted.is_from(whom)) {
            left.push(claimed);
        }
        drop(state);
        left.into_iter().for_each(Posted::fail_from_nobody);
    }
}
