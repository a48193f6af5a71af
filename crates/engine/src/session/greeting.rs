//! The first bytes of a connection: which wire it speaks, and the prefaces of the native one.

use super::{End, Phase, Session};
use crate::{
    auth::Prefaces,
    error::{Error, ErrorKind},
    events::{Event, Parting},
    io::{Distrust, TLS_ALERT, Transport},
    log::complain,
    region::Held,
};
use memlane_wire::{AuthFrame, Mode, Preface};
use std::io;
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
            Mode::Legacy if is_half_a_hello(self.rx.bytes()) => return false,
            Mode::Legacy if is_hello(self.rx.bytes()) => {
                self.tx.push(&TLS_ALERT);
                self.refuse_entry(
                    ErrorKind::Tls,
                    "TLS failed",
                    "the peer speaks TLS, and none is configured here",
                );
                return true;
            }
            Mode::Legacy if self.target.security.tls.is_some() => {
                self.turn_away("the legacy wire is not spoken over TLS");
                return true;
            }
            Mode::Legacy if !self.target.security.takes_legacy() => {
                self.turn_away(if self.target.security.tokens.is_empty() {
                    "the legacy wire is not spoken here"
                } else {
                    "a peer without a preface has no token"
                });
                return true;
            }
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
    /// Where one side has tokens and the other has none, our preface tells the peer so and nothing else follows: the mismatch is
    /// an error at its end, never a connection that one of the two believes to be authenticated.
    pub(super) fn handle_preface(&mut self) -> Result<bool, End> {
        let Some(&bytes) = self.rx.bytes().first_chunk::<{ Preface::LEN }>() else {
            return Ok(false);
        };
        let theirs = Preface::decode(&bytes).and_then(|preface| preface.chosen_version().map(|_| preface));
        self.rx.consume(Preface::LEN);
        let Ok(theirs) = theirs else {
            self.broke_protocol("a preface that makes no sense, or of another version");
            return Err(End(Parting::Protocol));
        };
        self.instance = Some(theirs.instance);
        let ours = self.target.preface().map_err(|_| End(Parting::Local))?.encode();
        self.tx.push(&ours);
        match (self.target.security.tokens.is_empty(), theirs.wants_auth()) {
            (true, false) => {
                self.phase = Phase::Header;
                self.greet();
            }
            (false, true) => {
                self.phase = Phase::Proof {
                    hint: theirs.token_hint,
                    prefaces: Box::new(Prefaces {
                        initiator: bytes,
                        target: ours,
                    }),
                };
            }
            (true, true) => self.turn_away("the peer wants to authenticate, and no token is configured here"),
            (false, false) => self.turn_away("the peer has no token"),
        }
        Ok(true)
    }

    /// Whether the proof was there. Until it is, and holds, nothing of what the peer sends is looked at.
    pub(super) fn handle_proof(&mut self) -> bool {
        let Phase::Proof { hint, prefaces } = &self.phase else {
            return false;
        };
        let Some(proof) = AuthFrame::take(self.rx.bytes()) else {
            return false;
        };
        let tokens = &self.target.security.tokens;
        let (hint, admitted) = (*hint, tokens.admit(*hint, prefaces, proof));
        self.rx.consume(AuthFrame::LEN);
        match admitted {
            Some((token, answer)) => {
                self.held = Held::by(token);
                self.tx.push(&answer.encode());
                self.phase = Phase::Header;
                self.greet();
            }
            None => {
                // So that it is not taken for a connection that was lost.
                self.tx.push(&AuthFrame::REFUSAL.encode());
                // Which it was is told on this side alone: it is nobody's business who cannot prove anything.
                self.turn_away(if self.target.security.tokens.knows(hint) {
                    "the peer's proof does not hold: it has another secret for the token of that name"
                } else if hint == 0 {
                    "the peer's token has no name, and no token here is without one"
                } else {
                    "no token here has the name that the peer's preface hints at"
                });
            }
        }
        true
    }

    /// The connection failed; a peer that the transport does not let in hears why, as one without a token does.
    pub(super) fn lose_trust(&mut self, error: io::Error) -> Result<usize, End> {
        match (Distrust::of(&error), &self.phase) {
            (Some(why), Phase::Sniff) => {
                self.refuse_entry(ErrorKind::Tls, "TLS failed", why);
                Ok(0)
            }
            _ => Err(error.into()),
        }
    }

    /// The peer may not come in; what it sends from now on goes nowhere.
    fn turn_away(&mut self, why: &str) {
        self.refuse_entry(ErrorKind::Auth, "authentication failed", why);
    }

    fn refuse_entry(&mut self, kind: ErrorKind, what: &'static str, why: &str) {
        self.target.stats.auth_failures.add(1);
        complain(&self.from, what, why);
        let error = Error::new(kind).detail(why);
        self.target.events.tell(|| Event::Error(error.about(&self.from)));
        self.close_after_answers(Parting::Auth);
    }

    /// It is known who is there.
    fn greet(&mut self) {
        debug!(peer = %self.from, wire = ?self.mode, "session opened");
        let roster = &self.target.roster;
        self.attendance = Some(roster.arrived(&self.from, self.mode, self.instance));
    }
}

/// Whether a peer begins with TLS: a record of a handshake (22, 3, a version, a length), and in it a ClientHello (1). A legacy header
/// that began so would declare more than 1 TiB, which no limit allows.
fn is_hello(bytes: &[u8]) -> bool {
    matches!(bytes, [22, 3, 0..=4, _, _, 1, ..])
}

/// Whether it may be one, and is too short to tell.
fn is_half_a_hello(bytes: &[u8]) -> bool {
    bytes.len() < 6 && bytes.starts_with(&[22, 3][..bytes.len().min(2)])
}
