//! The first bytes of a connection, of either side: nobody gets further than its preface and its proof allow.
//!
//! What they allow is worked out here anew, out of the bytes that were said and `docs/protocol.md` alone.

use super::{
    input::{Cuts, Input},
    line::{Line, Side, said},
    rig::{Ops, bytes_of, connect, lane, region, target},
};
use crate::{
    auth::{Security, Tokens},
    error::ErrorKind,
    op::{Done, Request},
    region::{Access, memory::Memory, span::Span},
};
use hmac::{Hmac, KeyInit, Mac};
use memlane_wire::{AuthFrame, Header, Opcode, Preface, Status, StatusFrame};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};

/// Names and secrets. The target has the first ones, the last is nobody's.
const SECRETS: [(&str, &str); 4] = [
    ("", "t"),
    ("primary", "open sesame"),
    ("old", "t\0"),
    ("stranger", "guess"),
];

/// The secrets that a side is configured with.
fn configured(choice: usize) -> &'static [(&'static str, &'static str)] {
    [&[], &SECRETS[..1], &SECRETS[1..3], &SECRETS[..3]][choice % 4]
}

fn security(secrets: &[(&str, &str)], legacy: bool) -> Arc<Security> {
    let mut tokens = Tokens::default();
    for (name, secret) in secrets {
        tokens
            .add(name, secret.as_bytes())
            .expect("names and secrets of our own");
    }
    Arc::new(Security {
        tokens,
        legacy: legacy.then_some(true),
        allow_unauthenticated: true,
        ..Security::default()
    })
}

fn hint(name: &str) -> u32 {
    let digest = Sha256::digest(name);
    let [a, b, c, d] = [digest[0], digest[1], digest[2], digest[3]];
    if name.is_empty() {
        0
    } else {
        u32::from_le_bytes([a, b, c, d])
    }
}

fn proof(secret: &str, label: &[u8], initiator: &[u8], target: &[u8]) -> [u8; AuthFrame::LEN] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(&Sha256::digest(secret));
    let mac = Hmac::<Sha256>::new(&key.into())
        .chain_update(label)
        .chain_update(initiator)
        .chain_update(target);
    mac.finalize().into_bytes().into()
}

/// What the first 64 bytes of a side say.
struct Greeting {
    wants_auth: bool,
    hint: u32,
}

/// What those bytes are; `None` where they are no preface that anybody may answer.
fn greeting(bytes: &[u8]) -> Option<Greeting> {
    let (lowest, highest) = (bytes[8], bytes[9]);
    let is_one = bytes[..8] == *b"memlane\0" && lowest == 1 && highest >= 1;
    is_one.then(|| Greeting {
        wants_auth: bytes[10] & 1 == 1,
        hint: u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]),
    })
}

/// Whether no preface can begin so.
fn is_foreign(bytes: &[u8]) -> bool {
    !b"memlane\0".starts_with(&bytes[..bytes.len().min(8)])
}

pub(super) async fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let secrets = configured(input.below(4));
    if input.flag() {
        as_initiator(secrets, &mut input).await;
    } else {
        let legacy = input.flag();
        as_target(secrets, legacy, &mut input).await;
    }
}

/// The next thing that is said. `prefaces` are the initiator's and the target's, as far as they are known.
fn speech(input: &mut Input<'_>, ours: &[u8], theirs: &[u8], we_dialled: bool) -> Vec<u8> {
    match input.below(6) {
        0 => {
            let count = input.below(100);
            input.bytes(count).to_vec()
        }
        1 => {
            let mut bytes = Preface {
                lowest: 1,
                highest: 1,
                flags: u16::from(input.byte()),
                token_hint: hint(SECRETS[input.below(4)].0),
                instance: [input.byte(); 16],
                nonce: [input.byte(); 32],
            }
            .encode();
            if let Some(byte) = bytes.get_mut(input.below(160)) {
                *byte ^= input.byte();
            }
            let kept = Preface::LEN - input.below(250).saturating_sub(250 - Preface::LEN);
            bytes[..kept].to_vec()
        }
        2 => {
            let (_, secret) = SECRETS[input.below(4)];
            let label: &[u8] = if input.flag() != we_dialled {
                b"memlane i"
            } else {
                b"memlane t"
            };
            let (initiator, target) = if we_dialled { (ours, theirs) } else { (theirs, ours) };
            let mut bytes = proof(secret, label, initiator, target);
            if let Some(byte) = bytes.get_mut(input.below(100)) {
                *byte ^= input.byte();
            }
            bytes.to_vec()
        }
        // What the other side has said comes back to it.
        3 => theirs.to_vec(),
        4 => Header::new(Opcode::Read, 8, SECRET_AT).encode().to_vec(),
        _ => {
            let mut bytes = Header::new(Opcode::Write, 4, SECRET_AT).encode().to_vec();
            bytes.extend([0xee; 4]);
            bytes
        }
    }
}

/// Of the operation that waits for the handshake.
const PATIENCE: Duration = Duration::from_secs(50);

const SECRET_AT: u64 = 0x1234_5678_9000;

/// How far an initiator got that has said `said`, and has heard `heard`: so many bytes of the answer are those of the handshake,
/// and whether it is in.
fn reached(secrets: &[(&str, &str)], legacy: bool, said: &[u8], heard: &[u8]) -> (usize, bool) {
    if is_foreign(said) {
        return (0, secrets.is_empty() || legacy);
    }
    let Some(greeting) = said.get(..Preface::LEN).and_then(greeting) else {
        return (0, false);
    };
    if secrets.is_empty() || !greeting.wants_auth {
        return (Preface::LEN, secrets.is_empty() && !greeting.wants_auth);
    }
    let secret = secrets.iter().find(|(name, _)| hint(name) == greeting.hint);
    let proven = said.get(Preface::LEN..Preface::LEN + AuthFrame::LEN);
    match (secret, proven, heard.get(..Preface::LEN)) {
        (Some((_, secret)), Some(proven), Some(target))
            if *proven == proof(secret, b"memlane i", &said[..Preface::LEN], target) =>
        {
            (Preface::LEN + AuthFrame::LEN, true)
        }
        // A refusal is said.
        (_, Some(_), _) => (Preface::LEN + AuthFrame::LEN, false),
        _ => (Preface::LEN, false),
    }
}

async fn as_target(secrets: &[(&str, &str)], legacy: bool, input: &mut Input<'_>) {
    let target = target(security(secrets, legacy));
    let secret = region(&target, "secret", SECRET_AT, 64, Access::READ_WRITE);
    let before = bytes_of(&secret);
    let cuts = input.cuts();
    let (mut line, session) = connect(&target, input.step(), said(usize::MAX));
    let mut spoken = Vec::new();
    while !input.is_empty() && spoken.len() < 4096 {
        let ours = &spoken[..spoken.len().min(Preface::LEN)];
        let theirs = line.heard.get(..Preface::LEN).unwrap_or_default();
        let speech = speech(input, ours, theirs, true);
        say(&line, &session, &cuts, &speech).await;
        spoken.extend(speech);
        session.settle(&mut line).await;
        check_reach(secrets, legacy, &spoken, &line.heard);
        if !reached(secrets, legacy, &spoken, &line.heard).1 {
            assert_eq!(bytes_of(&secret), before, "written by somebody who is not in");
        }
    }
    let (handshake, is_in) = reached(secrets, legacy, &spoken, &line.heard);
    if is_in && handshake > 0 && spoken.len() == handshake {
        line.say(&Header::new(Opcode::Ping, 0, 0).encode());
        session.settle(&mut line).await;
        assert_eq!(
            line.heard[handshake..],
            StatusFrame::new(0, Status::Ok).encode(),
            "who is in is served"
        );
    }
    line.shut();
    session.pass(&mut line, Duration::from_secs(100)).await;
    assert!(session.has_ended(), "a session outlives its initiator");
    session.join().await;
}

/// What was heard is what may be said to somebody who said that.
fn check_reach(secrets: &[(&str, &str)], legacy: bool, spoken: &[u8], heard: &[u8]) {
    let (handshake, is_in) = reached(secrets, legacy, spoken, heard);
    assert!(
        heard.len() >= handshake,
        "{} of {handshake} bytes of the handshake",
        heard.len()
    );
    assert!(
        is_in || heard.len() == handshake,
        "{} bytes for somebody who is not in",
        heard.len()
    );
    if handshake == 0 {
        return;
    }
    let greeting = greeting(&heard[..Preface::LEN]).expect("a target greets by the protocol");
    assert_eq!(heard[9], 1, "the version that was chosen");
    assert_eq!((greeting.wants_auth, greeting.hint), (!secrets.is_empty(), 0));
    if handshake > Preface::LEN && !is_in {
        assert_eq!(
            heard[Preface::LEN..handshake],
            [0; AuthFrame::LEN],
            "the target's refusal"
        );
    } else if handshake > Preface::LEN {
        let (initiator, target) = (&spoken[..Preface::LEN], &heard[..Preface::LEN]);
        let is_right = |(_, secret): &(&str, &str)| {
            heard[Preface::LEN..handshake] == proof(secret, b"memlane t", initiator, target)
        };
        assert!(secrets.iter().any(is_right), "the target's proof");
    }
}

async fn say(line: &Line, side: &Side, cuts: &Cuts, bytes: &[u8]) {
    for piece in cuts.pieces(bytes) {
        line.say(piece);
        side.rest().await;
    }
}

async fn as_initiator(secrets: &[(&str, &str)], input: &mut Input<'_>) {
    let cuts = input.cuts();
    let (mut line, lane) = lane(security(secrets, false), input.step(), said(usize::MAX));
    let memory = Memory::private(8).expect("8 bytes");
    let into = Span::whole(Arc::clone(&memory));
    let ops = Ops::watching(memory);
    let request = Request::Read {
        addr: SECRET_AT,
        into: into.clone(),
    };
    lane.submit(&ops, 0, request, PATIENCE);
    lane.side.settle(&mut line).await;
    let mut spoken = Vec::new();
    while !input.is_empty() && spoken.len() < 4096 {
        let ours = &spoken[..spoken.len().min(Preface::LEN)];
        let theirs = &line.heard[..Preface::LEN];
        let speech = speech(input, ours, theirs, false);
        say(&line, &lane.side, &cuts, &speech).await;
        spoken.extend(speech);
        lane.side.settle(&mut line).await;
        check_initiator(secrets, &spoken, &line.heard);
    }
    let is_open = check_initiator(secrets, &spoken, &line.heard);
    line.end();
    lane.side.pass(&mut line, Duration::from_secs(100)).await;
    assert!(lane.side.has_ended(), "a lane outlives its target");
    lane.side.join().await;
    let ended = ops.ended();
    assert_eq!(ended.len(), 1, "the read ends once: {ended:?}");
    match &ended[0].result {
        Ok(done) => {
            assert!(is_open, "a read succeeded by somebody who proved nothing");
            assert_eq!(*done, Done::Bytes(8));
        }
        Err(kind) => {
            let blame = [
                ErrorKind::Auth,
                ErrorKind::Protocol,
                ErrorKind::Connect,
                ErrorKind::PeerClosed,
            ];
            let refused = Status::ALL.iter().any(|status| ErrorKind::from(*status) == *kind);
            assert!(blame.contains(kind) || (is_open && refused), "{kind:?}");
            if !is_open {
                let mut bytes = [1; 8];
                into.copy_out(0, &mut bytes).expect("private memory");
                assert_eq!(bytes, [0; 8], "bytes of somebody who proved nothing");
            }
        }
    }
}

/// Whether the target is known by what it said; nothing but the handshake was said to one that is not.
fn check_initiator(secrets: &[(&str, &str)], spoken: &[u8], heard: &[u8]) -> bool {
    let (initiator, said) = heard.split_at(Preface::LEN);
    let own = greeting(initiator).expect("an initiator greets by the protocol");
    assert_eq!(own.wants_auth, !secrets.is_empty());
    assert_eq!(own.hint, secrets.first().map_or(0, |(name, _)| hint(name)));
    let theirs = spoken.get(..Preface::LEN).and_then(greeting);
    if theirs.is_none_or(|theirs| theirs.wants_auth != own.wants_auth) {
        assert!(
            said.is_empty(),
            "{} bytes for somebody who is no peer of ours",
            said.len()
        );
        return false;
    }
    let (target, behind) = spoken.split_at(Preface::LEN);
    let Some((_, secret)) = secrets.first() else {
        check_said(said, Header::LEN, behind.is_empty());
        return true;
    };
    let ours = proof(secret, b"memlane i", initiator, target);
    assert!(ours.starts_with(&said[..said.len().min(ours.len())]), "our proof");
    let is_open = behind.starts_with(&proof(secret, b"memlane t", initiator, target));
    let most = ours.len() + if is_open { Header::LEN } else { 0 };
    let is_exact = behind.is_empty() || (is_open && behind.len() == AuthFrame::LEN);
    check_said(said, most, is_exact);
    is_open
}

/// At most so much was said; exactly that to somebody who has said no more than the handshake: of more there may be something that
/// ended the connection before.
fn check_said(said: &[u8], most: usize, is_exact: bool) {
    assert!(
        said.len() == most || (said.len() < most && !is_exact),
        "{} of {most} bytes",
        said.len()
    );
}
