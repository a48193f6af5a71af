//! A long road on one machine: two network namespaces, and every packet between them takes its time.
//!
//! A proxy that ends both connections would hide what is measured here: each of its two hops has no delay, so that the
//! socket buffers of neither end matter. Here TCP goes from end to end. Each namespace has a TUN device, and this program
//! carries packets from one device to the other, each after half the round trip. Acknowledgements take as long as data; what is
//! in flight is what the sender's window, the receiver's, and the congestion control allow.
//!
//! Packets are as large as the kernel hands them to a network card that cuts them itself (up to 64 KiB, segments of the
//! device's MTU), and come out as from one that joins them. Modelled: delay, and with `--mbit` a bottleneck in front of it with a
//! queue of one round trip that drops what does not fit. Not modelled: loss by chance, jitter, reordering. The packets are
//! carried by a processor of this machine: beyond one or two GB/s that is the limit, and with `--mbit` none is reached.
//!
//! Namespaces live as long as this program, or as long as a process is in one of them; nothing has to be cleaned up.

mod carry;
mod device;

use carry::Road;
use device::Device;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

/// The target's end and the initiator's, of a network that nobody else sees.
const ENDS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 73, 0, 1), Ipv4Addr::new(10, 73, 0, 2)];

const USAGE: &str = "memlane-road open --rtt-us N [--mbit N]
    prints {\"target\":NAMESPACE,\"initiator\":NAMESPACE,\"address\":ADDRESS} and carries packets until its input ends
memlane-road in NAMESPACE COMMAND...
    becomes the command, in that namespace";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("open") => options(&arguments[1..]).and_then(open),
        Some("in") if arguments.len() > 2 => Err(enter(&arguments[1], &arguments[2..])),
        _ => Err(usage()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memlane-road: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> io::Result<Road> {
    let mut round_trip = None;
    let mut bytes_per_second = None;
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return Err(usage()) };
        let value: u64 = value.parse().map_err(|_| usage())?;
        match name.as_str() {
            "--rtt-us" => round_trip = Some(Duration::from_micros(value)),
            "--mbit" if value > 0 => bytes_per_second = Some(value * 1_000_000 / 8),
            _ => return Err(usage()),
        }
    }
    round_trip.ok_or_else(usage).map(|round_trip| Road {
        delay: round_trip / 2,
        bytes_per_second,
    })
}

fn usage() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("usage:\n{USAGE}"))
}

fn open(road: Road) -> io::Result<()> {
    // A namespace is that of the thread that made it: each thread stays for as long as the road is open.
    let ends = ENDS.map(|address| std::thread::spawn(move || Device::in_new_namespace(address).map(Arc::new)));
    let mut devices = Vec::new();
    for end in ends {
        devices.push(end.join().map_err(|_| io::Error::other("a thread panicked"))??);
    }
    let [target, initiator] = &devices[..] else {
        return Err(usage());
    };
    let mut carriers = Vec::new();
    for (from, to) in [(target, initiator), (initiator, target)] {
        let (from, to) = (Arc::clone(from), Arc::clone(to));
        carriers.push(std::thread::spawn(move || road.carry(&from, &to)));
    }
    writeln!(
        io::stdout(),
        "{{\"target\":\"{}\",\"initiator\":\"{}\",\"address\":\"{}\"}}",
        target.namespace.display(),
        initiator.namespace.display(),
        ENDS[0],
    )?;
    // Until whoever asked for the road is gone.
    io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Becomes the command; says why if that fails.
fn enter(namespace: &str, command: &[String]) -> io::Error {
    let entered = std::fs::File::open(namespace).and_then(|namespace| {
        // SAFETY: no memory is passed, and a descriptor that is no namespace is an error.
        device::done(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })
    });
    match entered {
        Ok(()) => Command::new(&command[0]).args(&command[1..]).exec(),
        Err(error) => error,
    }
}
