//! The measure for memlane: two processes, blocking sockets, nothing between the sockets and the memory.
//!
//! One variant, fixed beforehand so that nobody picks the flattering one: system calls of 1 MiB, `MSG_WAITALL`, a send
//! buffer of 512 KiB and a receive buffer of 1 MiB on both ends, memory touched before the first measurement. A read is
//! a header of 17 bytes answered by the bytes; a write is header and bytes, acknowledged by one byte once all are in.
//! Two choices may be varied, to show what they cost: the size of a system call by `--call`, and by `--buffers auto` whose the
//! sizes of the socket buffers are, the kernel's then.
//!
//! Both sides stay alive and take commands, so that a runner can take turns between them and other contenders:
//! the initiator `read SIZE COUNT SPAN` and `write SIZE COUNT SPAN`, which walk over SPAN bytes from the start, the target `cpu`, both `wipe` and `check` (the first offset whose
//! byte is not the pattern's, or -1); the end of the input ends the process.

use std::alloc::Layout;
use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

static CALL_BYTES: AtomicUsize = AtomicUsize::new(1 << 20);
static FIXED_BUFFERS: AtomicBool = AtomicBool::new(true);
const SEND_BUFFER: libc::c_int = 512 << 10;
const RECEIVE_BUFFER: libc::c_int = 1 << 20;
const PAGE_BYTES: usize = 4 << 10;
const HEADER_BYTES: usize = 17;
const READ: u8 = 1;
const WRITE: u8 = 2;
const APPLIED: u8 = 0;
/// A prime period, so that no power of two repeats the pattern: bytes from the wrong place are found.
const PERIOD: usize = 251;

const USAGE: &str = "memlane-raw target --bytes N [--host ADDRESS] [--call N] [--buffers fixed|auto] [--cpu N]
memlane-raw initiator --bytes N --port N [--host ADDRESS] [--call N] [--buffers fixed|auto] [--cpu N] [--connections N]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = Options::parse(&arguments).and_then(|options| {
        if let Some(cpu) = options.cpu {
            pin(cpu)?;
        }
        let memory = Memory::new(options.bytes)?;
        match options.role.as_str() {
            "target" => target(memory, options.host),
            "initiator" => initiator(memory, (options.host, options.port), options.connections),
            _ => Err(usage()),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memlane-raw: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    role: String,
    bytes: usize,
    host: Ipv4Addr,
    port: u16,
    cpu: Option<usize>,
    connections: usize,
}

impl Options {
    fn parse(arguments: &[String]) -> io::Result<Self> {
        let (role, rest) = arguments.split_first().ok_or_else(usage)?;
        let mut options = Self {
            role: role.clone(),
            bytes: 0,
            host: Ipv4Addr::LOCALHOST,
            port: 0,
            cpu: None,
            connections: 1,
        };
        for pair in rest.chunks(2) {
            let [name, value] = pair else { return Err(usage()) };
            match name.as_str() {
                "--bytes" => options.bytes = number(value)?,
                "--host" => options.host = number(value)?,
                "--port" => options.port = number(value)?,
                "--call" => CALL_BYTES.store(number(value)?, Relaxed),
                "--buffers" => match value.as_str() {
                    "fixed" => FIXED_BUFFERS.store(true, Relaxed),
                    "auto" => FIXED_BUFFERS.store(false, Relaxed),
                    _ => return Err(usage()),
                },
                "--cpu" => options.cpu = Some(number(value)?),
                "--connections" => options.connections = number(value)?,
                _ => return Err(usage()),
            }
        }
        let sound = options.bytes > 0 && options.connections > 0;
        sound.then_some(options).ok_or_else(usage)
    }
}

fn number<T: FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| usage())
}

fn usage() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("usage:\n{USAGE}"))
}

/// The byte that belongs at `offset`, as in `support/pattern.mjs`.
fn pattern(offset: usize) -> u8 {
    (offset % PERIOD) as u8 + 1
}

/// Memory that is touched once and lives as long as the process; any thread may hand parts of it to the kernel.
#[derive(Clone, Copy)]
struct Memory(Part);

// SAFETY: the memory is never freed or moved; while operations run only system calls touch its bytes, whatever they are,
// and `fill` and `first_difference` are called between them.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(length: usize) -> io::Result<Self> {
        let layout = Layout::from_size_align(length, PAGE_BYTES).map_err(|_| usage())?;
        // SAFETY: the layout has a length, because the options refuse zero.
        let start = unsafe { std::alloc::alloc(layout) };
        if start.is_null() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let memory = Self(Part { start, length });
        memory.fill(pattern);
        Ok(memory)
    }

    /// Every byte by its offset. No operation may be under way.
    fn fill(self, byte: impl Fn(usize) -> u8) {
        for offset in 0..self.0.length {
            // SAFETY: the offset is within the memory, which nobody else uses while no operation is under way.
            unsafe { self.0.start.add(offset).write(byte(offset)) };
        }
    }

    /// The first offset whose byte is not the pattern's. No operation may be under way.
    fn first_difference(self) -> Option<usize> {
        // SAFETY: the offset is within the memory, which nobody else uses while no operation is under way.
        (0..self.0.length).find(|&offset| unsafe { self.0.start.add(offset).read() } != pattern(offset))
    }

    /// Answers the commands that both sides take; false for any other.
    fn command(self, line: &str) -> io::Result<bool> {
        match line {
            "wipe" => {
                self.fill(|_| 0);
                say("{}")?;
            }
            "check" => match self.first_difference() {
                Some(offset) => say(&format!("{{\"offset\":{offset}}}"))?,
                None => say("{\"offset\":-1}")?,
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn part(self, offset: usize, length: usize) -> io::Result<Part> {
        let end = offset.checked_add(length).ok_or_else(usage)?;
        if end > self.0.length {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a range beyond the memory"));
        }
        Ok(Part {
            length,
            ..self.0.after(offset)
        })
    }
}

/// A range of memory that lives while the part is in use.
#[derive(Clone, Copy)]
struct Part {
    start: *mut u8,
    length: usize,
}

impl Part {
    fn of(bytes: &mut [u8]) -> Self {
        Self {
            start: bytes.as_mut_ptr(),
            length: bytes.len(),
        }
    }

    fn after(self, count: usize) -> Self {
        assert!(count <= self.length);
        // SAFETY: the pointer stays within the part or at its end, as was just checked.
        let start = unsafe { self.start.add(count) };
        Self {
            start,
            length: self.length - count,
        }
    }
}

/// False when the other side closed before the first byte.
fn receive(socket: RawFd, mut part: Part) -> io::Result<bool> {
    let mut begun = false;
    while part.length > 0 {
        let ask = part.length.min(CALL_BYTES.load(Relaxed));
        // SAFETY: `part` is writable memory of at least `ask` bytes that outlives the call.
        match unsafe { libc::recv(socket, part.start.cast(), ask, libc::MSG_WAITALL) } {
            0 if begun => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => return Ok(false),
            done => part = part.after(count(done)?),
        }
        begun = true;
    }
    Ok(true)
}

fn send(socket: RawFd, mut part: Part) -> io::Result<()> {
    while part.length > 0 {
        let ask = part.length.min(CALL_BYTES.load(Relaxed));
        // SAFETY: `part` is readable memory of at least `ask` bytes that outlives the call.
        part = part.after(count(unsafe { libc::send(socket, part.start.cast(), ask, 0) })?);
    }
    Ok(())
}

/// Header and the first bytes of the body in one system call, then the rest.
fn send_with_header(socket: RawFd, header: &mut [u8; HEADER_BYTES], body: Part) -> io::Result<()> {
    let first = body.length.min(CALL_BYTES.load(Relaxed));
    let pieces = [
        libc::iovec {
            iov_base: header.as_mut_ptr().cast(),
            iov_len: HEADER_BYTES,
        },
        libc::iovec {
            iov_base: body.start.cast(),
            iov_len: first,
        },
    ];
    // SAFETY: both pieces are readable memory of the stated lengths that outlives the call.
    let done = count(unsafe { libc::writev(socket, pieces.as_ptr(), 2) })?;
    if done < HEADER_BYTES {
        send(socket, Part::of(&mut header[done..]))?;
        return send(socket, body);
    }
    send(socket, body.after(done - HEADER_BYTES))
}

fn count(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn done(result: libc::c_int) -> io::Result<()> {
    (result == 0).then_some(()).ok_or_else(io::Error::last_os_error)
}

fn encode(opcode: u8, offset: usize, size: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&(size as u64).to_le_bytes());
    header[8..16].copy_from_slice(&(offset as u64).to_le_bytes());
    header[16] = opcode;
    header
}

fn decode(header: &[u8; HEADER_BYTES]) -> (u8, usize, usize) {
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| header[at + index])) as usize;
    (header[16], word(8), word(0))
}

/// The buffers of the fixed variant, on either end, unless they are the kernel's; and no waiting for more bytes.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if !FIXED_BUFFERS.load(Relaxed) {
        return Ok(());
    }
    for (name, value) in [(libc::SO_SNDBUF, SEND_BUFFER), (libc::SO_RCVBUF, RECEIVE_BUFFER)] {
        let length = size_of_val(&value) as libc::socklen_t;
        let value = (&raw const value).cast();
        // SAFETY: `value` points to an integer of the stated length that outlives the call.
        done(unsafe { libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, name, value, length) })?;
    }
    Ok(())
}

fn target(memory: Memory, host: Ipv4Addr) -> io::Result<()> {
    let listener = TcpListener::bind((host, 0))?;
    say(&format!("{{\"port\":{}}}", listener.local_addr()?.port()))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                if let Err(error) = serve(&stream, memory) {
                    eprintln!("memlane-raw target: {error}");
                }
            });
        }
    });
    for line in io::stdin().lock().lines() {
        let line = line?;
        if !memory.command(&line)? && line == "cpu" {
            say(&format!("{{\"cpu_s\":{:.6}}}", processor_time()?.as_secs_f64()))?;
        }
    }
    Ok(())
}

fn serve(stream: &TcpStream, memory: Memory) -> io::Result<()> {
    prepare(stream)?;
    let socket = stream.as_raw_fd();
    let mut header = [0; HEADER_BYTES];
    while receive(socket, Part::of(&mut header))? {
        let (opcode, offset, size) = decode(&header);
        let part = memory.part(offset, size)?;
        match opcode {
            READ => send(socket, part)?,
            WRITE => {
                expect(receive(socket, part)?)?;
                send(socket, Part::of(&mut [APPLIED]))?;
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "an unknown opcode")),
        }
    }
    Ok(())
}

fn expect(there: bool) -> io::Result<()> {
    there.then_some(()).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn initiator(memory: Memory, target: (Ipv4Addr, u16), connections: usize) -> io::Result<()> {
    let dial = |_| TcpStream::connect(target);
    let streams: Vec<TcpStream> = (0..connections).map(dial).collect::<io::Result<_>>()?;
    streams.iter().try_for_each(prepare)?;
    say("{\"ready\":true}")?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        if memory.command(&line)? {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, size, operations, span] = words[..] else {
            return Err(usage());
        };
        let opcode = if name == "write" { WRITE } else { READ };
        let (size, operations, span) = (number(size)?, number(operations)?, number(span)?);
        let before = processor_time()?;
        let mut run = run(memory, &streams, opcode, size, operations, span);
        let processor = processor_time()?.saturating_sub(before);
        run.latencies.sort_unstable();
        say(&format!(
            "{{\"op\":\"{name}\",\"size\":{size},\"n\":{operations},\"seconds\":{:.6},\"gbps\":{:.4},\"p50_us\":{:.2},\"p99_us\":{:.2},\"p999_us\":{},\"max_us\":{:.2},\"cpu_s\":{:.6}}}",
            run.total.as_secs_f64(),
            (size * operations) as f64 / run.total.as_secs_f64() / 1e9,
            microseconds(&run.latencies, 0.50),
            microseconds(&run.latencies, 0.99),
            if operations < 1000 {
                "null".to_owned()
            } else {
                format!("{:.2}", microseconds(&run.latencies, 0.999))
            },
            microseconds(&run.latencies, 1.0),
            processor.as_secs_f64(),
        ))?;
    }
    Ok(())
}

struct Run {
    total: Duration,
    latencies: Vec<Duration>,
}

/// Every operation is cut into one equal share per connection and ends with the last of them. Each begins where the one
/// before it ended, and again at 0 when it would leave the first `span` bytes.
fn run(memory: Memory, streams: &[TcpStream], opcode: u8, size: usize, operations: usize, span: usize) -> Run {
    let lanes = streams.len();
    let barrier = Barrier::new(lanes);
    let work = |lane: usize| {
        let (start, end) = (size * lane / lanes, size * (lane + 1) / lanes);
        let place = |index: usize| {
            let offset = index % (span / size).max(1) * size + start;
            memory.part(offset, end - start).map(|part| (offset, part))
        };
        operate(&streams[lane], opcode, place, operations, &barrier).unwrap_or_else(|error| {
            // The other lanes wait at the barrier for this one and would wait for ever.
            eprintln!("memlane-raw initiator: {error}");
            std::process::exit(1);
        })
    };
    std::thread::scope(|scope| {
        for lane in 1..lanes {
            let work = &work;
            scope.spawn(move || work(lane));
        }
        work(0)
    })
}

fn operate(
    stream: &TcpStream,
    opcode: u8,
    place: impl Fn(usize) -> io::Result<(usize, Part)>,
    operations: usize,
    barrier: &Barrier,
) -> io::Result<Run> {
    let socket = stream.as_raw_fd();
    let mut latencies = Vec::with_capacity(operations);
    barrier.wait();
    let start = Instant::now();
    for index in 0..operations {
        let begun = Instant::now();
        let (offset, part) = place(index)?;
        let mut header = encode(opcode, offset, part.length);
        if opcode == READ {
            send(socket, Part::of(&mut header))?;
            expect(receive(socket, part)?)?;
        } else {
            send_with_header(socket, &mut header, part)?;
            expect(receive(socket, Part::of(&mut [0]))?)?;
        }
        barrier.wait();
        latencies.push(begun.elapsed());
    }
    Ok(Run {
        total: start.elapsed(),
        latencies,
    })
}

fn microseconds(sorted: &[Duration], quantile: f64) -> f64 {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
}

fn processor_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable and outlives the call.
    done(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) })?;
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

#[cfg(target_os = "linux")]
fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: all zeros is an empty set; `CPU_SET` checks its index; the set outlives the call.
    done(unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    })
}

#[cfg(not(target_os = "linux"))]
fn pin(_cpu: usize) -> io::Result<()> {
    Err(io::Error::other("--cpu needs Linux"))
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
