//! One direction of the road: packets in, packets out later.

use crate::device::{Device, MOST_BYTES};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// What a direction holds at most; more stays in the device's queue. Half a second at 250 MB/s, far more at shorter ones.
const HELD_BYTES: usize = 128 << 20;

/// Packets that are taken before those that are due go out.
const TURN: usize = 16;

#[derive(Clone, Copy)]
pub struct Road {
    /// From one end to the other.
    pub delay: Duration,
    /// Of the bottleneck; without one, as fast as this machine carries.
    pub bytes_per_second: Option<u64>,
}

impl Road {
    /// Carries packets for ever.
    pub fn carry(self, from: &Device, to: &Device) {
        if let Err(error) = self.carry_on(from, to) {
            eprintln!("memlane-road: {error}");
            std::process::exit(1);
        }
    }

    fn carry_on(self, from: &Device, to: &Device) -> io::Result<()> {
        wake_precisely();
        let mut held = Held::new();
        // When the bottleneck has sent all that it was given.
        let mut free = Instant::now();
        loop {
            let mut taken = 0;
            while taken < TURN
                && let Some(room) = held.room()
                && let Some(len) = from.receive(room)?
            {
                taken += 1;
                let now = Instant::now();
                let mut left = now;
                if let Some(rate) = self.bytes_per_second {
                    free = free.max(now);
                    // A queue of one round trip, as routers are given; what finds it full is lost.
                    if free - now > 2 * self.delay {
                        continue;
                    }
                    free += Duration::from_secs_f64(len as f64 / rate as f64);
                    left = free;
                }
                held.keep(len, left + self.delay);
            }
            let mut given = 0;
            while let Some(packet) = held.due() {
                to.send(packet);
                held.release();
                given += 1;
            }
            if taken == 0 && given == 0 {
                wait(from, held.has_room(), held.next_due())?;
            }
        }
    }
}

/// Packets in the order in which they came, in one ring of bytes.
struct Held {
    ring: Box<[u8]>,
    /// Where the next packet goes.
    end: usize,
    packets: VecDeque<Packet>,
}

struct Packet {
    start: usize,
    len: usize,
    due: Instant,
}

impl Held {
    fn new() -> Self {
        Self {
            ring: vec![0; HELD_BYTES].into(),
            end: 0,
            packets: VecDeque::new(),
        }
    }

    /// Where a packet of any length would lie, in one piece.
    fn place(&self) -> Option<usize> {
        let Some(first) = self.packets.front() else {
            return Some(0);
        };
        if self.end > first.start {
            if self.ring.len() - self.end >= MOST_BYTES {
                return Some(self.end);
            }
            return (first.start > MOST_BYTES).then_some(0);
        }
        (first.start - self.end > MOST_BYTES).then_some(self.end)
    }

    fn has_room(&self) -> bool {
        self.place().is_some()
    }

    fn room(&mut self) -> Option<&mut [u8]> {
        self.end = self.place()?;
        Some(&mut self.ring[self.end..self.end + MOST_BYTES])
    }

    /// Keeps what was put into the room.
    fn keep(&mut self, len: usize, due: Instant) {
        let start = self.end;
        self.end += len;
        self.packets.push_back(Packet { start, len, due });
    }

    fn next_due(&self) -> Option<Instant> {
        self.packets.front().map(|packet| packet.due)
    }

    fn due(&self) -> Option<&[u8]> {
        let packet = self.packets.front()?;
        (packet.due <= Instant::now()).then(|| &self.ring[packet.start..packet.start + packet.len])
    }

    fn release(&mut self) {
        self.packets.pop_front();
    }
}

/// Until a packet comes, if there is room for one, or the next one is due.
fn wait(device: &Device, for_packet: bool, due: Option<Instant>) -> io::Result<()> {
    let mut poll = libc::pollfd {
        fd: device.descriptor(),
        events: if for_packet { libc::POLLIN } else { 0 },
        revents: 0,
    };
    let left = due.map(|due| due.saturating_duration_since(Instant::now()));
    let left = left.map(|left| libc::timespec {
        tv_sec: left.as_secs() as libc::time_t,
        tv_nsec: left.subsec_nanos().into(),
    });
    let patience = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: one pollfd and a time that both outlive the call; no signal mask.
    match crate::device::done(unsafe { libc::ppoll(&raw mut poll, 1, patience, std::ptr::null()) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// Timers of this thread come when they are due, not up to 50 µs later; and where it is permitted it does not wait its turn
/// behind those whose packets it carries: a road takes no processor from anybody.
fn wake_precisely() {
    // SAFETY: neither call is passed memory; a refusal costs precision alone.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong);
        libc::setpriority(libc::PRIO_PROCESS, 0, -10);
    }
}
