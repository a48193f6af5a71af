//! Which peers a region is there for, and what each of them may do.

use super::Access;
use crate::auth::TokenId;

/// What the peers of an endpoint may do with a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(Holders);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holders {
    /// Whoever is let in, with a token or without.
    Everybody(Access),
    /// Those who came with one of these tokens, a bit each.
    Tokens { readers: u64, writers: u64 },
}

impl From<Access> for Rights {
    /// The same for whoever is let in.
    fn from(access: Access) -> Self {
        Self(Holders::Everybody(access))
    }
}

impl Rights {
    /// What each of these tokens grants; for all other peers there is no such region.
    pub fn by_token(tokens: impl IntoIterator<Item = (TokenId, Access)>) -> Self {
        let (mut readers, mut writers) = (0, 0);
        for (token, access) in tokens {
            readers |= if access.read { token.bit() } else { 0 };
            writers |= if access.write { token.bit() } else { 0 };
        }
        Self(Holders::Tokens { readers, writers })
    }

    /// What a peer may do that came with `token`, or without one; `None` where there is no such region for it.
    #[inline]
    pub fn of(&self, token: Option<TokenId>) -> Option<Access> {
        match self.0 {
            Holders::Everybody(access) => Some(access),
            Holders::Tokens { readers, writers } => of_token(readers, writers, token?),
        }
    }

    /// Whether they are the same for all peers.
    pub fn is_everybodys(self) -> bool {
        matches!(self.0, Holders::Everybody(_))
    }

    /// What at least one peer may do.
    pub fn most(self) -> Access {
        match self.0 {
            Holders::Everybody(access) => access,
            Holders::Tokens { readers, writers } => Access {
                read: readers != 0,
                write: writers != 0,
            },
        }
    }
}

/// Apart, so that it costs nothing where a region is everybody's.
#[inline(never)]
fn of_token(readers: u64, writers: u64, token: TokenId) -> Option<Access> {
    let access = Access {
        read: readers & token.bit() != 0,
        write: writers & token.bit() != 0,
    };
    (access != Access::NONE).then_some(access)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Tokens;

    #[test]
    fn each_token_has_the_rights_that_it_was_given_and_no_other_peer_has_any() {
        let mut tokens = Tokens::default();
        for number in 0..Tokens::MOST {
            tokens
                .add(&format!("token {number}"), format!("secret {number}").as_bytes())
                .unwrap();
        }
        let id = |number: usize| tokens.id(&format!("token {number}"));
        let all = [Access::NONE, Access::READ, Access::WRITE, Access::READ_WRITE];
        let given = (0..Tokens::MOST).filter_map(|number| Some((id(number)?, all[number % 4])));
        let rights = Rights::by_token(given);
        for number in 0..Tokens::MOST {
            let expected = Some(all[number % 4]).filter(|access| *access != Access::NONE);
            assert_eq!(rights.of(id(number)), expected, "token {number}");
        }
        assert_eq!(rights.of(None), None);
        assert_eq!(rights.most(), Access::READ_WRITE);
        assert!(!rights.is_everybodys());
        let nobodys = Rights::by_token([]);
        assert_eq!((nobodys.of(id(0)), nobodys.most()), (None, Access::NONE));
        for access in all {
            let everybodys = Rights::from(access);
            assert_eq!(everybodys.of(None), Some(access));
            assert_eq!(everybodys.of(id(63)), Some(access));
            assert!(everybodys.is_everybodys());
        }
    }
}
