//! Reads `testdata/*.hex`. The format is described in `testdata/README.md`.

#![allow(dead_code, reason = "each test binary uses its part of this module")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Who put a frame on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sender {
    Initiator,
    Target,
}

/// One frame of a vector: what the file says it is, and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) sender: Sender,
    pub(crate) kind: String,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// The field as written; a vector without it is broken.
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.fields.get(name);
        found.unwrap_or_else(|| panic!("{} has no field {name}", self.kind))
    }

    /// The field as a number, decimal or with `0x`.
    pub(crate) fn number(&self, name: &str) -> u64 {
        number(self.field(name)).unwrap_or_else(|| panic!("{name} is no number: {}", self.field(name)))
    }

    /// The field as bytes, written as hex without spaces.
    pub(crate) fn hex<const N: usize>(&self, name: &str) -> [u8; N] {
        let bytes = hex(self.field(name)).expect("hex field");
        bytes.try_into().expect("hex field of the right length")
    }
}

/// One file of `testdata`.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Where the conversation begins: `legacy`, `preface`, or `lane` (after both prefaces).
    pub(crate) start: String,
    pub(crate) frames: Vec<Frame>,
}

impl Vector {
    /// Every byte this side sends, in order.
    pub(crate) fn stream(&self, sender: Sender) -> Vec<u8> {
        let sent = self.frames.iter().filter(|frame| frame.sender == sender);
        sent.flat_map(|frame| frame.bytes.clone()).collect()
    }

    /// The frames of this side, in order.
    pub(crate) fn sent_by(&self, sender: Sender) -> impl Iterator<Item = &Frame> {
        self.frames.iter().filter(move |frame| frame.sender == sender)
    }
}

pub(crate) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// Every vector, sorted by name.
pub(crate) fn vectors() -> Vec<Vector> {
    let mut paths: Vec<PathBuf> = fs::read_dir(testdata())
        .expect("testdata")
        .map(|entry| entry.expect("testdata entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no vectors");
    paths.iter().map(|path| parse(path)).collect()
}

fn parse(path: &Path) -> Vector {
    let text = fs::read_to_string(path).expect("vector file");
    let name = path.file_stem().expect("file name").to_string_lossy().into_owned();
    let mut start = String::new();
    let mut frames: Vec<Frame> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}.hex line {}: {line}", index + 1);
        if line.starts_with('#') {
            continue;
        }
        if let Some((key, rest)) = line.split_once(": ") {
            let sender = match key {
                "start" => {
                    start = rest.to_owned();
                    continue;
                }
                "initiator" => Sender::Initiator,
                "target" => Sender::Target,
                _ => panic!("{place}"),
            };
            let (kind, fields) = rest.split_once(' ').unwrap_or((rest, ""));
            frames.push(Frame {
                sender,
                kind: kind.to_owned(),
                fields: pairs(fields),
                bytes: Vec::new(),
            });
        } else {
            let frame = frames.last_mut().expect(&place);
            match line.contains('=') {
                true => frame.fields.extend(pairs(line)),
                false => frame.bytes.extend(hex(&line.replace(' ', "")).expect(&place)),
            }
        }
    }
    Vector {
        name,
        text,
        start,
        frames,
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    text.split_whitespace()
        .map(|pair| pair.split_once('=').unwrap_or_else(|| panic!("not name=value: {pair}")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A number as the vectors write it; `None` when it is a name instead.
pub(crate) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let digits = text.as_bytes().iter().map(digit).collect::<Option<Vec<u8>>>()?;
    let whole = digits.len().is_multiple_of(2);
    whole.then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
