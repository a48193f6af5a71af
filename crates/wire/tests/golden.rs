//! The golden vectors say what the codec does.

mod support;

use std::collections::BTreeSet;
use std::fs;

use memlane_wire::{AuthFrame, DescribeLength, Header, Mode, Opcode, Preface, PrefaceError, Status, StatusFrame};
use support::{Frame, Sender, Vector, number, testdata, vectors};

fn opcode(text: &str) -> u8 {
    let named = Opcode::ALL.into_iter().find(|opcode| opcode.name() == text);
    let wire = named.map(|opcode| opcode.wire());
    wire.or_else(|| number(text).and_then(|value| value.try_into().ok()))
        .expect("opcode")
}

fn status(text: &str) -> u32 {
    let named = Status::ALL.iter().find(|status| status.name() == text);
    let wire = named.map(|status| status.wire());
    wire.or_else(|| number(text).and_then(|value| value.try_into().ok()))
        .expect("status")
}

fn header(frame: &Frame) -> Header {
    Header {
        size: frame.number("size"),
        addr: frame.number("addr"),
        opcode: opcode(frame.field("opcode")),
    }
}

fn status_frame(frame: &Frame) -> StatusFrame {
    let sequence = frame.number("sequence").try_into().expect("sequence");
    StatusFrame {
        sequence,
        status: status(frame.field("status")),
    }
}

fn preface(frame: &Frame) -> Preface {
    Preface {
        lowest: frame.number("lowest").try_into().expect("lowest"),
        highest: frame.number("highest").try_into().expect("highest"),
        flags: frame.number("flags").try_into().expect("flags"),
        token_hint: frame.number("token_hint").try_into().expect("token hint"),
        instance: frame.hex("instance"),
        nonce: frame.hex("nonce"),
    }
}

/// Both ways through the codec: the bytes give the fields, the fields give the bytes.
fn check_frame(frame: &Frame) {
    let bytes = frame.bytes.as_slice();
    match frame.kind.as_str() {
        "header" => {
            let fields = header(frame);
            assert_eq!(Header::decode(bytes.try_into().expect("17 bytes")), fields);
            assert_eq!(fields.encode(), bytes);
            assert_eq!(
                fields.opcode().map(Opcode::wire),
                Opcode::from_wire(fields.opcode).map(Opcode::wire)
            );
        }
        "status" => {
            let fields = status_frame(frame);
            assert_eq!(StatusFrame::decode(bytes.try_into().expect("8 bytes")), fields);
            assert_eq!(fields.encode(), bytes);
        }
        "preface" => {
            let fields = preface(frame);
            assert_eq!(fields.encode(), bytes);
            let (lowest, highest) = (fields.lowest, fields.highest);
            let expected = match lowest == 0 || lowest > highest {
                true => Err(PrefaceError::Versions { lowest, highest }),
                false => Ok(fields),
            };
            assert_eq!(Preface::decode(bytes.try_into().expect("64 bytes")), expected);
        }
        "auth" => {
            let fields = AuthFrame(frame.hex("proof"));
            assert_eq!(AuthFrame::decode(bytes.try_into().expect("32 bytes")), fields);
            assert_eq!(fields.encode(), bytes);
        }
        "length" => {
            let fields = DescribeLength(frame.number("length").try_into().expect("length"));
            assert_eq!(DescribeLength::decode(bytes.try_into().expect("4 bytes")), fields);
            assert_eq!(fields.encode(), bytes);
            assert!(fields.is_allowed());
        }
        "payload" | "json" => assert_eq!(bytes.len() as u64, frame.number("bytes")),
        "close" => assert!(bytes.is_empty()),
        kind => panic!("no test knows a frame named {kind}"),
    }
}

#[test]
fn every_frame_decodes_to_its_fields_and_encodes_to_its_bytes() {
    for vector in vectors() {
        for (index, frame) in vector.frames.iter().enumerate() {
            println!("{}.hex, frame {index}", vector.name);
            check_frame(frame);
        }
    }
}

/// Reads an initiator's bytes the way a target does and names the frames it finds.
fn initiator_frames(stream: &[u8], start: &str, with_auth: bool) -> Vec<(&'static str, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    if start != "lane" {
        let expected = if start == "legacy" { Mode::Legacy } else { Mode::Native };
        assert_eq!(Mode::sniff(stream), Some(expected));
    }
    if start == "preface" {
        found.push(("preface", Preface::LEN));
        at += Preface::LEN;
    }
    if with_auth {
        assert!(AuthFrame::take(&stream[at..]).is_some());
        found.push(("auth", AuthFrame::LEN));
        at += AuthFrame::LEN;
    }
    while let Some(header) = Header::take(&stream[at..]) {
        found.push(("header", Header::LEN));
        at += Header::LEN;
        if matches!(header.opcode(), Some(Opcode::Send | Opcode::Write)) && header.size > 0 {
            let size = usize::try_from(header.size).expect("payload in memory");
            found.push(("payload", size));
            at += size;
        }
    }
    assert_eq!(at, stream.len(), "bytes left over");
    found
}

#[test]
fn every_request_stream_splits_into_its_frames() {
    for vector in vectors() {
        println!("{}.hex", vector.name);
        let frames: Vec<&Frame> = vector.sent_by(Sender::Initiator).collect();
        if frames.is_empty() {
            continue;
        }
        let with_auth = frames.iter().any(|frame| frame.kind == "auth");
        let found = initiator_frames(&vector.stream(Sender::Initiator), &vector.start, with_auth);
        let written: Vec<(&str, usize)> = frames
            .iter()
            .map(|frame| (frame.kind.as_str(), frame.bytes.len()))
            .collect();
        assert_eq!(found, written);
    }
}

/// What must follow the status of a request, as frame names.
fn body_after(request: &Header, status: Option<Status>) -> &'static [&'static str] {
    match (request.opcode(), status) {
        (Some(Opcode::Read), Some(Status::Ok)) if request.size > 0 => &["payload"],
        (Some(Opcode::Describe), Some(Status::Ok)) => &["length", "json"],
        _ => &[],
    }
}

fn check_lane_answers(vector: &Vector) {
    let requests: Vec<Header> = vector
        .sent_by(Sender::Initiator)
        .filter(|frame| frame.kind == "header")
        .map(header)
        .collect();
    let mut answers = vector
        .sent_by(Sender::Target)
        .skip_while(|frame| frame.kind == "preface")
        .peekable();
    let mut answered = BTreeSet::new();
    let mut in_order = None;
    let mut closed = false;
    while let Some(frame) = answers.next() {
        if frame.kind == "close" {
            closed = true;
            assert!(answers.peek().is_none(), "nothing follows a close");
            break;
        }
        assert_eq!(frame.kind, "status");
        let status = status_frame(frame);
        let request = requests[status.sequence as usize];
        assert!(answered.insert(status.sequence), "answered twice");
        if request.opcode() != Some(Opcode::Send) {
            assert!(in_order < Some(status.sequence), "out of order");
            in_order = Some(status.sequence);
        }
        for kind in body_after(&request, status.status()) {
            let body = answers.next().expect("a body behind OK");
            assert_eq!(body.kind, *kind);
            match *kind {
                "payload" => assert_eq!(body.bytes.len() as u64, request.size),
                "length" => assert_eq!(body.number("length"), answers.peek().expect("json").number("bytes")),
                _ => assert!(str::from_utf8(&body.bytes).expect("UTF-8").starts_with("{\"host\":")),
            }
        }
    }
    assert!(
        closed || answered.len() == requests.len(),
        "unanswered requests on an open lane"
    );
}

fn check_legacy_answers(vector: &Vector) {
    let reads = vector
        .sent_by(Sender::Initiator)
        .filter(|frame| frame.kind == "header")
        .map(header);
    let mut reads = reads.filter(|header| header.opcode() == Some(Opcode::Read) && header.size > 0);
    for frame in vector.sent_by(Sender::Target) {
        match frame.kind.as_str() {
            "close" => return,
            kind => assert_eq!(kind, "payload"),
        }
        assert_eq!(Some(frame.bytes.len() as u64), reads.next().map(|header| header.size));
    }
    assert_eq!(reads.next(), None, "unanswered READ on an open connection");
}

#[test]
fn every_answer_belongs_to_its_request() {
    for vector in vectors() {
        println!("{}.hex", vector.name);
        let handshake = vector
            .frames
            .iter()
            .all(|frame| ["preface", "auth", "close"].contains(&frame.kind.as_str()));
        let answers_only = vector.sent_by(Sender::Initiator).next().is_none();
        match vector.start.as_str() {
            "legacy" => check_legacy_answers(&vector),
            "lane" | "preface" if handshake || answers_only => {}
            "lane" | "preface" => check_lane_answers(&vector),
            start => panic!("no such start: {start}"),
        }
    }
}

#[test]
fn a_preface_is_answered_exactly_when_its_versions_hold_ours() {
    for vector in vectors().iter().filter(|vector| vector.start == "preface") {
        println!("{}.hex", vector.name);
        let first = &vector.frames[0].bytes;
        let chosen = Preface::decode(first.as_slice().try_into().expect("64 bytes")).and_then(|p| p.chosen_version());
        let answer = vector.sent_by(Sender::Target).next().expect("an answer or a close");
        match (chosen, answer.kind.as_str()) {
            (Ok(version), "preface") => {
                let answer = preface(answer);
                assert_eq!((answer.lowest, answer.highest), (version, version));
            }
            (Err(PrefaceError::Versions { .. }), "close") => {}
            (chosen, answer) => panic!("{chosen:?} against {answer}"),
        }
    }
}

#[test]
fn the_vectors_hold_every_opcode_status_and_frame() {
    let vectors = vectors();
    let seen = |start: &[&str], kind: &str, wanted: &dyn Fn(&Frame) -> bool| {
        let of_mode = vectors.iter().filter(|vector| start.contains(&vector.start.as_str()));
        of_mode
            .flat_map(|vector| &vector.frames)
            .any(|frame| frame.kind == kind && wanted(frame))
    };
    for opcode in Opcode::ALL {
        let zero_and_more: &[bool] = match opcode {
            Opcode::Send | Opcode::Read | Opcode::Write => &[true, false],
            Opcode::Describe | Opcode::Ping => &[true],
        };
        for zero in zero_and_more {
            let same = |frame: &Frame| header(frame).opcode() == Some(opcode) && (frame.number("size") == 0) == *zero;
            assert!(
                seen(&["lane"], "header", &same),
                "native {}, zero: {zero}",
                opcode.name()
            );
            let legacy = opcode.wire() <= Opcode::Write.wire();
            assert!(
                !legacy || seen(&["legacy"], "header", &same),
                "legacy {}, zero: {zero}",
                opcode.name()
            );
        }
    }
    for status in Status::ALL {
        let same = |frame: &Frame| status_frame(frame).status() == Some(*status);
        assert!(seen(&["lane"], "status", &same), "{}", status.name());
    }
    assert!(seen(&["lane"], "header", &|frame| header(frame).opcode().is_none()));
    assert!(seen(&["lane"], "status", &|frame| status_frame(frame)
        .status()
        .is_none()));
    for sender in [Sender::Initiator, Sender::Target] {
        for kind in ["preface", "auth"] {
            assert!(
                seen(&["preface"], kind, &|frame| frame.sender == sender),
                "{sender:?} {kind}"
            );
        }
    }
    for kind in ["length", "json", "close"] {
        assert!(seen(&["lane"], kind, &|_| true), "{kind}");
    }
}

#[test]
fn an_endpoint_info_may_be_256_mebibytes_long_and_no_longer() {
    assert!(DescribeLength(0).is_allowed());
    assert!(DescribeLength(268_435_456).is_allowed());
    assert!(!DescribeLength(268_435_457).is_allowed());
    assert!(!DescribeLength(u32::MAX).is_allowed());
}

#[test]
fn testdata_holds_vectors_and_a_readme_that_lists_each_of_them() {
    let readme = fs::read_to_string(testdata().join("README.md")).expect("testdata/README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: BTreeSet<String> = rows
        .filter_map(|row| row.split_once(".hex`"))
        .map(|(name, _)| format!("{name}.hex"))
        .collect();
    let entries = fs::read_dir(testdata()).expect("testdata");
    let mut files: BTreeSet<String> = entries
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(files.remove("README.md"));
    assert_eq!(listed, files);
}
