//! The wire's codec.

use crate::Path;
use memlane_wire::{Header, Opcode, Preface, Status, StatusFrame};
use std::hint::black_box;

const COUNT: usize = 1024;

pub(crate) fn paths() -> Vec<Path> {
    vec![
        Path::plain("wire: header encode", COUNT as u64, || {
            let headers: Vec<_> = (0..COUNT as u64)
                .map(|n| Header::new(Opcode::Read, 64, n << 12))
                .collect();
            let mut bytes = vec![0; COUNT * Header::LEN];
            move || {
                for (header, to) in black_box(&headers).iter().zip(bytes.chunks_exact_mut(Header::LEN)) {
                    to.copy_from_slice(&header.encode());
                }
                black_box(&bytes);
            }
        }),
        Path::plain("wire: header decode", COUNT as u64, || {
            let headers = (0..COUNT as u64).map(|n| Header::new(Opcode::Read, 64, n << 12));
            let bytes: Vec<u8> = headers.flat_map(|header| header.encode()).collect();
            move || assert_eq!(known_requests(&bytes), COUNT)
        }),
        Path::plain("wire: header decode, hostile", COUNT as u64, || {
            let bytes = noise(COUNT * Header::LEN);
            move || assert!(known_requests(&bytes) < COUNT)
        }),
        Path::plain("wire: status encode", COUNT as u64, || {
            let mut bytes = vec![0; COUNT * StatusFrame::LEN];
            move || {
                for (sequence, to) in (0..).zip(black_box(&mut bytes).chunks_exact_mut(StatusFrame::LEN)) {
                    to.copy_from_slice(&StatusFrame::new(sequence, black_box(Status::Ok)).encode());
                }
            }
        }),
        Path::plain("wire: status decode", COUNT as u64, || {
            let frames = (0..COUNT as u32).map(|sequence| StatusFrame::new(sequence, Status::Ok));
            let bytes: Vec<u8> = frames.flat_map(|frame| frame.encode()).collect();
            move || assert_eq!(known_statuses(&bytes), COUNT)
        }),
        Path::plain("wire: status decode, hostile", COUNT as u64, || {
            let bytes = noise(COUNT * StatusFrame::LEN);
            move || assert!(known_statuses(&bytes) < COUNT)
        }),
        Path::plain("wire: preface decode, hostile", COUNT as u64, || {
            // The magic, so that the checks behind it are reached; one in 256 versions is none.
            let bytes = noise(COUNT * Preface::LEN);
            let mut bytes: Vec<[u8; Preface::LEN]> = bytes.as_chunks().0.to_vec();
            bytes
                .iter_mut()
                .for_each(|bytes| bytes[..8].copy_from_slice(&Preface::MAGIC));
            move || {
                let good = black_box(&bytes).iter().filter(|bytes| Preface::decode(bytes).is_ok());
                assert!(good.count() < COUNT);
            }
        }),
    ]
}

/// Takes every header from the front of the bytes, as a session does; how many have an opcode that there is.
fn known_requests(bytes: &[u8]) -> usize {
    let (mut bytes, mut known) = (black_box(bytes), 0);
    while let Some(header) = Header::take(bytes) {
        let header = black_box(header);
        known += usize::from(header.opcode().is_some());
        bytes = &bytes[Header::LEN..];
    }
    known
}

fn known_statuses(bytes: &[u8]) -> usize {
    let (mut bytes, mut known) = (black_box(bytes), 0);
    while let Some(frame) = StatusFrame::take(bytes) {
        let frame = black_box(frame);
        known += usize::from(frame.status().is_some());
        bytes = &bytes[StatusFrame::LEN..];
    }
    known
}

/// The same bytes in every run.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
