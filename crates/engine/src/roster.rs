//! Who is connected: peers by their instance, however many connections each has.
//!
//! Touched when a connection opens or ends, never by a request.

use crate::{
    error::Error,
    events::{Event, Events, Parting, Presence, Side},
};
use memlane_wire::Mode;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// The peers of one endpoint that dialled it, or the peer at the other end of one link; and whom to tell.
#[derive(Debug)]
pub(crate) struct Roster {
    side: Side,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    present: HashMap<Key, Entry>,
    watchers: Vec<Watcher>,
    connections: u64,
}

/// What makes two connections those of one peer. Without an instance each is a peer of its own, but for those that we
/// dialled to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Instance([u8; 16]),
    Connection(u64),
    Destination,
}

#[derive(Debug)]
struct Entry {
    who: Arc<Presence>,
    connections: usize,
}

#[derive(Debug)]
struct Watcher {
    events: Arc<Events>,
    uses: usize,
}

impl Roster {
    pub(crate) fn new(side: Side) -> Arc<Self> {
        Arc::new(Self {
            side,
            state: Mutex::default(),
        })
    }

    /// Whose events it tells. Who joins when a peer is connected already is told of it.
    pub(crate) fn join(&self, events: &Arc<Events>) {
        let mut state = self.state.lock();
        let known = state.watchers.iter_mut().find(|one| Arc::ptr_eq(&one.events, events));
        if let Some(watcher) = known {
            watcher.uses += 1;
            return;
        }
        state.watchers.push(Watcher {
            events: Arc::clone(events),
            uses: 1,
        });
        for entry in state.present.values() {
            events.tell(|| Event::Peer(Arc::clone(&entry.who)));
        }
    }

    /// The end of one [`Roster::join`]; with the last, those connected have gone as far as these events are concerned.
    pub(crate) fn leave(&self, events: &Arc<Events>) {
        let mut state = self.state.lock();
        let place = state.watchers.iter().position(|one| Arc::ptr_eq(&one.events, events));
        let Some(place) = place else { return };
        state.watchers[place].uses -= 1;
        if state.watchers[place].uses == 0 {
            state.watchers.swap_remove(place);
            for entry in state.present.values() {
                events.tell(|| Event::Disconnect(Arc::clone(&entry.who), Parting::Local));
            }
        }
    }

    /// A connection is open and it is known who is there; until the attendance is dropped.
    pub(crate) fn arrived(self: &Arc<Self>, address: &Arc<str>, mode: Mode, instance: Option<[u8; 16]>) -> Attendance {
        let mut state = self.state.lock();
        state.connections += 1;
        let key = match (instance, self.side) {
            (Some(instance), _) => Key::Instance(instance),
            (None, Side::Inbound) => Key::Connection(state.connections),
            (None, Side::Outbound) => Key::Destination,
        };
        let State { present, watchers, .. } = &mut *state;
        let entry = present.entry(key).or_insert_with(|| {
            let address = Arc::clone(address);
            let side = self.side;
            Entry {
                who: Arc::new(Presence {
                    address,
                    mode,
                    side,
                    instance,
                }),
                connections: 0,
            }
        });
        entry.connections += 1;
        if entry.connections == 1 {
            // Under the lock: nobody hears of an end before the beginning.
            for watcher in watchers {
                watcher.events.tell(|| Event::Peer(Arc::clone(&entry.who)));
            }
        }
        drop(state);
        Attendance {
            roster: Arc::clone(self),
            key,
            parting: None,
        }
    }

    /// A fault that belongs to no operation.
    pub(crate) fn fault(&self, error: &Error) {
        for watcher in &self.state.lock().watchers {
            watcher.events.tell(|| Event::Error(error.clone()));
        }
    }

    fn departed(&self, key: Key, parting: Parting) {
        let mut state = self.state.lock();
        let State { present, watchers, .. } = &mut *state;
        let Some(entry) = present.get_mut(&key) else { return };
        entry.connections -= 1;
        if entry.connections == 0 {
            for watcher in watchers {
                watcher
                    .events
                    .tell(|| Event::Disconnect(Arc::clone(&entry.who), parting));
            }
            present.remove(&key);
        }
    }
}

/// Where a lane goes to.
#[derive(Clone, Debug)]
pub(crate) struct Destined {
    /// `host:port`, as it is dialled.
    pub(crate) address: Arc<str>,
    roster: Arc<Roster>,
}

impl Destined {
    pub(crate) fn to(address: Arc<str>) -> Self {
        let roster = Roster::new(Side::Outbound);
        Self { address, roster }
    }

    pub(crate) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// See [`Roster::arrived`].
    pub(crate) fn arrived(&self, mode: Mode, instance: Option<[u8; 16]>) -> Attendance {
        self.roster.arrived(&self.address, mode, instance)
    }

    /// Tells a fault of the peer's that belongs to no operation.
    pub(crate) fn fault(&self, error: &Error) {
        self.roster.fault(&error.clone().about(&self.address));
    }
}

/// One open connection of a peer that is known.
#[derive(Debug)]
pub(crate) struct Attendance {
    roster: Arc<Roster>,
    key: Key,
    parting: Option<Parting>,
}

impl Attendance {
    /// Why the connection ends, which it tells. The first reason counts: what follows from it is none.
    pub(crate) fn part(&mut self, parting: Parting) -> Parting {
        *self.parting.get_or_insert(parting)
    }
}

impl Drop for Attendance {
    /// Without a reason its task was dropped, which is this side's doing.
    fn drop(&mut self) {
        self.roster.departed(self.key, self.parting.unwrap_or(Parting::Local));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::channel;

    fn watched() -> Arc<Events> {
        let events = Arc::new(Events::default());
        events.watch(channel::ticket("events").0);
        events
    }

    fn told(events: &Events) -> Vec<String> {
        let line = |event| match event {
            Event::Peer(who) => format!("+{}", who.address),
            Event::Disconnect(who, parting) => format!("-{} {}", who.address, parting.name()),
            Event::Error(error) => error.to_string(),
        };
        events.take().0.into_iter().map(line).collect()
    }

    #[test]
    fn a_peer_comes_with_its_first_connection_and_goes_with_its_last() {
        let (events, roster) = (watched(), Roster::new(Side::Inbound));
        roster.join(&events);
        let arrive = |address: &str, instance| roster.arrived(&address.into(), Mode::Native, Some([instance; 16]));
        let mut first = arrive("a:1", 1);
        let mut second = arrive("a:2", 1);
        let mut other = arrive("b:1", 2);
        assert_eq!(told(&events), ["+a:1", "+b:1"]);
        first.part(Parting::Reset);
        drop(first);
        other.part(Parting::Protocol);
        other.part(Parting::Closed);
        drop(other);
        second.part(Parting::Closed);
        drop(second);
        assert_eq!(told(&events), ["-b:1 protocol", "-a:1 closed"]);
        drop(arrive("a:3", 1));
        assert_eq!(told(&events), ["+a:3", "-a:3 local"]);
    }

    #[test]
    fn without_an_instance_each_connection_to_us_is_a_peer_and_all_of_ours_to_one_address_are_one() {
        for (side, expected) in [(Side::Inbound, 4), (Side::Outbound, 2)] {
            let (events, roster) = (watched(), Roster::new(side));
            roster.join(&events);
            let both: Vec<_> = (0..2)
                .map(|_| roster.arrived(&"a:1".into(), Mode::Legacy, None))
                .collect();
            drop(both);
            assert_eq!(told(&events).len(), expected, "{side:?}");
        }
    }

    #[test]
    fn who_joins_late_is_told_who_is_there_and_who_leaves_that_they_have_gone() {
        let (first, second, roster) = (watched(), watched(), Roster::new(Side::Outbound));
        roster.join(&first);
        let lane = roster.arrived(&"a:1".into(), Mode::Native, Some([1; 16]));
        roster.join(&second);
        roster.join(&second);
        assert_eq!(told(&second), ["+a:1"]);
        roster.leave(&second);
        assert!(told(&second).is_empty(), "one of its peers is still there");
        roster.leave(&second);
        assert_eq!(told(&second), ["-a:1 local"]);
        drop(lane);
        assert_eq!(
            (told(&first), told(&second)),
            (vec!["+a:1".into(), "-a:1 local".into()], vec![])
        );
    }
}
