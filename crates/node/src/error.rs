//! From an engine error to what JavaScript makes its error of: the only place where that is done.

use memlane_engine::error::{Error, ErrorKind};
use napi_derive::napi;

/// A failed operation, for `MemlaneError`.
#[napi(object)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub peer: Option<String>,
    pub operation: Option<String>,
    pub origin: String,
    pub retryable: bool,
    pub outcome: Option<String>,
    pub entry: Option<u32>,
    /// The system's number for the error beneath.
    pub errno: Option<i32>,
}

pub(crate) fn failure_of(error: &Error) -> Failure {
    Failure {
        code: error.kind().code().to_owned(),
        message: error.to_string(),
        peer: error.peer().map(str::to_owned),
        operation: error.operation().map(str::to_owned),
        origin: error.origin().name().to_owned(),
        retryable: error.retryable(),
        outcome: error.is_outcome_unknown().then(|| "unknown".to_owned()),
        entry: error.failed_entry(),
        errno: error.errno(),
    }
}

/// One row of the error table.
#[napi(object)]
pub struct ErrorRow {
    pub code: String,
    pub kind: String,
    pub status: Option<u32>,
    pub origin: String,
    pub retryable: bool,
    pub text: String,
}

/// The engine's error table, so that a test can hold the documentation and the types against it.
#[napi(catch_unwind)]
pub fn error_table() -> Vec<ErrorRow> {
    let row = |&kind: &ErrorKind| ErrorRow {
        code: kind.code().to_owned(),
        kind: format!("{kind:?}"),
        status: kind.status().map(memlane_engine::Status::wire),
        origin: kind.origin().name().to_owned(),
        retryable: kind.retryable(),
        text: kind.text().to_owned(),
    };
    ErrorKind::ALL.iter().map(row).collect()
}
