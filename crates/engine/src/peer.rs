//! A remote endpoint as seen from here: its lanes, dialled when they are needed.

use crate::{
    config::millis,
    error::{Error, ErrorKind},
    io::{TcpTransport, dial},
    lane::{Command, Dial, Lane},
    mailbox::Mailbox,
    op::{Operation, OperationKey, Remote, Request, Ticket},
    target::Target,
};
use memlane_wire::Mode;
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{runtime::Handle, task::JoinHandle};

/// Where operations for one remote endpoint are handed over. Outlives the connections: a lane that ended is dialled
/// again by the next operation.
#[derive(Debug)]
pub struct Peer {
    remote: Remote,
    host: String,
    port: u16,
    mode: Mode,
    target: Arc<Target>,
    runtime: Handle,
    /// One for reads and writes, one for messages: a message that nobody receives yet stops its lane.
    lanes: [Mutex<Option<OpenLane>>; 2],
    closed: AtomicBool,
}

#[derive(Debug)]
struct OpenLane {
    commands: Arc<Mailbox<Command>>,
    task: JoinHandle<()>,
}

impl Peer {
    pub(crate) fn new(host: &str, port: u16, mode: Mode, target: Arc<Target>, runtime: Handle) -> Arc<Self> {
        let name = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        Arc::new(Self {
            remote: Remote {
                name: name.into(),
                stats: Arc::clone(&target.stats),
            },
            host: host.to_owned(),
            port,
            mode,
            target,
            runtime,
            lanes: Default::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Hands an operation over; it is on its way when this returns. Its end, a failure to dial included, is told by its
    /// ticket.
    pub fn submit(&self, operation: Operation) {
        let lane = usize::from(matches!(operation.request, Request::Send { .. }));
        let stats = &self.target.stats;
        match operation.request {
            Request::Read { .. } => stats.reads.add(1),
            Request::Write { .. } => stats.writes.add(1),
            Request::Send { .. } => stats.sends.add(1),
            Request::Describe | Request::Ping => {}
        }
        let mut slot = self.lanes[lane].lock();
        // Under the slot's lock, as in `close`: no lane is opened behind it.
        if self.closed.load(Ordering::Acquire) {
            drop(slot);
            return operation.ticket.fail(Error::new(ErrorKind::Closed), &self.remote.name);
        }
        let mut command = Command::Submit(operation);
        if let Some(open) = slot.as_ref() {
            match open.commands.push(command) {
                Ok(()) => return,
                Err(again) => command = again,
            }
        }
        let commands = Arc::new(Mailbox::default());
        // Fresh: nobody has closed it.
        let _ = commands.push(command);
        *slot = Some(self.open_lane(commands));
    }

    fn open_lane(&self, commands: Arc<Mailbox<Command>>) -> OpenLane {
        let (host, port, target) = (self.host.clone(), self.port, Arc::clone(&self.target));
        let dial: Dial<TcpTransport> = Box::pin(async move {
            dial(&host, port, &target.limits)
                .await
                .map_err(|error| Error::io(ErrorKind::Connect, &error))
        });
        let (remote, target, mode) = (self.remote.clone(), Arc::clone(&self.target), self.mode);
        let given = Arc::clone(&commands);
        let task = self
            .runtime
            .spawn(async move { Lane::new(given, dial, mode, remote, target).await });
        OpenLane { commands, task }
    }

    /// Asks for the operation to end early. It still ends by its ticket, once: with `ERR_ABORTED`, or as it did before.
    pub fn cancel(&self, key: &OperationKey) {
        self.tell(|| Command::Cancel(key.clone()));
    }

    /// Ends operations on local regions that are being closed.
    pub(crate) fn revoke(&self) {
        self.tell(|| Command::Revoke);
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for lane in &self.lanes {
            if let Some(open) = lane.lock().as_ref() {
                // A lane that has ended holds nothing that could be told.
                let _ = open.commands.push(command());
            }
        }
    }

    /// Takes no more operations and ends the open ones with `ERR_CLOSED`; then the ticket. Closing twice is closing once.
    pub fn close(&self, ticket: Ticket) {
        let ended = self.shut();
        self.runtime.spawn(async move {
            ended.await;
            ticket.complete(Ok(crate::op::Done::Nothing));
        });
    }

    pub(crate) fn shut(&self) -> impl Future<Output = ()> + Send + 'static {
        self.closed.store(true, Ordering::Release);
        let open: Vec<_> = self.lanes.iter().filter_map(|lane| lane.lock().take()).collect();
        for lane in &open {
            let _ = lane.commands.push(Command::Close);
        }
        let patience = millis(self.target.limits.drain_time);
        async move {
            for mut lane in open {
                // A lane answers a close in its next turn; the deadline is for a runtime that has stopped.
                if tokio::time::timeout(patience, &mut lane.task).await.is_err() {
                    lane.task.abort();
                }
            }
        }
    }
}
