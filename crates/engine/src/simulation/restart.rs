//! Everybody loses the connection in the same moment, with a read on its way, and wants it back.

use super::{
    World,
    fleet::{READ_BYTES, Reader, process, serving},
    network::Memory,
    trace::{Happening, busiest, percentiles},
};
use crate::error::Error;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{Barrier, oneshot},
    time::{Instant, sleep, sleep_until},
};

/// How long nobody answers at the target's address.
const OUTAGES_MS: [u64; 4] = [0, 100, 1000, 10_000];
const PATIENCE: Duration = Duration::from_secs(60);
/// A window in which dials are counted, in microseconds.
const WINDOW: u64 = 10_000;

pub(super) async fn run(world: &World) -> Value {
    let mut outages = Vec::new();
    for outage in OUTAGES_MS {
        outages.push(match one(world, Duration::from_millis(outage)).await {
            Ok(report) => report,
            Err(error) => json!({ "outage_ms": outage, "error": error.to_string() }),
        });
    }
    json!({ "outages": outages })
}

/// What one reader saw.
struct Seen {
    recovered: u64,
    failures: BTreeMap<&'static str, u64>,
}

async fn one(world: &World, outage: Duration) -> Result<Value, Error> {
    let count = world.options.peers;
    let trace = &world.trace;
    let network = Memory::new(world.options.seed, trace);
    let target = serving(world, &network, "target", READ_BYTES)?;
    let endpoints: Vec<_> = (1..=count)
        .map(|number| process(&network, number))
        .collect::<Result<_, _>>()?;
    let connected = Arc::new(Barrier::new(count as usize + 1));
    let (mut starts, mut tasks) = (Vec::new(), Vec::new());
    for (endpoint, number) in endpoints.iter().zip(1..) {
        let (start, started) = oneshot::channel();
        starts.push(start);
        let (reader, world) = (Reader::new(endpoint, number, "target")?, Arc::clone(trace));
        let connected = Arc::clone(&connected);
        tasks.push(tokio::spawn(async move {
            let mut addr = reader.describe(PATIENCE).await?;
            connected.wait().await;
            let lost_at: Instant = started.await.unwrap_or_else(|_| Instant::now());
            sleep_until(lost_at).await;
            let mut seen = Seen {
                recovered: 0,
                failures: BTreeMap::new(),
            };
            // What a program does that wants its bytes: again, at once. The engine says when it dials.
            while let Err(error) = reader.read(addr, PATIENCE).await {
                world.note(Happening::Failed, number.into());
                *seen.failures.entry(error.kind().code()).or_default() += 1;
                if let Ok(anew) = reader.describe(PATIENCE).await {
                    addr = anew;
                }
            }
            world.note(Happening::Read, number.into());
            seen.recovered = world.micros();
            Ok::<_, Error>(seen)
        }));
    }
    connected.wait().await;
    trace.take_dials();
    let reads_at = Instant::now() + Duration::from_millis(10);
    for start in starts {
        let _ = start.send(reads_at);
    }
    // The reads are on their way, and no answer has come.
    sleep_until(reads_at + Duration::from_millis(1)).await;
    let lost = trace.micros();
    network.crash("target");
    drop(target);
    sleep(outage).await;
    let back = trace.micros();
    let _target = serving(world, &network, "target", READ_BYTES)?;
    let (mut recovered, mut failures) = (Vec::new(), BTreeMap::new());
    for task in tasks {
        let Ok(Ok(seen)) = task.await else { continue };
        recovered.push(seen.recovered - back);
        for (code, times) in seen.failures {
            *failures.entry(code).or_insert(0) += times;
        }
    }
    let dials = trace.take_dials();
    Ok(report(outage, &dials, lost, back, recovered, &failures))
}

fn report(
    outage: Duration,
    dials: &[u64],
    lost: u64,
    back: u64,
    recovered: Vec<u64>,
    failures: &BTreeMap<&'static str, u64>,
) -> Value {
    let settled: Vec<_> = dials
        .iter()
        .copied()
        .filter(|at| (lost + 1_000_000..back).contains(at))
        .collect();
    let last = settled
        .last()
        .zip(settled.first())
        .map(|(last, first)| (last - first).max(1));
    let per_s = last.map(|span| (settled.len() as f64 * 1e6 / span as f64).round());
    let mut by_100_ms = BTreeMap::new();
    for at in dials {
        *by_100_ms.entry((at - lost) / 100_000 * 100).or_insert(0_u64) += 1;
    }
    json!({
        "outage_ms": outage.as_millis() as u64,
        "dials": dials.len(),
        "busiest_10_ms": busiest(dials, WINDOW),
        "busiest_10_ms_after_a_second": busiest(&settled, WINDOW),
        "dials_per_s_after_a_second": per_s,
        "dials_by_100_ms": by_100_ms.into_iter().take(20).map(|(at, count)| json!([at, count])).collect::<Vec<_>>(),
        "recovered": percentiles(recovered),
        "failures": failures,
    })
}
