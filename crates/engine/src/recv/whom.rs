//! Receives for the messages of one peer, which may be started anew.

use super::{Found, Receives, Sender};
use crate::op::Instance;
use parking_lot::Mutex;
use std::sync::Arc;

/// Who a peer is, as it last described itself: after a restart another instance. Changed under the lock of the receives
/// that name it.
#[derive(Debug, Default)]
pub(crate) struct Whom(Mutex<Option<Instance>>);

impl Whom {
    pub(super) fn is(&self, sender: &Sender) -> bool {
        let instance = *self.0.lock();
        instance.is_some() && instance == sender.instance
    }
}

impl Receives {
    /// A peer has described itself as this instance. Receives that wait for its messages take those of this instance from
    /// now on, in their order; such as have come already, first.
    pub(crate) fn identify(&self, whom: &Arc<Whom>, instance: Instance) {
        let mut state = self.state.lock();
        if whom.0.lock().replace(instance) == Some(instance) {
            return;
        }
        let (mut index, mut kept) = (0, Vec::new());
        while let Some(posted) = state.posted.get(index) {
            let is_theirs = posted.from.as_ref().is_some_and(|from| Arc::ptr_eq(from, whom));
            if is_theirs
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
}
