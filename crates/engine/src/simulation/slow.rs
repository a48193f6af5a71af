//! One peer whose answers come late, or not at all: what the others notice of it.

use super::{
    World,
    fleet::{READ_BYTES, Reader, process, serving},
    network::{Memory, address_of},
    trace::{Happening, Trace, digest_of, percentiles},
};
use crate::{endpoint::Endpoint, error::Error};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// Reads of each peer: one every so often.
const ROUNDS: u32 = 20;
const EVERY: Duration = Duration::from_millis(100);
/// What one read may take. A slow peer takes less, a silent one more.
const PATIENCE: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_millis(400);
const NEVER: Duration = Duration::from_secs(365 * 86_400);
const VICTIM: u32 = 1;

pub(super) async fn run(world: &World) -> Value {
    let mut report = json!({});
    for (name, one_reads) in [("one_reads_from_all", true), ("all_read_from_one", false)] {
        let mut runs = json!({});
        for (case, late) in [("nobody", None), ("one_slow", Some(LATE)), ("one_silent", Some(NEVER))] {
            runs[case] = match one(world, one_reads, late).await {
                Ok(report) => report,
                Err(error) => json!({ "error": error.to_string() }),
            };
        }
        let same = ["one_slow", "one_silent"]
            .iter()
            .all(|case| runs[case]["others"] == runs["nobody"]["others"]);
        runs["others_unmoved"] = json!(same);
        report[name] = runs;
    }
    report
}

/// The ends of one reader's reads.
#[derive(Default)]
struct Seen {
    latencies: Vec<u64>,
    failures: BTreeMap<&'static str, u64>,
    /// How long those took that failed.
    patience: Vec<u64>,
}

async fn one(world: &World, one_reads: bool, late: Option<Duration>) -> Result<Value, Error> {
    let count = world.options.peers;
    let network = Memory::new(world.options.seed, &world.trace);
    let target = serving(world, &network, "target", READ_BYTES)?;
    let name = |number: u32| {
        if one_reads {
            format!("target-{number}")
        } else {
            "target".to_owned()
        }
    };
    let from = |number: u32| if one_reads { 0 } else { number };
    if one_reads {
        (1..=count).for_each(|number| network.listen(&name(number), target.target()));
    }
    let processes = if one_reads { 0..=0 } else { 1..=count };
    let endpoints: Vec<Endpoint> = processes
        .map(|number| process(&network, number))
        .collect::<Result<_, _>>()?;
    let begin = Instant::now() + Duration::from_secs(1);
    let mut tasks = Vec::with_capacity(count as usize);
    for number in 1..=count {
        let endpoint = &endpoints[if one_reads { 0 } else { number as usize - 1 }];
        let reader = Reader::new(endpoint, number, &name(number))?;
        tasks.push(tokio::spawn(reads(reader, begin, Arc::clone(&world.trace))));
    }
    sleep_until(begin).await;
    if let Some(late) = late {
        network.slow_down(&name(VICTIM), address_of(from(VICTIM)), late);
    }
    let (mut others, mut victim, mut each) = (Seen::default(), Seen::default(), Vec::new());
    for (number, task) in (1..).zip(tasks) {
        let Ok(Ok(seen)) = task.await else { continue };
        if number == VICTIM {
            victim = seen;
            continue;
        }
        each.push(format!("{:?}", seen.latencies));
        others.latencies.extend(seen.latencies);
        for (code, times) in seen.failures {
            *others.failures.entry(code).or_insert(0) += times;
        }
    }
    let digest = digest_of(each.iter().map(String::as_str));
    Ok(json!({
        "others": { "reads": percentiles(others.latencies), "failures": others.failures, "digest": digest },
        "the_slow_one": {
            "reads": percentiles(victim.latencies),
            "failures": victim.failures,
            "failed_after": percentiles(victim.patience),
        },
    }))
}

/// Reads at its own times, whatever the last one took.
async fn reads(reader: Reader, begin: Instant, trace: Arc<Trace>) -> Result<Seen, Error> {
    let addr = reader.describe(PATIENCE).await?;
    let mut seen = Seen::default();
    let phase = EVERY * (reader.number % 100) / 100;
    for round in 0..ROUNDS {
        sleep_until(begin + phase + EVERY * round).await;
        let since = trace.micros();
        match reader.read(addr, PATIENCE).await {
            Ok(_) => {
                trace.note(Happening::Read, reader.number.into());
                seen.latencies.push(trace.micros() - since);
            }
            Err(error) => {
                trace.note(Happening::Failed, reader.number.into());
                seen.patience.push(trace.micros() - since);
                *seen.failures.entry(error.kind().code()).or_insert(0) += 1;
            }
        }
    }
    Ok(seen)
}
