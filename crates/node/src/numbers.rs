//! Numbers as JavaScript gives them, checked.

use std::time::Duration;

/// A length or an offset: whole, not negative, exact.
pub(crate) fn number(value: f64) -> Option<usize> {
    let whole = value as usize;
    (whole as f64 == value && value <= 9_007_199_254_740_991.0).then_some(whole)
}

/// A deadline in milliseconds; 0 is none.
pub(crate) fn timeout(milliseconds: f64) -> Option<Duration> {
    number(milliseconds)
        .filter(|&whole| whole > 0)
        .map(|whole| Duration::from_millis(whole as u64))
}

/// A wait in milliseconds, 0 among them; below zero is the default.
pub(crate) fn patience(milliseconds: f64) -> Option<Duration> {
    number(milliseconds).map(|whole| Duration::from_millis(whole as u64))
}
