//! Every way an operation can fail, in one table.
//!
//! The table is the source of the kind, the `code` that JavaScript sees, the wire status it comes from, and the rows of
//! `docs/errors.md`; nothing anywhere parses a message.

use memlane_wire::Status;
use std::{fmt, io, sync::Arc};

/// Who is to blame: rustls' question, asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This process: a wrong call, a deadline of ours, a close of ours.
    Local,
    /// The peer answered, and this is what it said or did.
    Remote,
    /// What lies between.
    Transport,
}

impl Origin {
    /// `local`, `remote` or `transport`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Transport => "transport",
        }
    }
}

macro_rules! error_table {
    ($($kind:ident, $code:literal, $origin:ident, $retryable:literal, $status:expr, $text:literal;)*) => {
        /// What went wrong; the one table of the project.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $(#[doc = concat!("`", $code, "`: ", $text, ".")] $kind,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The stable name that programs compare.
            pub fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// Whose fault it is.
            pub fn origin(self) -> Origin {
                match self { $(Self::$kind => Origin::$origin,)* }
            }

            /// Whether the same call may succeed later without a change by the caller.
            pub fn retryable(self) -> bool {
                match self { $(Self::$kind => $retryable,)* }
            }

            /// The wire status that a peer says it with, if one does.
            pub fn status(self) -> Option<Status> {
                match self { $(Self::$kind => $status,)* }
            }

            /// One sentence for people.
            pub fn text(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }
        }
    };
}

error_table! {
    Timeout,        "ERR_TIMEOUT",          Local,     true,  None,                       "the operation's deadline passed";
    Aborted,        "ERR_ABORTED",          Local,     false, None,                       "the caller cancelled the operation";
    PeerClosed,     "ERR_PEER_CLOSED",      Transport, true,  Some(Status::Closing),      "the peer closed the connection";
    Connect,        "ERR_CONNECT",          Transport, true,  None,                       "no connection to the peer";
    RegionNotFound, "ERR_REGION_NOT_FOUND", Remote,    false, Some(Status::NoSuchRegion), "the peer has no such region";
    OutOfRange,     "ERR_OUT_OF_RANGE",     Remote,    false, Some(Status::OutOfRange),   "the range leaves the region";
    Access,         "ERR_ACCESS",           Remote,    false, Some(Status::AccessDenied), "the region does not grant this access";
    MessageSize,    "ERR_MESSAGE_SIZE",     Remote,    false, Some(Status::MessageSize),  "the message and its receive differ in size";
    NoReceive,      "ERR_NO_RECEIVE",       Remote,    true,  Some(Status::NoReceive),    "the peer posted no receive in time";
    Limit,          "ERR_LIMIT",            Remote,    false, Some(Status::Limit),        "a limit was reached";
    Protocol,       "ERR_PROTOCOL",         Remote,    false, Some(Status::BadRequest),   "the peer broke the protocol";
    Auth,           "ERR_AUTH",             Remote,    false, None,                       "authentication failed";
    Tls,            "ERR_TLS",              Transport, false, None,                       "no TLS connection to the peer";
    Closed,         "ERR_CLOSED",           Local,     false, None,                       "this side closed it";
    Listen,         "ERR_LISTEN",           Local,     false, None,                       "the address cannot be listened on";
    InsecureBind,   "ERR_INSECURE_BIND",    Local,     false, None,                       "others reach this address, and nobody is asked for a token or TLS";
    RegionExists,   "ERR_REGION_EXISTS",    Local,     false, None,                       "an open region has this name";
    InvalidName,    "ERR_INVALID_NAME",     Local,     false, None,                       "no region can have this name";
    Memory,         "ERR_MEMORY",           Local,     true,  None,                       "the system has no such memory";
    File,           "ERR_FILE",             Local,     false, None,                       "the file cannot be mapped, or has lost the bytes";
    Internal,       "ERR_INTERNAL",         Local,     false, None,                       "a fault in memlane itself";
}

impl From<Status> for ErrorKind {
    /// The kind that a peer's refusal becomes here. `Ok` is no refusal: a peer that refuses with it broke the protocol.
    fn from(status: Status) -> Self {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.status() == Some(status))
            .unwrap_or(Self::Protocol)
    }
}

/// Why an operation failed; one pointer wide, because results travel by value.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    detail: Option<String>,
    operation: Option<&'static str>,
    peer: Option<Arc<str>>,
    outcome_unknown: bool,
    entry: Option<u32>,
    errno: Option<i32>,
    /// Whether a limit of this side was reached, and not one of the peer's.
    is_own_limit: bool,
}

impl Error {
    /// An error of `kind` and nothing more.
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: None,
            operation: None,
            peer: None,
            outcome_unknown: false,
            entry: None,
            errno: None,
            is_own_limit: false,
        }))
    }

    /// A limit of this side was reached: its name and number, and that it may be tried again.
    pub(crate) fn limit(name: &str, most: u64) -> Self {
        let mut error = Self::new(ErrorKind::Limit).detail(format!("{name} is {most}"));
        error.0.is_own_limit = true;
        error
    }

    /// Says more behind what is said already.
    pub(crate) fn with(mut self, more: fmt::Arguments<'_>) -> Self {
        let detail = self.0.detail.get_or_insert_default();
        if !detail.is_empty() {
            detail.push_str(": ");
        }
        detail.push_str(&more.to_string());
        self
    }

    pub(crate) fn io(kind: ErrorKind, error: &io::Error) -> Self {
        let mut made = Self::new(kind).detail(error.to_string());
        made.0.errno = error.raw_os_error();
        made
    }

    /// The system gives this process no more of what it needs, and says why.
    pub(crate) fn exhausted(what: &str, error: &io::Error) -> Self {
        let mut made = Self::io(ErrorKind::Limit, error).detail(format!("{what}: {error}"));
        made.0.is_own_limit = true;
        made
    }

    /// What the system says of an address to listen on, or of the descriptors that it takes.
    pub(crate) fn listen(address: fmt::Arguments<'_>, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                Self::exhausted(&format!("listening on {address}"), error)
            }
            _ => Self::new(ErrorKind::Listen).detail(format!("{address}: {error}")),
        }
    }

    /// What the system says of a file.
    pub fn file(error: &io::Error) -> Self {
        Self::io(ErrorKind::File, error)
    }

    /// A system call over memory of a file did not find the bytes.
    pub(crate) fn lost_file() -> Self {
        Self::new(ErrorKind::File).detail("the file was truncated, or cannot be read")
    }

    /// The system has no `len` bytes, and says why.
    pub fn memory(len: usize, error: &io::Error) -> Self {
        Self::new(ErrorKind::Memory).detail(format!("{len} bytes: {error}"))
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    pub(crate) fn during(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Names the operation and the peer, where nobody closer to it has.
    pub(crate) fn at(mut self, operation: &'static str, peer: &Arc<str>) -> Self {
        self.0.peer.get_or_insert_with(|| Arc::clone(peer));
        self.during(operation)
    }

    /// Names the peer of what is no operation.
    pub(crate) fn about(mut self, peer: &Arc<str>) -> Self {
        self.0.peer.get_or_insert_with(|| Arc::clone(peer));
        self
    }

    pub(crate) fn outcome_unknown(mut self) -> Self {
        self.0.outcome_unknown = true;
        self
    }

    pub(crate) fn entry(mut self, entry: u32) -> Self {
        self.0.entry.get_or_insert(entry);
        self
    }

    /// The place in the list of the entry that failed, when the operation is a list.
    pub fn failed_entry(&self) -> Option<u32> {
        self.0.entry
    }

    /// The system's number for the error beneath, when it was the system's.
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whose fault it is: the kind's answer, but for a limit of this side.
    pub fn origin(&self) -> Origin {
        if self.0.is_own_limit {
            Origin::Local
        } else {
            self.kind().origin()
        }
    }

    /// Whether the same call may succeed later: the kind's answer, but for a limit of this side.
    pub fn retryable(&self) -> bool {
        self.0.is_own_limit || self.kind().retryable()
    }

    /// The operation that failed, when one did.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The peer it was for, as `host:port`.
    pub fn peer(&self) -> Option<&str> {
        self.0.peer.as_deref()
    }

    /// True when the peer may or may not have applied it: the request was on its way and the answer is lost.
    pub fn is_outcome_unknown(&self) -> bool {
        self.0.outcome_unknown
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.0.operation {
            write!(f, "{operation}")?;
            if let Some(peer) = &self.0.peer {
                let preposition = if matches!(operation, "read" | "recv" | "describe") {
                    "from"
                } else {
                    "to"
                };
                write!(f, " {preposition} {peer}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(self.0.kind.text())?;
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({self})", self.0.kind.code())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_on_the_wire_has_exactly_one_kind() {
        for &status in Status::ALL {
            let kinds = ErrorKind::ALL
                .iter()
                .filter(|kind| kind.status() == Some(status))
                .count();
            assert_eq!(kinds, usize::from(status != Status::Ok), "{status:?}");
        }
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn an_error_names_the_operation_and_the_peer() {
        let error = Error::new(ErrorKind::PeerClosed)
            .detail("reset")
            .at("read", &"10.0.0.1:7400".into());
        assert_eq!(
            error.to_string(),
            "read from 10.0.0.1:7400: the peer closed the connection: reset"
        );
    }
}
