//! rustls' unbuffered connection, of either side: ciphertext in, plaintext out, and the reverse.

use rustls::{
    Error,
    client::UnbufferedClientConnection,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus},
};

/// One side of a connection.
pub(super) enum Connection {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

/// What came of a look at what was received.
enum Step {
    More,
    Rest,
    PeerClosed,
    Failed(Error),
}

/// What going through received bytes led to.
pub(super) struct Progress {
    /// Bytes that are done with; the others have to be there, in front of what comes next, the next time.
    pub(super) done: usize,
    /// The peer says that it sends no more.
    pub(super) ended: bool,
    pub(super) failed: Option<Error>,
}

impl Connection {
    pub(super) fn is_client(&self) -> bool {
        matches!(self, Self::Client(_))
    }

    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Self::Client(client) => client.is_handshaking(),
            Self::Server(server) => server.is_handshaking(),
        }
    }

    /// Goes through `received` as far as its records are whole. Plaintext goes to `sink`; what TLS itself has to say, the alert of
    /// a failure included, goes behind `out`.
    pub(super) fn advance(&mut self, received: &mut [u8], sink: &mut dyn FnMut(&[u8]), out: &mut Vec<u8>) -> Progress {
        let mut progress = Progress {
            done: 0,
            ended: false,
            failed: None,
        };
        loop {
            let rest = &mut received[progress.done..];
            let (discard, next) = match self {
                Self::Client(client) => step(client.process_tls_records(rest), sink, out),
                Self::Server(server) => step(server.process_tls_records(rest), sink, out),
            };
            progress.done += discard;
            match next {
                // What the failure had to say comes first of all the next time, and nothing behind it.
                Step::More if progress.failed.is_some() => return progress,
                Step::Failed(_) if progress.failed.is_some() => return progress,
                Step::More => {}
                Step::Rest => return progress,
                Step::PeerClosed => progress.ended = true,
                Step::Failed(error) => progress.failed = Some(error),
            }
        }
    }

    /// Encrypts what fits into one record behind `out`. `received` is what [`Connection::advance`] was not done with.
    pub(super) fn encrypt(&mut self, received: &mut [u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.write(received, Saying::Bytes(plain), out)
    }

    /// Says that no more will come, behind `out`.
    pub(super) fn say_end(&mut self, received: &mut [u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.write(received, Saying::End, out)
    }

    fn write(&mut self, received: &mut [u8], saying: Saying<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        // The first looks say what is pending, the next one lets us write; a peer's farewell comes between.
        for _ in 0..MOST_LOOKS {
            let said = match self {
                Self::Client(client) => say(client.process_tls_records(received), saying, out)?,
                Self::Server(server) => say(server.process_tls_records(received), saying, out)?,
            };
            if said {
                return Ok(());
            }
        }
        Err(Error::General("TLS has no place for more".to_owned()))
    }
}

/// Messages of TLS itself that may wait in front of ours, and some more.
const MOST_LOOKS: usize = 64;

/// Room for a record's header, its type and its tag, and for a change of keys before it.
const OVERHEAD: usize = 256;

#[derive(Clone, Copy)]
enum Saying<'a> {
    Bytes(&'a [u8]),
    End,
}

fn step<Data>(status: UnbufferedStatus<'_, '_, Data>, sink: &mut dyn FnMut(&[u8]), out: &mut Vec<u8>) -> (usize, Step) {
    let mut discard = status.discard;
    let next = match status.state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                None => break Step::More,
                Some(Err(error)) => break Step::Failed(error),
                Some(Ok(record)) => {
                    discard += record.discard;
                    sink(record.payload);
                }
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut message)) => {
            put(out, 0, |room| match message.encode(room) {
                Ok(count) => Ok(count),
                Err(EncodeError::InsufficientSize(more)) => Err(Some(more.required_size)),
                Err(EncodeError::AlreadyEncoded) => Err(None),
            });
            Step::More
        }
        Ok(ConnectionState::TransmitTlsData(message)) => {
            // It is in `out`, before all that follows.
            message.done();
            Step::More
        }
        Ok(ConnectionState::PeerClosed) => Step::PeerClosed,
        Ok(ConnectionState::ReadEarlyData(_)) => {
            Step::Failed(Error::General("early data that nobody asked for".to_owned()))
        }
        Ok(_) => Step::Rest,
        Err(error) => Step::Failed(error),
    };
    (discard, next)
}

/// Whether it was said. Plaintext does not come here: `advance` has left nothing whole.
fn say<Data>(status: UnbufferedStatus<'_, '_, Data>, saying: Saying<'_>, out: &mut Vec<u8>) -> Result<bool, Error> {
    debug_assert_eq!(status.discard, 0, "what was whole is done with already");
    match status.state? {
        ConnectionState::WriteTraffic(mut traffic) => {
            let least = match saying {
                Saying::Bytes(plain) => plain.len() + OVERHEAD,
                Saying::End => OVERHEAD,
            };
            let told = put(out, least, |room| {
                let told = match saying {
                    Saying::Bytes(plain) => traffic.encrypt(plain, room),
                    Saying::End => traffic.queue_close_notify(room),
                };
                told.map_err(|error| match error {
                    EncryptError::InsufficientSize(more) => Some(more.required_size),
                    EncryptError::EncryptExhausted => None,
                })
            });
            if told { Ok(true) } else { Err(Error::EncryptError) }
        }
        ConnectionState::EncodeTlsData(mut message) => {
            put(out, 0, |room| match message.encode(room) {
                Ok(count) => Ok(count),
                Err(EncodeError::InsufficientSize(more)) => Err(Some(more.required_size)),
                Err(EncodeError::AlreadyEncoded) => Err(None),
            });
            Ok(false)
        }
        ConnectionState::TransmitTlsData(message) => {
            message.done();
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// Has `write` write behind `out`, with at least `least` bytes of room, and more if it asks once; whether it did.
fn put(out: &mut Vec<u8>, least: usize, mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>) -> bool {
    let start = out.len();
    out.resize(start + least, 0);
    let mut written = write(&mut out[start..]);
    if let Err(Some(more)) = written {
        out.resize(start + more, 0);
        written = write(&mut out[start..]);
    }
    out.truncate(start + *written.as_ref().unwrap_or(&0));
    written.is_ok()
}
