//! The first bytes of a connection: which wire it speaks, and the prefaces of the native one.

use super::{End, Phase, Session};
use crate::{
    error::{Error, ErrorKind},
    events::{Event, Parting},
    io::Transport,
    log::complain,
};
use memlane_wire::{Mode, Preface};
use tracing::debug;

impl<T: Transport> Session<T> {
    /// Whether the mode is known now.
    pub(super) fn handle_sniff(&mut self) -> bool {
        let Some(mode) = Mode::sniff(self.rx.bytes()) else {
            return false;
        };
        self.mode = mode;
        self.phase = match mode {
            Mode::Native => Phase::Preface,
            Mode::Legacy => {
                self.target.stats.legacy.add(1);
                self.greet();
                Phase::Header
            }
        };
        true
    }

    /// Whether the preface was there, and is answered.
    ///
    /// A peer that wants to authenticate is told by our preface that nobody here does, and is left alone: the mismatch
    /// is an error at its end, never a connection that it believes to be authenticated.
    pub(super) fn handle_preface(&mut self) -> Result<bool, End> {
        let Some(bytes) = self.rx.bytes().first_chunk::<{ Preface::LEN }>() else {
            return Ok(false);
        };
        let theirs = Preface::decode(bytes).and_then(|preface| preface.chosen_version().map(|_| preface));
        self.rx.consume(Preface::LEN);
        let Ok(theirs) = theirs else {
            self.broke_protocol("a preface that makes no sense, or of another version");
            return Err(End(Parting::Protocol));
        };
        self.instance = Some(theirs.instance);
        let ours = self.target.preface().map_err(|_| End(Parting::Local))?;
        self.tx.push(&ours.encode());
        self.phase = Phase::Header;
        if theirs.wants_auth() {
            self.target.stats.auth_failures.add(1);
            complain(
                &self.from,
                "authentication failed",
                "the peer wants to authenticate and no token is configured here",
            );
            let error =
                Error::new(ErrorKind::Auth).detail("the peer wants to authenticate, and no token is configured here");
            self.target.events.tell(|| Event::Error(error.about(&self.from)));
            self.close_after_answers(Parting::Auth);
        } else {
            self.instance = Some(theirs.instance);
            self.greet();
        }
        Ok(true)
    }

    /// It is known who is there.
    fn greet(&mut self) {
        debug!(peer = %self.from, wire = ?self.mode, "session opened");
        let roster = &self.target.roster;
        self.attendance = Some(roster.arrived(&self.from, self.mode, self.instance));
    }
}
