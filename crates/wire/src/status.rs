//! How a target answers a request.

/// Writes the enum and every mapping of it from one table, so that no row can be
/// in one mapping and missing from another.
macro_rules! status_table {
    ($( $(#[$doc:meta])* $variant:ident = $value:literal, $name:literal, $text:literal; )+) => {
        /// How a target answered a request: bytes 4 to 8 of a [`StatusFrame`](crate::StatusFrame).
        ///
        /// Protocol: "Status codes". This table is the source of the wire values,
        /// the names and the texts everywhere else in memlane.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum Status {
            $( $(#[$doc])* $variant = $value, )+
        }

        impl Status {
            /// Every status, in the order of its wire value.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The status with this wire value; `None` for a value outside the table.
            pub const fn from_wire(value: u32) -> Option<Self> {
                match value {
                    $( $value => Some(Self::$variant), )+
                    _ => None,
                }
            }

            /// The status's name in snake case, as [`Status::Ok`] is `ok`.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )+
                }
            }

            /// One clause for a person to read, without a capital or a full stop.
            pub const fn text(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )+
                }
            }
        }
    };
}

status_table! {
    /// The request was carried out. For a WRITE: every byte is stored at the target.
    Ok = 0, "ok", "the request was carried out";
    /// The address belongs to no region that is registered now.
    NoSuchRegion = 1, "no_such_region", "no region at this address";
    /// The address lies in a region, the range leaves it.
    OutOfRange = 2, "out_of_range", "the range leaves its region";
    /// The region does not grant this right.
    AccessDenied = 3, "access_denied", "the region does not grant this access";
    /// The message is longer than its receive, or not the exact size the receive asked for.
    MessageSize = 4, "message_size", "the message does not fit the receive that took it";
    /// No receive was posted for the message in time; the message was dropped.
    NoReceive = 5, "no_receive", "no receive was posted for the message in time";
    /// The request is over one of the target's limits.
    Limit = 6, "limit", "the request is over a limit of the target";
    /// The target is closing and starts nothing new.
    Closing = 7, "closing", "the target is closing";
    /// The request is none this protocol knows; the connection is closed behind the answer.
    BadRequest = 8, "bad_request", "the target does not understand the request";
}

impl Status {
    /// The number that stands for this status on the wire, 0 to 8.
    pub const fn wire(self) -> u32 {
        self as u32
    }
}
