//! One thread that serves connections. A daemon and all its clients are on the same one, so that a
//! frame goes from socket to socket without a lock and without waking another thread.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sideband_protocol::sbrp::ControlCode;
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role as WebSocketRole, WebSocketConfig},
};

use super::{
    command::{Arrival, Command, NewConnection, SessionInfo, ShardHandle},
    connection::{About, Connection},
    context::Context,
    endpoint::Endpoint,
    gate::Gate,
    link::{End, Link, close},
    outgoing::Outgoing,
    pair::Daemon,
    pairing::Pairing,
    registry::{Lease, Online},
};
use crate::{
    limits::Limits,
    metrics::Metrics,
    store::{Revocation, Revoked},
};

/// Longest WebSocket message; more is refused with 1009.
const MAX_MESSAGE: usize = 1024 * 1024;

/// The library's read buffer, eagerly made for every connection: small, because most are idle.
const READ_BUFFER: usize = 4 * 1024;

/// Answers that a daemon may leave unread while it makes more of them.
const MAX_UNREAD_ANSWERS: usize = 1024 * 1024;

/// How long a connection may be on its way from the check of its token to its shard.
const ON_THE_WAY: Duration = Duration::from_secs(60);

/// Time between two closes of a shutdown, unless there are too many for its whole time.
const DRAIN_GAP: Duration = Duration::from_millis(10);

/// What the connections of one shard share.
pub(crate) struct Shard {
    pub(crate) context: Rc<Context>,
    pub(crate) pairing: Pairing,
    /// Connections that live, the closing ones too.
    connections: Cell<usize>,
    /// Nobody new is served: who was on the way here when the drain began is sent away like the others.
    draining: Cell<bool>,
    /// Waits for the last of them.
    drained: RefCell<Option<oneshot::Sender<()>>>,
    /// What was revoked just now: a connection that was let in just before may still be on its way
    /// here.
    revoked: RefCell<VecDeque<(Instant, Revocation)>>,
}

/// Starts the shard of that number, out of `shards`, on a thread of its own.
pub(crate) fn start(
    shard: usize,
    shards: usize,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
) -> io::Result<ShardHandle> {
    let (commands, inbox) = mpsc::unbounded_channel();
    let (started, start) = std::sync::mpsc::sync_channel(1);
    thread::Builder::new().name(format!("sideband-shard-{shard}")).spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                let _ = started.send(Ok(()));
                let context = Rc::new(Context::new(limits, metrics, shard, shards));
                let shard = Rc::new(Shard {
                    pairing: Pairing::new(Rc::clone(&context)),
                    context,
                    connections: Cell::new(0),
                    draining: Cell::new(false),
                    drained: RefCell::default(),
                    revoked: RefCell::default(),
                });
                runtime.block_on(shard.run(inbox));
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    })?;
    start.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended")))?;
    Ok(ShardHandle(commands))
}

impl Shard {
    async fn run(self: Rc<Self>, mut inbox: mpsc::UnboundedReceiver<Command>) {
        while let Some(command) = inbox.recv().await {
            match command {
                Command::Connect(new) => self.connect(*new).await,
                Command::CutDaemon(id, reply) => {
                    let link = self.pairing.daemon(&id).and_then(|daemon| daemon.link());
                    if let Some(link) = &link {
                        link.end(End::Cut);
                    }
                    let _ = reply.send(link.is_some());
                }
                Command::CutClient(session, reply) => {
                    let pair = self.pairing.daemons().iter().find_map(|it| it.pair(session));
                    if let Some(pair) = &pair {
                        pair.client.end(End::Cut);
                    }
                    let _ = reply.send(pair.is_some());
                }
                Command::Sessions(reply) => {
                    let _ = reply.send(self.sessions());
                }
                Command::Revoke(revocation) => self.revoke(revocation),
                Command::Limits(limits) => self.context.set_limits(limits),
                Command::Drain(reply) => self.drain(reply),
                Command::Ping(reply) => {
                    let _ = reply.send(());
                }
            }
        }
    }

    async fn connect(self: &Rc<Self>, new: NewConnection) {
        let revoked = self.was_revoked(&new);
        // The peer is gone already if this fails.
        let Ok(io) = new.io.attach() else {
            return;
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let role = WebSocketRole::Server;
        let socket =
            WebSocketStream::from_partially_read(Outgoing::new(io, new.head), new.read, role, Some(config)).await;
        let now = Instant::now();
        let (role, daemon_id) = (new.arrival.role(), Arc::clone(&new.daemon_id));
        tracing::info!(conn = new.number, role, daemon = &*daemon_id, address = %new.address, "connected");
        self.context.metrics.handshake.observe(new.accepted.elapsed().as_secs_f64());
        let limits = self.context.limits();
        let (link, endpoint, gate) = match new.arrival {
            Arrival::Daemon { resume, online } => {
                let (link, endpoint) = self.daemon_arrives(&daemon_id, new.issued_at, resume, online, now);
                (link, endpoint, Gate::of_daemon(&limits, now))
            }
            Arrival::Client { user, lease, daemon_known } => {
                let (link, endpoint) = self.client_arrives(&daemon_id, user, lease, daemon_known, now);
                (link, endpoint, Gate::of_client(&limits, now))
            }
        };
        if revoked {
            link.terminate(ControlCode::UNAUTHORIZED, 0, now);
        } else if self.draining.get() {
            link.end(End::Close(close::RESTART));
        }
        let presence = self.context.metrics.connection(role);
        let about = About { number: new.number, opened: now, _presence: presence, _places: new.places };
        let connection = Connection::new(Rc::clone(self), socket, link, endpoint, gate, about);
        self.connections.set(self.connections.get() + 1);
        tokio::task::spawn_local(connection);
    }

    /// A connection's task has ended.
    pub(crate) fn connection_ended(&self) {
        self.connections.set(self.connections.get() - 1);
        self.tell_if_drained();
    }

    fn tell_if_drained(&self) {
        if self.connections.get() == 0
            && let Some(reply) = self.drained.take()
        {
            // Whoever asked has stopped waiting.
            let _ = reply.send(());
        }
    }

    fn drain(self: &Rc<Self>, reply: oneshot::Sender<()>) {
        self.draining.set(true);
        *self.drained.borrow_mut() = Some(reply);
        self.tell_if_drained();
        let mut links = Vec::new();
        for daemon in self.pairing.daemons() {
            links.extend(daemon.pairs().iter().map(|pair| Rc::clone(&pair.client)));
            links.extend(daemon.link());
        }
        let gap =
            DRAIN_GAP.min(self.context.limits().drain_time / u32::try_from(links.len().max(1)).unwrap_or(u32::MAX));
        tokio::task::spawn_local(async move {
            for link in links {
                link.end(End::Close(close::RESTART));
                tokio::time::sleep(gap).await;
            }
        });
    }

    fn new_link(&self, limit: usize) -> Rc<Link> {
        Rc::new(Link::new(Rc::clone(&self.context), limit))
    }

    fn daemon_arrives(
        self: &Rc<Self>,
        id: &Arc<str>,
        issued_at: u64,
        resume: bool,
        online: Online,
        now: Instant,
    ) -> (Rc<Link>, Endpoint) {
        let link = self.new_link(self.context.limits().daemon_queue_bytes);
        let daemon = self.pairing.daemon_connects(id, resume, Rc::clone(&link), now);
        daemon.issued_at.set(issued_at);
        self.wait_for_deadlines(&daemon);
        let endpoint = Endpoint::Daemon { daemon, _online: online };
        (link, endpoint)
    }

    fn client_arrives(
        &self,
        daemon: &str,
        user: String,
        lease: Lease,
        daemon_known: bool,
        now: Instant,
    ) -> (Rc<Link>, Endpoint) {
        let link = self.new_link(self.context.limits().client_queue_bytes);
        let session = lease.session();
        let pair = self.pairing.client_connects(daemon, session, user, Rc::clone(&link));
        let endpoint = if let Some(pair) = pair {
            Endpoint::Client { pair, _lease: lease }
        } else {
            let code = if daemon_known { ControlCode::DAEMON_OFFLINE } else { ControlCode::DAEMON_NOT_FOUND };
            link.terminate(code, session.get(), now);
            Endpoint::Gone
        };
        (link, endpoint)
    }

    /// Answers an endpoint's frame. One that makes answers and does not read them is too slow.
    pub(crate) fn answer(&self, link: &Rc<Link>, answer: Vec<u8>, now: Instant) {
        link.send(answer, now);
        if link.queued_bytes() > self.context.limits().client_queue_bytes + MAX_UNREAD_ANSWERS {
            self.context.metrics.limit("client_queue_bytes");
            link.overflow(now);
        }
    }

    /// Sees to it that pairs that wait for a daemon end when their time is over.
    pub(crate) fn wait_for_deadlines(self: &Rc<Self>, daemon: &Rc<Daemon>) {
        if !Pairing::needs_waiting(daemon) {
            return;
        }
        if daemon.waited_for.replace(true) {
            // Perhaps for something later.
            return daemon.deadlines_changed.notify_one();
        }
        let (shard, daemon) = (Rc::clone(self), Rc::clone(daemon));
        tokio::task::spawn_local(async move {
            while let Some(next) = shard.pairing.end_overdue(&daemon, Instant::now()) {
                tokio::select! {
                    () = tokio::time::sleep_until(next.into()) => (),
                    () = daemon.deadlines_changed.notified() => (),
                }
            }
            daemon.waited_for.set(false);
        });
    }

    fn sessions(&self) -> Vec<SessionInfo> {
        let daemons = self.pairing.daemons();
        let pairs = daemons.iter().flat_map(|daemon| daemon.pairs());
        pairs
            .map(|pair| {
                let (frames_to_daemon, bytes_to_daemon) = pair.to_daemon.totals();
                let (frames_to_client, bytes_to_client) = pair.to_client.totals();
                SessionInfo {
                    daemon_id: pair.daemon.id.to_string(),
                    session_id: pair.session.to_base64url(),
                    state: pair.state().name(),
                    frames_to_daemon,
                    frames_to_client,
                    bytes_to_daemon,
                    bytes_to_client,
                }
            })
            .collect()
    }

    fn revoke(&self, revocation: Revocation) {
        let now = Instant::now();
        match &revocation.who {
            Revoked::Daemon(id) => {
                if let Some(daemon) = self.pairing.daemon(id) {
                    for pair in daemon.pairs() {
                        self.pairing.expire(&pair, now);
                    }
                    shut_out(&daemon, now);
                }
            }
            // Whoever has the new key resumes the sessions, and may be here already.
            Revoked::Key(id) => {
                if let Some(daemon) = self.pairing.daemon(id)
                    && daemon.issued_at.get() <= revocation.at
                {
                    shut_out(&daemon, now);
                }
            }
            Revoked::User(id) => {
                let daemons = self.pairing.daemons();
                let pairs = daemons.iter().flat_map(|daemon| daemon.pairs());
                for pair in pairs.filter(|pair| pair.user == *id) {
                    pair.client.terminate(ControlCode::FORBIDDEN, 0, now);
                }
            }
        }
        let mut revoked = self.revoked.borrow_mut();
        revoked.push_back((now, revocation));
        while revoked.front().is_some_and(|(at, _)| now.duration_since(*at) > ON_THE_WAY) {
            revoked.pop_front();
        }
    }

    /// Whether the access was taken while the connection was on its way here.
    fn was_revoked(&self, new: &NewConnection) -> bool {
        let revoked = self.revoked.borrow();
        revoked.iter().any(|(_, Revocation { who, at, .. })| match (who, &new.arrival) {
            (Revoked::Daemon(id), _) => **id == *new.daemon_id,
            (Revoked::Key(id), Arrival::Daemon { .. }) => **id == *new.daemon_id && new.issued_at <= *at,
            (Revoked::User(id), Arrival::Client { user, .. }) => id == user,
            _ => false,
        })
    }
}

fn shut_out(daemon: &Daemon, now: Instant) {
    if let Some(link) = daemon.link() {
        link.terminate(ControlCode::UNAUTHORIZED, 0, now);
    }
}
