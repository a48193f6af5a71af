//! What one loaded copy of the JavaScript side owns: handles, staged bytes, and its completion queue.

use crate::{
    completion::{CompletionQueue, RECORD, Rest},
    directory,
    error::{Failure, failure_of},
    handles::Handles,
    names::Names,
    region::external,
};
use memlane_engine::{
    context::Context,
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    events::Events,
    instance_text,
    op::{CompletionSink, Done, Issuer, OperationKey, Ticket, channel},
    peer::Peer,
    region::{Region, memory::Memory, span::Span},
};
use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;
use slab::Slab;
use std::{cell::RefCell, collections::HashMap, sync::Arc, time::Duration};

/// Most ends that one call of `drain` fetches.
const BATCH: usize = 1024;

/// Numbers of an order: that there is one, and what it is. See `transfer`.
const ORDER_FIELDS: usize = 9;

/// The state of one attachment. It lives on its environment's thread and is only used there.
pub(crate) struct Attachment {
    queue: Arc<CompletionQueue>,
    pub(crate) sink: Arc<dyn CompletionSink>,
    pub(crate) names: Names,
    issuer: Arc<Issuer>,
    records: Arc<Memory>,
    order: Arc<Memory>,
    rest: Vec<Rest>,
    /// What did not fit into a record, until JavaScript fetches it.
    ended: HashMap<u64, std::result::Result<Done, Error>>,
    pub(crate) staged: HashMap<u64, Arc<Memory>>,
    pub(crate) endpoints: Handles<Arc<Endpoint>>,
    pub(crate) regions: Handles<(Arc<Region>, Arc<Endpoint>)>,
    pub(crate) peers: Handles<Connected>,
    pub(crate) contexts: Handles<Context>,
    pub(crate) events: Handles<Arc<Events>>,
    /// Names in the process's own directory, by the numbers of their announcements.
    pub(crate) announced: HashMap<u64, String>,
}

/// A peer with the endpoint that it belongs to, and the issuer of its operations.
pub(crate) struct Connected {
    pub(crate) peer: Arc<Peer>,
    pub(crate) owner: Arc<Endpoint>,
    pub(crate) issuer: Arc<Issuer>,
}

thread_local! {
    /// By number. An environment has a thread of its own, so no lock is needed; two copies of the JavaScript side in one
    /// environment have an attachment each.
    static ATTACHMENTS: RefCell<Slab<Attachment>> = const { RefCell::new(Slab::new()) };
}

/// Runs `job` on the attachment of that number; nothing when it is gone.
pub(crate) fn with<R>(attachment: u32, job: impl FnOnce(&mut Attachment) -> R) -> Option<R> {
    ATTACHMENTS.with_borrow_mut(|attachments| attachments.get_mut(attachment as usize).map(job))
}

/// Runs `job` on the order that JavaScript has just written and on the attachment whose it is. There is one: JavaScript runs
/// nothing between writing it and this call.
pub(crate) fn with_order(job: impl FnOnce(&mut Attachment, [f64; ORDER_FIELDS - 1])) {
    ATTACHMENTS.with_borrow_mut(|attachments| {
        // Nearly always the first, and the only one.
        let found = attachments
            .iter_mut()
            .find_map(|(_, attachment)| attachment.ordered().map(|order| (attachment, order)));
        if let Some((attachment, order)) = found {
            job(attachment, order);
        }
    });
}

impl Attachment {
    /// Takes the order, if there is one.
    fn ordered(&self) -> Option<[f64; ORDER_FIELDS - 1]> {
        let mut bytes = [0; ORDER_FIELDS * 8];
        // Private memory gives every byte; only a file's can be lost.
        let _ = self.order.copy_out(0, &mut bytes);
        let (fields, _) = bytes.as_chunks::<8>();
        if f64::from_ne_bytes(fields[0]) != 1.0 {
            return None;
        }
        let _ = self.order.copy_in(0, &0_f64.to_ne_bytes());
        Some(std::array::from_fn(|index| f64::from_ne_bytes(fields[index + 1])))
    }

    pub(crate) fn ticket(&mut self, operation: f64, name: &'static str) -> Ticket {
        Ticket::new(Arc::clone(&self.issuer), self.names.begin(operation), name)
    }

    fn drain(&mut self) -> u32 {
        let records = &self.records;
        let store = |drained: &[u8]| {
            // Private memory takes every byte; only a file's can fail.
            let _ = records.copy_in(0, drained);
        };
        let count = self.queue.drain(BATCH, store, &mut self.rest);
        for (number, result) in self.rest.drain(..) {
            if result.is_err() {
                self.staged.remove(&number);
            }
            self.ended.insert(number, result);
        }
        count as u32
    }

    /// Ends everything; nobody waits for it, because nobody is there any more.
    fn abandon(self) {
        self.queue.detach();
        for (number, name) in &self.announced {
            directory::forget(name, *number);
        }
        for endpoint in self.endpoints.iter() {
            endpoint.close(channel::ticket("close").0);
        }
    }
}

/// The number of an attachment and the memory that its records lie in, and its order.
#[napi(object)]
pub struct Attached<'env> {
    pub id: u32,
    #[napi(ts_type = "ArrayBuffer")]
    pub records: Unknown<'env>,
    #[napi(ts_type = "ArrayBuffer")]
    pub order: Unknown<'env>,
}

/// Attaches one copy of the JavaScript side. `onWake` is called, once however many ends there are, when `drain` has
/// something to fetch; it does not hold the process.
#[napi(catch_unwind)]
pub fn attach<'env>(env: &'env Env, on_wake: Function<'env, (), ()>) -> Result<Attached<'env>> {
    let wake = on_wake
        .build_threadsafe_function()
        .weak::<true>()
        .callee_handled::<false>()
        .build()?;
    let queue = CompletionQueue::new(wake);
    let sink: Arc<dyn CompletionSink> = Arc::clone(&queue) as _;
    let memory = |len| Memory::private(len).map_err(|error| napi::Error::from_reason(error.to_string()));
    let (records, order) = (memory(BATCH * RECORD)?, memory(ORDER_FIELDS * 8)?);
    let views = (external(env, &records)?, external(env, &order)?);
    let attachment = Attachment {
        queue,
        issuer: Issuer::local(Arc::clone(&sink)),
        sink,
        names: Names::default(),
        records,
        order,
        rest: Vec::new(),
        ended: HashMap::new(),
        staged: HashMap::new(),
        endpoints: Handles::new(),
        regions: Handles::new(),
        peers: Handles::new(),
        contexts: Handles::new(),
        events: Handles::new(),
        announced: HashMap::new(),
    };
    let id = ATTACHMENTS.with_borrow_mut(|attachments| attachments.insert(attachment)) as u32;
    // Hooks run in reverse order: this one comes before that of the threadsafe function, which was made first.
    env.add_env_cleanup_hook(id, |id| {
        let gone = ATTACHMENTS.with_borrow_mut(|attachments| attachments.try_remove(id as usize));
        if let Some(attachment) = gone {
            attachment.abandon();
        }
    })?;
    Ok(Attached {
        id,
        records: views.0,
        order: views.1,
    })
}

/// Fetches ends into the records; how many. Below 1,024 that was all, and the next end calls `onWake`.
#[napi(catch_unwind)]
pub fn drain(attachment: u32) -> u32 {
    with(attachment, Attachment::drain).unwrap_or(0)
}

/// Blocks until the end of the operation is there to be fetched; false when `milliseconds` passed before. Below zero
/// is for ever.
#[napi(catch_unwind)]
pub fn wait_sync(attachment: u32, operation: f64, milliseconds: f64) -> bool {
    let Some(queue) = with(attachment, |attachment| Arc::clone(&attachment.queue)) else {
        return false;
    };
    let patience = Duration::try_from_secs_f64(milliseconds / 1000.0).ok();
    queue.wait(operation as u64, patience)
}

/// What a successful operation has to tell beyond a number.
#[napi(object)]
#[derive(Default)]
pub struct Detail {
    pub text: Option<String>,
    pub message_bytes: Option<f64>,
    pub tag: Option<Either<f64, BigInt>>,
    pub from: Option<String>,
    pub instance: Option<String>,
    pub truncated: Option<bool>,
}

/// The detail of an operation whose record has state 1; once.
#[napi(catch_unwind)]
pub fn detail(attachment: u32, operation: f64) -> Detail {
    let done = with(attachment, |attachment| attachment.ended.remove(&(operation as u64))).flatten();
    match done {
        Some(Ok(Done::Text(text))) => Detail {
            text: Some(text),
            ..Detail::default()
        },
        Some(Ok(Done::Message(message))) => Detail {
            message_bytes: Some(message.message_bytes as f64),
            tag: Some(tag_value(message.tag)),
            from: Some(message.from),
            instance: message.instance.as_ref().map(instance_text),
            truncated: Some(message.bytes < message.message_bytes),
            ..Detail::default()
        },
        _ => Detail::default(),
    }
}

/// A tag as JavaScript has it: a number as long as that is exact, as every tag of ours is.
fn tag_value(tag: u64) -> Either<f64, BigInt> {
    const MAX_SAFE: u64 = (1 << 53) - 1;
    if tag <= MAX_SAFE {
        Either::A(tag as f64)
    } else {
        Either::B(BigInt::from(tag))
    }
}

/// The failure of an operation whose record has state 2; once.
#[napi(catch_unwind)]
pub fn failure(attachment: u32, operation: f64) -> Failure {
    let ended = with(attachment, |attachment| attachment.ended.remove(&(operation as u64))).flatten();
    match ended {
        Some(Err(error)) => failure_of(&error),
        _ => failure_of(&Error::new(ErrorKind::Internal)),
    }
}

/// Asks for the operation to end early: with the peer of that handle, which it was issued to; below zero with every peer. Its
/// record still comes, with `ERR_ABORTED` unless it had ended before.
#[napi(catch_unwind)]
pub fn cancel(attachment: u32, operation: f64, peer: f64) {
    with(attachment, |attachment| {
        let key = OperationKey::new(Arc::clone(&attachment.sink), attachment.names.of(operation));
        if peer < 0.0 {
            attachment
                .peers
                .iter()
                .for_each(|connected| connected.peer.cancel(&key));
        } else if let Some(connected) = attachment.peers.get(peer) {
            // A peer that is closed has ended its operations.
            connected.peer.cancel(&key);
        }
    });
}

/// The same for a receive, with the endpoint that it was posted to.
#[napi(catch_unwind)]
pub fn cancel_receive(attachment: u32, operation: f64, endpoint: f64) {
    with(attachment, |attachment| {
        let key = OperationKey::new(Arc::clone(&attachment.sink), attachment.names.of(operation));
        if let Some(endpoint) = attachment.endpoints.get(endpoint) {
            // False when it has ended, which its record tells.
            endpoint.cancel_recv(&key);
        }
    });
}

/// Private memory for the bytes of one operation, kept under its number until they are taken.
pub(crate) fn stage(attachment: &mut Attachment, operation: f64, len: usize) -> std::result::Result<Span, Error> {
    let memory = private(len)?;
    attachment.staged.insert(operation as u64, Arc::clone(&memory));
    Ok(Span::whole(memory))
}

/// Private memory.
pub(crate) fn private(len: usize) -> std::result::Result<Arc<Memory>, Error> {
    Memory::private(len).map_err(|error| Error::memory(len, &error))
}
