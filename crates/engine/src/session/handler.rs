//! From a header to what is to be done: pure, without I/O, the whole request checked before its first payload byte.

use crate::{
    config::Limits,
    region::{Access, Held, Registry},
};
use memlane_wire::{Header, Mode, Opcode, Status};

/// What a request asks for, checked.
#[derive(Debug)]
pub(crate) enum Action {
    /// Answer with these bytes of the region that is held now.
    Read { at: usize, len: usize },
    /// Store what follows here, in the region that is held now.
    Write { at: usize, len: usize },
    /// A message of `header.size` bytes follows.
    Message,
    /// Answer with the endpoint info.
    Describe,
    /// Answer.
    Ping,
    /// Nothing follows and nothing is answered.
    Ignore,
    /// Say no. `payload` bytes follow and are drained; after a fatal refusal nothing more is parsed.
    Refuse { status: Status, payload: u64, fatal: bool },
}

/// Decides about one request. The order of the checks is the protocol's: 6, then 1, 2, 3. `held` is the region of the
/// request before it, and then that of this one.
pub(crate) fn decide(header: &Header, mode: Mode, registry: &Registry, held: &mut Held, limits: &Limits) -> Action {
    let fatal = |status| Action::Refuse {
        status,
        payload: 0,
        fatal: true,
    };
    let Some(opcode) = header.opcode() else {
        return fatal(Status::BadRequest);
    };
    match (mode, opcode) {
        (Mode::Legacy, Opcode::Describe | Opcode::Ping) => return fatal(Status::BadRequest),
        (Mode::Native, Opcode::Describe | Opcode::Ping) if header.size != 0 || header.addr != 0 => {
            return fatal(Status::BadRequest);
        }
        (_, Opcode::Send | Opcode::Read | Opcode::Write) if header.size > limits.max_operation_bytes => {
            return fatal(Status::Limit);
        }
        (Mode::Legacy, _) if header.size == 0 => return Action::Ignore,
        _ => {}
    }
    let mut resolve = |access| held.resolve(registry, header.addr, header.size, access);
    // What was granted fits: it is at most the length of a memory.
    let len = header.size as usize;
    match opcode {
        Opcode::Send => Action::Message,
        Opcode::Describe => Action::Describe,
        Opcode::Ping => Action::Ping,
        Opcode::Read => match resolve(Access::READ) {
            Ok(at) => Action::Read { at, len },
            Err(status) => Action::Refuse {
                status,
                payload: 0,
                fatal: mode == Mode::Legacy,
            },
        },
        Opcode::Write => match resolve(Access::WRITE) {
            Ok(at) => Action::Write { at, len },
            Err(status) => {
                let fatal = mode == Mode::Legacy || header.size > limits.drain_bytes;
                Action::Refuse {
                    status,
                    payload: if fatal { 0 } else { header.size },
                    fatal,
                }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(action: Action) -> (Status, u64, bool) {
        match action {
            Action::Refuse { status, payload, fatal } => (status, payload, fatal),
            other => panic!("{other:?} is no refusal"),
        }
    }

    #[test]
    fn unknown_opcodes_end_the_connection_in_both_modes() {
        let (registry, limits) = (Registry::default(), Limits::default());
        for opcode in 5..=255 {
            let header = Header {
                size: 1,
                addr: 1,
                opcode,
            };
            for mode in [Mode::Native, Mode::Legacy] {
                assert_eq!(
                    refusal(decide(&header, mode, &registry, &mut Held::default(), &limits)),
                    (Status::BadRequest, 0, true)
                );
            }
        }
        for opcode in [Opcode::Describe, Opcode::Ping] {
            let plain = Header::new(opcode, 0, 0);
            assert_eq!(
                refusal(decide(&plain, Mode::Legacy, &registry, &mut Held::default(), &limits)).0,
                Status::BadRequest
            );
            for (size, addr) in [(1, 0), (0, 1)] {
                let header = Header::new(opcode, size, addr);
                assert_eq!(
                    refusal(decide(&header, Mode::Native, &registry, &mut Held::default(), &limits)).0,
                    Status::BadRequest
                );
            }
        }
    }

    #[test]
    fn a_size_over_the_limit_is_said_before_anything_else() {
        let (registry, limits) = (Registry::default(), Limits::default());
        for opcode in [Opcode::Send, Opcode::Read, Opcode::Write] {
            for size in [limits.max_operation_bytes + 1, 1 << 63, u64::MAX] {
                let header = Header::new(opcode, size, 12345);
                assert_eq!(
                    refusal(decide(&header, Mode::Native, &registry, &mut Held::default(), &limits)),
                    (Status::Limit, 0, true)
                );
            }
        }
    }

    #[test]
    fn a_refused_write_is_drained_up_to_the_limit_and_ends_the_connection_beyond_it() {
        let (registry, limits) = (Registry::default(), Limits::default());
        let write = |size, mode| {
            let header = Header::new(Opcode::Write, size, 1);
            refusal(decide(&header, mode, &registry, &mut Held::default(), &limits))
        };
        let most = limits.drain_bytes;
        assert_eq!(write(most, Mode::Native), (Status::NoSuchRegion, most, false));
        assert_eq!(write(most + 1, Mode::Native), (Status::NoSuchRegion, 0, true));
        assert_eq!(write(1, Mode::Legacy), (Status::NoSuchRegion, 0, true));
    }
}
