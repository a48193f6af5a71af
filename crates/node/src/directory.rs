//! The process's own directory: who has which name, for all environments of the process.

use crate::attachment::with;
use napi_derive::napi;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// What one announcement says, under its name.
struct Entry {
    /// Unlike that of any other announcement, also of the same name.
    number: u64,
    text: String,
}

struct Names {
    entries: BTreeMap<String, Entry>,
    announced: u64,
}

static NAMES: Mutex<Names> = Mutex::new(Names {
    entries: BTreeMap::new(),
    announced: 0,
});

/// Takes the name for `text`, whoever had it; the number of the announcement, or 0 when the attachment is gone.
#[napi(catch_unwind)]
pub fn announce(attachment: u32, name: String, text: String) -> f64 {
    with(attachment, |attachment| {
        let mut names = NAMES.lock();
        names.announced += 1;
        let number = names.announced;
        names.entries.insert(name.clone(), Entry { number, text });
        attachment.announced.insert(number, name);
        number as f64
    })
    .unwrap_or(0.0)
}

/// Whether the announcement of that number still has its name.
#[napi(catch_unwind)]
pub fn is_announced(attachment: u32, number: f64) -> bool {
    with(attachment, |attachment| {
        let name = attachment.announced.get(&(number as u64))?;
        let names = NAMES.lock();
        Some(names.entries.get(name)?.number == number as u64)
    })
    .flatten()
    .unwrap_or(false)
}

/// Gives the name back, unless somebody else has taken it.
#[napi(catch_unwind)]
pub fn withdraw(attachment: u32, number: f64) {
    with(attachment, |attachment| {
        if let Some(name) = attachment.announced.remove(&(number as u64)) {
            forget(&name, number as u64);
        }
    });
}

/// What is announced under the name.
#[napi(catch_unwind)]
pub fn lookup(name: String) -> Option<String> {
    NAMES.lock().entries.get(&name).map(|entry| entry.text.clone())
}

pub(crate) fn forget(name: &str, number: u64) {
    let mut names = NAMES.lock();
    if names.entries.get(name).is_some_and(|entry| entry.number == number) {
        names.entries.remove(name);
    }
}
