//! `docs/protocol.md` says what the vectors and the status table say.

mod support;

use std::fs;
use std::path::Path;

use memlane_wire::Status;
use support::{testdata, vectors};

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    fs::read_to_string(path).expect("docs/protocol.md")
}

/// The text of each fenced block of the document whose info string begins with `hex`, with its vector's name.
fn quotes(document: &str) -> Vec<(String, String)> {
    let mut quotes = Vec::new();
    let mut rest = document;
    while let Some((_, block)) = rest.split_once("\n```hex") {
        let (name, body) = block.split_once('\n').expect("a block after its fence");
        let (text, after) = body.split_once("\n```\n").expect("a closing fence");
        quotes.push((name.trim().to_owned(), format!("{text}\n")));
        rest = after;
    }
    quotes
}

#[test]
fn the_protocol_document_quotes_the_vectors_word_for_word() {
    let document = document();
    let vectors = vectors();
    let quotes = quotes(&document);
    assert!(!quotes.is_empty(), "the document quotes no vector");
    for (name, text) in quotes {
        let vector = vectors.iter().find(|vector| vector.name == name);
        let vector = vector.unwrap_or_else(|| panic!("docs/protocol.md quotes a vector that is not there: {name:?}"));
        assert_eq!(text, vector.text, "docs/protocol.md differs from {name}.hex");
    }
}

#[test]
fn the_protocol_document_lists_the_status_table() {
    let document = document();
    for status in Status::ALL {
        let row = format!("| {} | `{}` | {} |", status.wire(), status.name(), status.text());
        assert!(document.contains(&row), "docs/protocol.md lacks the row {row}");
    }
}

#[test]
fn the_protocol_document_links_to_vectors_that_are_there() {
    let document = document();
    let links: Vec<&str> = document.split("(../crates/wire/testdata/").skip(1).collect();
    assert!(!links.is_empty(), "the document links to no vector");
    for link in links {
        let (file, _) = link.split_once(')').expect("a closed link");
        assert!(testdata().join(file).is_file(), "docs/protocol.md links to {file}");
    }
}
