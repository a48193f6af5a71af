//! The fence of a region: nobody enters behind the close, and who is in has left when it resolves.

use super::{Bytes, block_on, explore, thread};
use crate::region::{Access, Held, Registry, memory::Memory, span::Span};
use std::sync::Arc;

/// A region of private memory: no slab, which others would share.
fn region(registry: &Registry) -> Arc<crate::region::Region> {
    let private = || Ok(Memory::private(64).unwrap());
    registry
        .register("kv", Access::READ_WRITE.into(), None, private)
        .unwrap()
}

#[test]
fn no_span_is_out_when_the_fence_resolves_and_what_was_stored_by_one_is_seen_behind_it() {
    explore(|| {
        let registry = Registry::default();
        let region = region(&registry);
        let bytes: Arc<[Bytes; 2]> = Arc::default();
        let users: Vec<_> = (0..2)
            .map(|user| {
                let (memory, bytes) = (Arc::clone(region.memory()), Arc::clone(&bytes));
                thread(move || {
                    if let Some(span) = Span::leased(&memory, 0, 8) {
                        bytes[user].store();
                        drop(span);
                    }
                })
            })
            .collect();
        registry.close(&region);
        block_on(Registry::fenced(Arc::clone(&region)));
        bytes.iter().for_each(Bytes::are_quiet);
        assert_eq!(region.in_flight(), 0);
        assert!(
            region.span(0, 8).is_none(),
            "a span that is asked for behind the close misses"
        );
        users.into_iter().for_each(|user| user.join().unwrap());
    });
}

#[test]
fn a_span_that_is_made_of_another_is_waited_for_as_well() {
    explore(|| {
        let registry = Registry::default();
        let region = region(&registry);
        let bytes: Arc<Bytes> = Arc::default();
        let first = region.span(0, 64).unwrap();
        let user = {
            let bytes = Arc::clone(&bytes);
            thread(move || {
                let piece = first.slice(8, 8).unwrap();
                drop(first);
                bytes.store();
                drop(piece);
            })
        };
        registry.close(&region);
        block_on(Registry::fenced(Arc::clone(&region)));
        bytes.are_quiet();
        user.join().unwrap();
    });
}

#[test]
fn a_session_that_looks_a_region_up_while_it_is_closed_writes_before_the_fence_or_not_at_all() {
    explore(|| {
        let registry = Arc::new(Registry::default());
        let region = region(&registry);
        let bytes: Arc<Bytes> = Arc::default();
        let session = {
            let (registry, bytes, address) = (Arc::clone(&registry), Arc::clone(&bytes), region.address());
            thread(move || {
                let mut held = Held::default();
                for _ in 0..2 {
                    if held.resolve(&registry, address, 8, Access::WRITE).is_ok() {
                        bytes.store();
                        held.release();
                    }
                }
            })
        };
        registry.close(&region);
        block_on(Registry::fenced(Arc::clone(&region)));
        bytes.are_quiet();
        session.join().unwrap();
        let again = Held::default().resolve(&registry, region.address(), 8, Access::WRITE);
        assert!(again.is_err());
    });
}
