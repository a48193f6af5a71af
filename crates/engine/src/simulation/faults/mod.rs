//! Two or three processes that do everything to each other while the network between them fails in every way that it can, and
//! they are started anew. What memlane promises is held against what they see: see [`Ledger`].
//!
//! A world is a seed, and has a thread of its own: nothing that one world leaves behind reaches the next.

mod actor;
mod ending;
mod ledger;
mod network;
mod node;
mod slots;

use super::trace::{Happening, Trace};
use crate::{random::seeded, region::address::begin_world};
use actor::Actor;
use ledger::Ledger;
use network::Roads;
use node::Node;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Builder, time::sleep};

/// What came of one world.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it followed from.
    pub seed: u64,
    /// Operations that were begun; all of them ended, or `violations` says so.
    pub operations: u64,
    /// Those that ended with success.
    pub succeeded: u64,
    /// Things that went wrong in the network, restarts and closes.
    pub faults: u64,
    /// Seconds that passed in it.
    pub virtual_s: f64,
    /// Of everything that happened and when: the same seed gives the same.
    pub digest: String,
    /// What memlane promises and did not keep.
    pub violations: Vec<String>,
}

/// Lets the world of this seed live.
pub fn live(seed: u64) -> Outcome {
    let world = std::thread::Builder::new().name(format!("seed {seed}"));
    let dead = |what: &str| Outcome {
        seed,
        operations: 0,
        succeeded: 0,
        faults: 0,
        virtual_s: 0.0,
        digest: String::new(),
        violations: vec![what.to_owned()],
    };
    match world.spawn(move || run(seed)).map(|world| world.join()) {
        Ok(Ok(Some(outcome))) => outcome,
        Ok(Ok(None)) | Err(_) => dead("the world could not be made"),
        Ok(Err(_)) => dead("a panic"),
    }
}

fn run(seed: u64) -> Option<Outcome> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .ok()?;
    seeded::set(Some(seed));
    begin_world();
    let outcome = runtime.block_on(world(seed));
    drop(runtime);
    seeded::set(None);
    Some(outcome)
}

/// Numbers by seed, for whoever needs one next.
#[derive(Debug)]
struct Dice(parking_lot::Mutex<u64>);

impl Dice {
    fn below(&self, end: u64) -> u64 {
        seeded::next(&mut self.0.lock()) % end
    }

    /// So many times of a hundred.
    fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn millis(&self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }
}

async fn world(seed: u64) -> Outcome {
    let dice = Arc::new(Dice(parking_lot::Mutex::new(seed ^ 0x6d65_6d6c_616e_6521)));
    let ledger = Arc::new(Ledger::new(Trace::new()));
    let is_large = dice.percent(20);
    let roads = Roads::new(&dice, &ledger, is_large);
    let count = 2 + dice.below(2) as u32;
    let nodes: Vec<_> = (0..count)
        .map(|number| Node::start(number, count, &roads, &ledger, is_large))
        .collect();
    let actors: Vec<_> = (0..count)
        .flat_map(|number| (0..3).map(move |_| number))
        .map(|number| {
            let actor = Actor::new(number, &nodes, &dice, &ledger);
            tokio::spawn(actor.act())
        })
        .collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let faults = tokio::spawn({
        let (nodes, roads, dice) = (nodes.clone(), Arc::clone(&roads), Arc::clone(&dice));
        let (ledger, is_over) = (Arc::clone(&ledger), Arc::clone(&is_over));
        async move { fail(&nodes, &roads, &dice, &ledger, &is_over).await }
    });
    for actor in actors {
        ledger.expect(actor.await.is_ok(), || "an actor panicked".to_owned());
    }
    is_over.store(true, Ordering::Relaxed);
    let _ = faults.await;
    ending::end(&nodes, &roads, &dice, &ledger).await;
    ledger.outcome(seed)
}

/// Has things go wrong until it is over.
async fn fail(nodes: &[Arc<Node>], roads: &Roads, dice: &Dice, ledger: &Ledger, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        sleep(dice.millis(60)).await;
        let node = &nodes[dice.below(nodes.len() as u64) as usize];
        let kind = dice.below(100);
        ledger.note(Happening::Fault, kind);
        match kind {
            0..35 => roads.cut_one(),
            35..50 => roads.slow_one(),
            50..65 => roads.silence_one(),
            65..92 => node.begin_close_region(dice),
            92..96 => node.restart(true, dice.millis(300)).await,
            _ => node.restart(false, dice.millis(100)).await,
        }
    }
}
