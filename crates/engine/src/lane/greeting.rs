//! The first bytes of a native connection: prefaces, and where there is a token the proofs of both sides.

use super::{
    End, Lane,
    read::{Incoming, violation},
};
use crate::{
    auth::{Prefaces, Role, Security},
    error::{Error, ErrorKind},
    io::{TLS_ALERT, Transport},
    random::random,
};
use memlane_wire::{AuthFrame, Mode, Preface};

impl<T: Transport> Lane<T> {
    /// Says who is there.
    pub(super) fn introduce(&mut self) -> Result<(), End> {
        // For each connection its own, so that what a target once proved proves nothing on the next.
        self.preface.nonce = random()?;
        if let Some(hint) = self.security.tokens.dialled_hint() {
            self.preface.flags |= Preface::FLAG_AUTH;
            self.preface.token_hint = hint;
        }
        self.tx.push(&self.preface.encode());
        Ok(())
    }

    pub(super) fn handle_preface(&mut self) -> Result<bool, Error> {
        if self.rx.bytes().starts_with(&TLS_ALERT[..2]) {
            return Err(Error::new(ErrorKind::Tls).detail("the peer speaks TLS, and none is configured here"));
        }
        // The first byte that is no preface's decides, however few more of them come.
        if Mode::sniff(self.rx.bytes()) == Some(Mode::Legacy) {
            return Err(violation("what answers there is no memlane endpoint"));
        }
        let Some(&bytes) = self.rx.bytes().first_chunk::<{ Preface::LEN }>() else {
            return Ok(false);
        };
        let preface = Preface::decode(&bytes).and_then(|preface| preface.chosen_version().map(|_| preface));
        let preface = preface.map_err(|error| violation(&error.to_string()))?;
        self.rx.consume(Preface::LEN);
        self.instance = Some(preface.instance);
        let prefaces = Prefaces {
            initiator: self.preface.encode(),
            target: bytes,
        };
        match (
            self.security.tokens.dialled_proof(Role::Initiator, &prefaces),
            preface.wants_auth(),
        ) {
            (None, false) => self.open(),
            (Some(proof), true) => {
                self.tx.push(&proof.encode());
                self.incoming = Incoming::Proof(Box::new(prefaces));
            }
            (None, true) => {
                return Err(unauthenticated(
                    "the peer asks for a token, and none is configured here",
                ));
            }
            (Some(_), false) => return Err(unauthenticated("the peer has no token, and one is configured here")),
        }
        Ok(true)
    }

    pub(super) fn handle_proof(&mut self) -> Result<bool, Error> {
        let (Incoming::Proof(prefaces), Some(proof)) = (&self.incoming, AuthFrame::take(self.rx.bytes())) else {
            return Ok(false);
        };
        let accepted = self.security.tokens.dialled_accepts(Role::Target, prefaces, proof);
        self.rx.consume(AuthFrame::LEN);
        if proof.is_refusal() {
            return Err(unauthenticated("the peer refused the token"));
        }
        if !accepted {
            return Err(unauthenticated("what answers there does not know the token"));
        }
        self.open();
        Ok(true)
    }

    /// It is known who is there: requests may go out.
    fn open(&mut self) {
        self.incoming = Incoming::Answer;
        self.greet(self.instance);
        self.issue();
    }
}

/// A legacy peer can prove nothing; whoever changed what says how to reach one must not get around that.
pub(super) fn without_proof(security: &Security) -> Error {
    unauthenticated(if security.tls.is_some() {
        "the legacy wire is not spoken over TLS, which is configured here"
    } else if security.tokens.is_empty() {
        "the legacy wire is not spoken here"
    } else {
        "the legacy wire knows no tokens, and one is configured here"
    })
}

fn unauthenticated(why: &str) -> Error {
    Error::new(ErrorKind::Auth).detail(why)
}
