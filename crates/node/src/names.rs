//! Names of operations that are never used again, for numbers that JavaScript uses again.

/// How often each number was given to an operation.
///
/// A cancel reaches the lanes of a peer one after the other: when the last one hears of it, the first has long ended the
/// operation, and JavaScript has given its number to the next. The engine therefore knows operations by both.
#[derive(Default)]
pub(crate) struct Names(Vec<u32>);

const NUMBER_BITS: u32 = 32;

/// As many operations are never under way at once: what is given a higher number was given none, and memory for as many as the
/// number says would be the end of the process.
const MOST: usize = 1 << 24;

/// The number of an operation that was given none: nobody in JavaScript waits for it.
const NOBODY: usize = u32::MAX as usize;

impl Names {
    /// The engine's name for the operation that begins under this number.
    pub(crate) fn begin(&mut self, number: f64) -> u64 {
        let Some(number) = possible(number) else {
            return name(0, NOBODY);
        };
        if number >= self.0.len() {
            self.0.resize(number + 1, 0);
        }
        let turn = &mut self.0[number];
        *turn = turn.wrapping_add(1);
        name(*turn, number)
    }

    /// The name of the operation that has begun under this number last.
    pub(crate) fn of(&self, number: f64) -> u64 {
        let Some(number) = possible(number) else {
            return name(0, NOBODY);
        };
        name(self.0.get(number).copied().unwrap_or(0), number)
    }

    /// The number that JavaScript knows a name by.
    pub(crate) fn number(name: u64) -> u64 {
        name & u64::from(u32::MAX)
    }
}

fn possible(value: f64) -> Option<usize> {
    let number = value as usize;
    (number as f64 == value && number < MOST).then_some(number)
}

fn name(turn: u32, number: usize) -> u64 {
    u64::from(turn) << NUMBER_BITS | number as u64
}
