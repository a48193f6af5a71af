//! Dialling: every address that a name has, both families in turn, and the first that connects is taken (RFC 8305).

use super::tcp::{TcpTransport, socket};
use crate::{config::Limits, io::raw};
use std::{
    collections::HashSet,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    pin::Pin,
    task::Poll,
    time::Duration,
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, sleep_until},
};

/// How long an attempt has the field to itself: RFC 8305's "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Addresses whose failures an error names; it is for people.
const NAMED_FAILURES: usize = 4;

/// Resolves and connects, from the address `from` where there is one. The caller sets the deadline.
///
/// Cancel safe: what was begun is closed.
pub(crate) async fn dial(host: &str, port: u16, from: Option<IpAddr>, limits: &Limits) -> io::Result<TcpTransport> {
    let resolved: Vec<_> = lookup_host((host, port)).await?.collect();
    let addresses = order(&resolved, from);
    if let (true, false, Some(from)) = (addresses.is_empty(), resolved.is_empty(), from) {
        let family = if from.is_ipv4() { "IPv4" } else { "IPv6" };
        let why = format!("the peer has no {family} address, and localAddress is {from}");
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
    }
    race(addresses, |address| connect(address, from, limits))
        .await
        .map(|stream| TcpTransport::new(stream, limits))
}

async fn connect(address: SocketAddr, from: Option<IpAddr>, limits: &Limits) -> io::Result<TcpStream> {
    let socket = socket(&address, limits)?;
    if let Some(from) = from {
        raw::leave_port_to_connect(socket.as_raw_fd());
        socket
            .bind(SocketAddr::new(from, 0))
            .map_err(|error| io::Error::new(error.kind(), format!("from localAddress {from}: {error}")))?;
    }
    socket.connect(address).await
}

/// The addresses in the order in which they are tried: the families in turn, beginning with the resolver's first; each
/// once, and none that `from` cannot reach.
fn order(resolved: &[SocketAddr], from: Option<IpAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::new();
    let usable = resolved
        .iter()
        .filter(|address| from.is_none_or(|from| from.is_ipv4() == address.is_ipv4()))
        .filter(|address| seen.insert(**address))
        .copied();
    let begins_with_v4 = resolved.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        usable.partition(|address| address.is_ipv4() == begins_with_v4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let before = ordered.len();
        ordered.extend(first.next());
        ordered.extend(second.next());
        if ordered.len() == before {
            return ordered;
        }
    }
}

/// The first connection that stands. An attempt begins when the last one has failed, or has had its time; the others are
/// dropped with the future, which closes them.
async fn race<C, F>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<C>
where
    F: Future<Output = io::Result<C>>,
{
    let mut waiting = addresses.into_iter();
    let mut under_way: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failed = Vec::new();
    let mut next_at = Box::pin(sleep_until(Instant::now()));
    let mut is_due = true;
    poll_fn(|cx| {
        loop {
            let mut index = 0;
            while let Some((address, attempt)) = under_way.get_mut(index) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(connection)) => return Poll::Ready(Ok(connection)),
                    Poll::Ready(Err(error)) => {
                        failed.push((*address, error));
                        drop(under_way.remove(index));
                        is_due = true;
                    }
                    Poll::Pending => index += 1,
                }
            }
            if waiting.len() == 0 && under_way.is_empty() {
                return Poll::Ready(Err(failure(&mut failed)));
            }
            if waiting.len() == 0 || !(is_due || next_at.as_mut().poll(cx).is_ready()) {
                return Poll::Pending;
            }
            is_due = false;
            under_way.extend(waiting.next().map(|address| (address, Box::pin(connect(address)))));
            next_at.as_mut().reset(Instant::now() + ATTEMPT_DELAY);
        }
    })
    .await
}

/// Why no address could be reached: the error of the only one, or those of all by their addresses.
fn failure(failed: &mut Vec<(SocketAddr, io::Error)>) -> io::Error {
    let Some((_, last)) = failed.last() else {
        return io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    };
    let kind = last.kind();
    if failed.len() == 1 {
        return failed.remove(0).1;
    }
    let named = failed.iter().take(NAMED_FAILURES);
    let mut why: Vec<_> = named.map(|(address, error)| format!("{address}: {error}")).collect();
    if failed.len() > NAMED_FAILURES {
        why.push(format!("and {} addresses more", failed.len() - NAMED_FAILURES));
    }
    io::Error::new(kind, why.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    fn addresses(list: &str) -> Vec<SocketAddr> {
        let address = |name: &str| {
            let number: u16 = name[1..].parse().unwrap();
            match &name[..1] {
                "4" => SocketAddr::from(([10, 0, 0, number as u8], 1)),
                _ => SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, number], 1)),
            }
        };
        list.split_whitespace().map(address).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_resolvers_first() {
        let (v4, v6) = (Some("127.0.0.2".parse().unwrap()), Some("::1".parse().unwrap()));
        let table = [
            ("", None, ""),
            ("41", None, "41"),
            ("41 42 43", None, "41 42 43"),
            ("61 62 41 42", None, "61 41 62 42"),
            ("41 61 62 63", None, "41 61 62 63"),
            ("41 42 61", None, "41 61 42"),
            ("61 41 61 41 61", None, "61 41"),
            ("61 41 62 42", v4, "41 42"),
            ("41 61 42 62", v6, "61 62"),
            ("61 62", v4, ""),
        ];
        for (resolved, from, expected) in table {
            assert_eq!(order(&addresses(resolved), from), addresses(expected), "{resolved}");
        }
    }

    /// What an address does when it is dialled: after so many milliseconds it connects or refuses; `None` is silence.
    type Fate = Option<(u64, bool)>;

    /// Dials addresses of these fates; which one won, when, and when each was tried and whether it is still open.
    async fn raced(fates: &[Fate]) -> (io::Result<usize>, u64, Vec<u64>, usize) {
        let begun = Instant::now();
        let tried = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new(());
        let list: Vec<_> = (0..fates.len())
            .map(|index| SocketAddr::from(([10, 0, 0, index as u8], 1)))
            .collect();
        let result = race(list, |address| {
            let SocketAddr::V4(v4) = address else { unreachable!() };
            let index = v4.ip().octets()[3] as usize;
            tried.lock().push(begun.elapsed().as_millis() as u64);
            let (fate, held) = (fates[index], Arc::clone(&open));
            async move {
                let _held = held;
                match fate {
                    None => std::future::pending().await,
                    Some((after, connects)) => {
                        tokio::time::sleep(Duration::from_millis(after)).await;
                        connects.then_some(index).ok_or(io::ErrorKind::ConnectionRefused.into())
                    }
                }
            }
        })
        .await;
        let tried = tried.lock().clone();
        let left_open = Arc::strong_count(&open) - 1;
        (result, begun.elapsed().as_millis() as u64, tried, left_open)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_address_to_connect_wins_and_the_others_are_closed() {
        let table: [(&[Fate], usize, u64, &[u64]); 6] = [
            (&[Some((3, true))], 0, 3, &[0]),
            // A black hole costs a quarter of a second, not the deadline.
            (&[None, Some((5, true))], 1, 255, &[0, 250]),
            (&[None, None, None, Some((0, true))], 3, 750, &[0, 250, 500, 750]),
            // One that failed makes way at once, and the next has the field to itself for as long as any.
            (&[Some((10, false)), None, Some((1, true))], 2, 261, &[0, 10, 260]),
            // A slow first may still win against a slower second.
            (&[Some((300, true)), Some((100, true))], 0, 300, &[0, 250]),
            (&[Some((400, true)), Some((100, true))], 1, 350, &[0, 250]),
        ];
        for (fates, winner, after, tried) in table {
            let (result, took, begun, left_open) = raced(fates).await;
            assert_eq!((result.unwrap(), took, &begun[..]), (winner, after, tried), "{fates:?}");
            assert_eq!(left_open, 0, "{fates:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_no_address_connects_the_error_names_them() {
        let (result, took, ..) = raced(&[Some((1, false)), Some((2, false))]).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind(), took), (io::ErrorKind::ConnectionRefused, 3));
        assert_eq!(
            error.to_string(),
            "10.0.0.0:1: connection refused; 10.0.0.1:1: connection refused"
        );
        let (result, ..) = raced(&[Some((1, false)); 7]).await;
        assert!(result.unwrap_err().to_string().ends_with("; and 3 addresses more"));
        let (result, ..) = raced(&[Some((1, false))]).await;
        assert_eq!(result.unwrap_err().to_string(), "connection refused");
        assert_eq!(raced(&[]).await.0.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
