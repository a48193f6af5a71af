//! Shared secrets, and the proofs by which both ends of a connection show that they know one.

use crate::tls::Tls;
use hmac::{Hmac, KeyInit, Mac};
use memlane_wire::{AuthFrame, Preface};
use sha2::{Digest, Sha256};
use std::{fmt, net::IpAddr, num::NonZeroU8, sync::Arc};

/// The secrets of a context, by name. The first is what it dials with; a peer may dial it with any of them, so that one can be
/// replaced while nothing stops.
///
/// Where they came from stays with the caller: only digests are kept.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Token>);

/// Who may connect, and how this side shows that it may.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// None: everybody may.
    pub tokens: Tokens,
    /// What connections are encrypted with; none of them is without.
    pub tls: Option<Arc<Tls>>,
    /// Whether the legacy wire, which knows no tokens, is spoken; by default where there is none.
    pub legacy: Option<bool>,
    /// Whether endpoints may listen beyond this machine without a token or TLS.
    pub allow_unauthenticated: bool,
}

impl Security {
    /// Whether whoever reaches `address` may be let in.
    pub(crate) fn may_listen(&self, address: IpAddr) -> bool {
        address.to_canonical().is_loopback()
            || (!self.tokens.is_empty() && self.legacy != Some(true))
            || self.tls.is_some()
            || self.allow_unauthenticated
    }

    /// Whether a peer may speak the legacy wire.
    pub(crate) fn takes_legacy(&self) -> bool {
        self.tls.is_none() && self.legacy.unwrap_or(self.tokens.is_empty())
    }
}

#[derive(Clone)]
struct Token {
    name: Box<str>,
    /// What a preface says of the name.
    hint: u32,
    /// SHA-256 of the secret, so that no two secrets become one key, and zeroes up to the block that HMAC wants.
    key: [u8; 64],
}

/// One of the tokens of a context, by its place among them: what is kept of a proof that let a peer in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenId(NonZeroU8);

impl TokenId {
    fn at(place: usize) -> Option<Self> {
        u8::try_from(place + 1).ok().and_then(NonZeroU8::new).map(Self)
    }

    /// Its bit in a set of tokens; there are at most 64.
    pub(crate) fn bit(self) -> u64 {
        1 << (self.0.get() - 1)
    }
}

/// Why tokens are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// A secret of no bytes.
    Empty,
    /// Two have one name, or names that a preface cannot tell apart.
    Ambiguous,
    /// Two are one secret, so that whoever knows it could come as either.
    Repeated,
    /// More than 64.
    TooMany,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a token has no bytes",
            Self::Ambiguous => "two tokens have names that cannot be told apart",
            Self::Repeated => "two tokens are one secret",
            Self::TooMany => "there are more than 64 tokens",
        })
    }
}

impl std::error::Error for TokenError {}

/// Which side of a connection a proof is of; neither passes for the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Initiator,
    Target,
}

impl Role {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Initiator => b"memlane i",
            Self::Target => b"memlane t",
        }
    }
}

impl Tokens {
    /// Most tokens that a context has.
    pub const MOST: usize = 64;

    /// Adds a secret. The empty name is that of a secret that has none.
    ///
    /// # Errors
    /// As [`TokenError`] says; nothing was added then.
    pub fn add(&mut self, name: &str, secret: &[u8]) -> Result<(), TokenError> {
        let hint = hint(name);
        if secret.is_empty() {
            return Err(TokenError::Empty);
        }
        if self.0.iter().any(|token| token.hint == hint) {
            return Err(TokenError::Ambiguous);
        }
        if self.0.len() == Self::MOST {
            return Err(TokenError::TooMany);
        }
        let mut key = [0; 64];
        key[..32].copy_from_slice(&Sha256::digest(secret));
        if self.0.iter().any(|token| token.key == key) {
            return Err(TokenError::Repeated);
        }
        self.0.push(Token {
            name: name.into(),
            hint,
            key,
        });
        Ok(())
    }

    /// Whether peers need none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a peer that hints at a name so can have one of these.
    pub(crate) fn knows(&self, hint: u32) -> bool {
        self.0.iter().any(|token| token.hint == hint)
    }

    /// The token of that name.
    pub fn id(&self, name: &str) -> Option<TokenId> {
        TokenId::at(self.0.iter().position(|token| *token.name == *name)?)
    }

    /// What a preface of ours says of the token that it is dialled with.
    pub(crate) fn dialled_hint(&self) -> Option<u32> {
        self.0.first().map(|token| token.hint)
    }

    /// The proof of `role` by the token that we dial with.
    pub(crate) fn dialled_proof(&self, role: Role, prefaces: &Prefaces) -> Option<AuthFrame> {
        self.0.first().map(|token| token.proof(role, prefaces))
    }

    /// Whether `proof` is that of `role` by the token that we dial with. Takes as long for each wrong proof as for the right one.
    pub(crate) fn dialled_accepts(&self, role: Role, prefaces: &Prefaces, proof: AuthFrame) -> bool {
        self.0.first().is_some_and(|token| token.accepts(role, prefaces, proof))
    }

    /// The proof of ours that answers a peer's, if that is by the token which its preface names; and which one that is.
    pub(crate) fn admit(&self, hint: u32, prefaces: &Prefaces, proof: AuthFrame) -> Option<(TokenId, AuthFrame)> {
        let place = self.0.iter().position(|token| token.hint == hint)?;
        let (token, id) = (&self.0[place], TokenId::at(place)?);
        token
            .accepts(Role::Initiator, prefaces, proof)
            .then(|| (id, token.proof(Role::Target, prefaces)))
    }
}

/// The prefaces of a connection as they were on the wire: a proof is good for no other connection.
#[derive(Clone, Debug)]
pub(crate) struct Prefaces {
    pub(crate) initiator: [u8; Preface::LEN],
    pub(crate) target: [u8; Preface::LEN],
}

impl Token {
    fn mac(&self, role: Role, prefaces: &Prefaces) -> Hmac<Sha256> {
        Hmac::<Sha256>::new(&self.key.into())
            .chain_update(role.label())
            .chain_update(prefaces.initiator)
            .chain_update(prefaces.target)
    }

    fn proof(&self, role: Role, prefaces: &Prefaces) -> AuthFrame {
        AuthFrame(self.mac(role, prefaces).finalize().into_bytes().into())
    }

    fn accepts(&self, role: Role, prefaces: &Prefaces, proof: AuthFrame) -> bool {
        self.mac(role, prefaces).verify(&proof.encode().into()).is_ok()
    }
}

/// What a preface says of a name: nothing of the empty one.
fn hint(name: &str) -> u32 {
    if name.is_empty() {
        return 0;
    }
    let digest = Sha256::digest(name);
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|token| &token.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(list: &[(&str, &str)]) -> Tokens {
        let mut tokens = Tokens::default();
        for (name, secret) in list {
            tokens.add(name, secret.as_bytes()).unwrap();
        }
        tokens
    }

    fn prefaces() -> Prefaces {
        Prefaces {
            initiator: [1; Preface::LEN],
            target: [2; Preface::LEN],
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// By Python's `hmac.digest(sha256(b"secret"), b"memlane i" + b"\1" * 64 + b"\2" * 64, "sha256")`, and with `t`.
    #[test]
    fn proofs_are_those_of_another_implementation() {
        let tokens = tokens(&[("", "secret")]);
        let by_initiator = tokens.dialled_proof(Role::Initiator, &prefaces()).unwrap();
        let (_, by_target) = tokens.admit(0, &prefaces(), by_initiator).unwrap();
        assert_eq!(
            hex(&by_initiator.0),
            "3c1aaa8a297e886386ac0af1faabe46fd19a1de7c76511f77f9c25b9f56721e8"
        );
        assert_eq!(
            hex(&by_target.0),
            "f6f6909364dfc439d674d54febfc0b0cd654cf7d6b643eb7ab14b0a8e13576c1"
        );
    }

    /// By Python's `sha256(b"trainer").digest()[:4]`.
    #[test]
    fn a_name_is_hinted_at_by_its_digest_and_no_name_by_nothing() {
        assert_eq!(tokens(&[("trainer", "x")]).dialled_hint(), Some(0xa817_ea06));
        assert_eq!(tokens(&[("", "x")]).dialled_hint(), Some(0));
        assert_eq!(Tokens::default().dialled_hint(), None);
    }

    #[test]
    fn a_proof_is_good_for_its_secret_its_role_and_its_connection_alone() {
        let ours = tokens(&[("", "t")]);
        let proof = ours.dialled_proof(Role::Initiator, &prefaces()).unwrap();
        assert!(ours.admit(0, &prefaces(), proof).is_some());
        // Padding a key with zeroes, as HMAC does, would make these two the same.
        assert!(tokens(&[("", "t\0")]).admit(0, &prefaces(), proof).is_none());
        let mut other = prefaces();
        other.target[40] ^= 1;
        assert!(ours.admit(0, &other, proof).is_none());
        assert!(!ours.dialled_accepts(Role::Target, &prefaces(), proof), "reflected");
        assert!(ours.admit(7, &prefaces(), proof).is_none(), "a name that is not there");
        for bit in 0..256 {
            let mut wrong = proof;
            wrong.0[bit / 8] ^= 1 << (bit % 8);
            assert!(ours.admit(0, &prefaces(), wrong).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_peer_may_come_with_any_token() {
        let target = tokens(&[("new", "b"), ("old", "a")]);
        let initiator = tokens(&[("old", "a")]);
        let proof = initiator.dialled_proof(Role::Initiator, &prefaces()).unwrap();
        let (id, answer) = target
            .admit(initiator.dialled_hint().unwrap(), &prefaces(), proof)
            .unwrap();
        assert_eq!(Some(id), target.id("old"));
        assert!(initiator.dialled_accepts(Role::Target, &prefaces(), answer));
    }

    #[test]
    fn a_secret_of_no_bytes_and_a_name_or_a_secret_twice_are_refused_and_secrets_are_not_printed() {
        let mut ours = tokens(&[("a", "hush")]);
        assert_eq!(ours.add("b", b""), Err(TokenError::Empty));
        assert_eq!(ours.add("a", b"other"), Err(TokenError::Ambiguous));
        assert_eq!(ours.add("b", b"hush"), Err(TokenError::Repeated));
        assert_eq!(format!("{ours:?}"), r#"["a"]"#);
        for number in 1..Tokens::MOST {
            ours.add(&number.to_string(), &number.to_le_bytes()).unwrap();
        }
        assert_eq!(ours.add("one more", b"x"), Err(TokenError::TooMany));
    }
}
