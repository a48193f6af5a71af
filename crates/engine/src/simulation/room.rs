//! What a process, a peer, a lane and a session take, of the heap; and how long it takes until all are connected.

use super::{
    World,
    fleet::{READ_BYTES, Reader, process, serving},
    network::{Memory, address_of},
    trace::{Happening, percentiles},
};
use crate::{
    io::{
        Transport,
        pipe::{Behaviour, Pipe, pipe},
        raw::{RecvSegment, SendSegment},
    },
    random::preface,
};
use memlane_wire::Preface;
use serde_json::{Value, json};
use std::{future::poll_fn, sync::Arc, time::Duration};

const PATIENCE: Duration = Duration::from_secs(60);
/// Until connections that nothing moves on have given their buffers back.
const REST: Duration = Duration::from_secs(3);

pub(super) async fn run(world: &World) -> Value {
    let pipes = pipes(world).await;
    let sessions = sessions(world).await.unwrap_or(f64::NAN);
    match star(world).await {
        Ok(star) => report(&star, pipes, sessions),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

struct Star {
    process: f64,
    peer: f64,
    in_use: f64,
    connection: f64,
    latencies: Vec<u64>,
    failed: usize,
}

fn report(star: &Star, pipe: f64, session: f64) -> Value {
    json!({
        "bytes": {
            "process": star.process.round(),
            "peer": star.peer.round(),
            "lane": (star.connection - session).round(),
            "session": (session - pipe).round(),
            "buffers": (star.in_use - star.connection).round(),
            "transport": pipe.round(),
        },
        "first_read": percentiles(star.latencies.clone()),
        "failed": star.failed,
    })
}

/// Every process reads from one target.
async fn star(world: &World) -> Result<Star, crate::error::Error> {
    let count = world.options.peers;
    let network = Memory::new(world.options.seed, &world.trace);
    let _target = serving(world, &network, "target", READ_BYTES)?;
    let mut latencies = Vec::with_capacity(count as usize);
    let mut endpoints = Vec::with_capacity(count as usize);
    let mut readers: Vec<Arc<Reader>> = Vec::with_capacity(count as usize);
    let mut tasks = Vec::with_capacity(count as usize);
    let mut meter = Meter::new(world);
    for number in 1..=count {
        endpoints.push(process(&network, number)?);
    }
    let process = meter.each();
    for (endpoint, number) in endpoints.iter().zip(1..) {
        readers.push(Arc::new(Reader::new(endpoint, number, "target")?));
    }
    let peer = meter.each();
    for reader in &readers {
        let (reader, trace) = (Arc::clone(reader), Arc::clone(&world.trace));
        tasks.push(tokio::spawn(async move {
            let addr = reader.describe(PATIENCE).await?;
            reader.read(addr, PATIENCE).await?;
            trace.note(Happening::Read, reader.number.into());
            Ok::<u64, crate::error::Error>(trace.micros())
        }));
    }
    let began = world.trace.micros();
    for task in tasks.drain(..) {
        if let Ok(Ok(ended)) = task.await {
            latencies.push(ended - began);
        }
    }
    let in_use = meter.since(2);
    tokio::time::sleep(REST).await;
    let connection = meter.since(2);
    let failed = count as usize - latencies.len();
    Ok(Star {
        process,
        peer,
        in_use,
        connection,
        latencies,
        failed,
    })
}

/// Sessions whose other end is no lane, and their pipes.
async fn sessions(world: &World) -> Result<f64, crate::error::Error> {
    let network = Memory::new(world.options.seed, &world.trace);
    let _target = serving(world, &network, "target", READ_BYTES)?;
    let mut near: Vec<Pipe> = Vec::with_capacity(world.options.peers as usize);
    let mut dialling = Vec::with_capacity(world.options.peers as usize);
    let meter = Meter::new(world);
    for number in 1..=world.options.peers {
        let (network, preface) = (Arc::clone(&network), preface([7; 16])?.encode());
        dialling.push(tokio::spawn(async move {
            let pipe = network.dial(address_of(number), "target").await?;
            say(&pipe, &preface).await;
            hear(&pipe, Preface::LEN).await;
            std::io::Result::Ok(pipe)
        }));
    }
    for task in dialling.drain(..) {
        near.extend(task.await.into_iter().flatten());
    }
    tokio::time::sleep(REST).await;
    Ok(meter.since(0))
}

/// Pipes with nobody at either end, that something has gone through.
async fn pipes(world: &World) -> f64 {
    let behaviour = Behaviour {
        delay: Duration::from_millis(1),
        ..Behaviour::default()
    };
    let mut pipes = Vec::with_capacity(world.options.peers as usize);
    let meter = Meter::new(world);
    for _ in 0..world.options.peers {
        let (near, far) = pipe(behaviour, behaviour);
        for (from, to) in [(&near, &far), (&far, &near)] {
            say(from, &[0; READ_BYTES]).await;
            hear(to, READ_BYTES).await;
        }
        pipes.push((near, far));
    }
    meter.since(0)
}

async fn say(pipe: &Pipe, bytes: &[u8]) {
    // There is room for so little.
    let _ = poll_fn(|cx| pipe.poll_send(cx, &[SendSegment::bytes(bytes)])).await;
}

async fn hear(pipe: &Pipe, count: usize) {
    let mut heard = 0;
    let mut bytes = [0; 64];
    while heard < count {
        let room = &mut bytes[..count - heard];
        match poll_fn(|cx| pipe.poll_recv(cx, &mut [RecvSegment::bytes(room)])).await {
            Ok(more) if more > 0 => heard += more,
            _ => return,
        }
    }
}

/// The heap between two moments, for each process.
struct Meter {
    heap: fn() -> usize,
    count: f64,
    marks: Vec<usize>,
}

impl Meter {
    fn new(world: &World) -> Self {
        let heap = world.options.heap;
        let mut marks = Vec::with_capacity(4);
        marks.push(heap());
        Self {
            heap,
            count: world.options.peers.into(),
            marks,
        }
    }

    /// Since the last mark, and marks.
    fn each(&mut self) -> f64 {
        let grown = self.since(self.marks.len() - 1);
        self.marks.push((self.heap)());
        grown
    }

    /// Since that mark.
    fn since(&self, mark: usize) -> f64 {
        ((self.heap)() as f64 - self.marks[mark] as f64) / self.count
    }
}
