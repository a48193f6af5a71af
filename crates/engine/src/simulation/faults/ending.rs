//! How a world ends: everybody is well again, once a connection is cut and once a process is started anew, and then nothing is
//! left.

use super::{
    Dice, Ledger,
    network::Roads,
    node::{Node, limits},
};
use crate::{
    error::ErrorKind,
    op::{CompletionSink, Operation, Request, Ticket},
    region::{memory::Memory, span::Span},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Within which everybody is well again.
const RECOVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn end(nodes: &[Arc<Node>], roads: &Arc<Roads>, dice: &Arc<Dice>, ledger: &Arc<Ledger>) {
    roads.calm_down();
    // What was given up long ago, and fences.
    sleep(Duration::from_secs(3)).await;
    recover("after the faults", nodes, ledger, usize::MAX).await;
    let cut = tokio::spawn(recover_all(nodes.to_vec(), Arc::clone(ledger)));
    sleep(dice.millis(8)).await;
    roads.cut_all();
    let _ = cut.await;
    recover("after a cut", nodes, ledger, 1).await;
    let again = &nodes[dice.below(nodes.len() as u64) as usize];
    again.restart(true, dice.millis(50)).await;
    recover("after a restart", nodes, ledger, 1).await;
    // Deadlines of everything that could still be on its way.
    sleep(Duration::from_millis(limits().idle_timeout) + Duration::from_secs(12)).await;
    for node in nodes {
        let life = node.life();
        for peer in life.peers.iter().flatten() {
            let stats: serde_json::Value = serde_json::from_str(&peer.stats()).unwrap_or_default();
            let left = [
                &stats["queuedBytes"],
                &stats["operations"]["inFlight"],
                &stats["lanes"]["open"],
            ];
            ledger.expect(left.iter().all(|left| left.as_u64() == Some(0)), || {
                format!("queued bytes, operations in flight, lanes: {left:?} are left of a peer")
            });
        }
        let stats = &life.endpoint.target().stats;
        let open = stats.accepted.value() - stats.disconnected.value();
        ledger.expect(open == 0, || {
            format!("{open} connections are left to a process that nobody uses")
        });
        for served in [life.served(false), life.served(true)] {
            served.check_all(ledger);
        }
    }
    for node in nodes {
        node.end().await;
    }
    sleep(Duration::from_secs(1)).await;
    ledger.close();
}

async fn recover_all(nodes: Vec<Arc<Node>>, ledger: Arc<Ledger>) {
    // A read goes by the next connection; nothing of its answer has come, or all of it.
    recover("while it is cut", &nodes, &ledger, 0).await;
}

/// Everybody reads from everybody until that succeeds.
async fn recover(when: &str, nodes: &[Arc<Node>], ledger: &Arc<Ledger>, most: usize) {
    let began = Instant::now();
    let mut tasks = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        for (other, theirs) in nodes.iter().enumerate().filter(|(other, _)| *other != number) {
            let (node, theirs, ledger) = (Arc::clone(node), Arc::clone(theirs), Arc::clone(ledger));
            tasks.push(tokio::spawn(
                async move { read_until(&node, other, &theirs, &ledger).await },
            ));
        }
    }
    for task in tasks {
        let Ok(failures) = task.await else {
            ledger.expect(false, || "a reader panicked".to_owned());
            continue;
        };
        ledger.expect(failures.len() <= most, || {
            format!("{when} reads failed with {failures:?}")
        });
    }
    let took = began.elapsed();
    ledger.expect(took <= RECOVERY, || {
        format!("{when} it took {took:?} until everybody was well again")
    });
}

async fn read_until(node: &Node, other: usize, theirs: &Node, ledger: &Ledger) -> Vec<ErrorKind> {
    let mut failures = Vec::new();
    while failures.len() < 50 {
        let (life, served) = (node.life(), theirs.life().served(false));
        let (Some(peer), Ok(memory)) = (&life.peers[other], Memory::private(64)) else {
            break;
        };
        let ends = ledger.begin("read");
        let sink: Arc<dyn CompletionSink> = Arc::clone(&ends) as _;
        peer.submit(Operation {
            ticket: Ticket::new(peer.issuer(sink), 0, "read"),
            request: Request::Read {
                addr: served.region.address(),
                into: Span::whole(memory),
            },
            timeout: Some(PATIENCE),
        });
        match ledger.end(&ends, PATIENCE).await {
            Some(Ok(_)) => break,
            Some(Err(error)) => failures.push(error.kind()),
            None => break,
        }
    }
    failures
}
