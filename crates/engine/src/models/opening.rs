//! An endpoint closes while somebody connects by it.

use super::{Ends, explore, thread};
use crate::{
    config::Limits,
    context::Context,
    endpoint::Endpoint,
    error::ErrorKind,
    op::{Operation, Request, channel},
};
use memlane_wire::Mode;
use std::sync::Arc;

#[test]
fn a_peer_that_is_made_while_its_endpoint_closes_is_closed_with_it_or_never_made() {
    explore(|| {
        // Polls nothing: what is spawned goes with it.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let context = Context::on(runtime.handle().clone(), Limits::default()).unwrap();
        let endpoint = Arc::new(Endpoint::new(context).unwrap());
        let connecting = {
            let endpoint = Arc::clone(&endpoint);
            thread(move || endpoint.connect("127.0.0.1", 9, Mode::Native))
        };
        endpoint.close(channel::ticket("close").0);
        let connected = connecting.join().unwrap();
        assert!(endpoint.connect("127.0.0.1", 9, Mode::Native).is_err());
        if let Ok(peer) = connected {
            let ends = Ends::new(|completion| assert_eq!(completion.result.unwrap_err().kind(), ErrorKind::Closed));
            peer.submit(Operation {
                ticket: ends.ticket(),
                request: Request::Ping,
                timeout: None,
            });
            assert_eq!(ends.count(), 1, "it takes nothing any more");
        }
        drop(endpoint);
        drop(runtime);
    });
}
