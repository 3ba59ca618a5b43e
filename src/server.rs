//! The process: two listeners, signals, reload, and the way out.
//!
//! Each listener has a runtime of its own, on a thread that does nothing else. The main thread keeps a small runtime
//! for what is beside the requests, and decides when the process ends: it closes the listeners, waits for the open
//! requests, and returns. Pingora's `Server` would do the same with fixed waits in it, and would end even where its
//! listeners reached nobody; so its services are run here without it.

pub mod admin;
pub mod body;
pub mod caller;
pub mod connection;
pub mod drain;
pub mod framing;
pub mod handover;
pub mod listen;
pub mod reload;
pub mod session;
pub mod signals;
pub mod site;
pub mod tasks;
pub mod upkeep;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use pingora::{
    server::ListenFds,
    services::{Service as _, listening::Service},
};
use tokio::{
    runtime,
    sync::{oneshot, watch},
    time::{sleep, timeout},
};

use crate::{
    catalog::settings::Tls,
    config::watch::Requests,
    engine::Engine,
    server::{
        admin::{About, Admin},
        connection::{Connections, Site},
        drain::Drain,
        handover::{HandoverFault, Listeners, Predecessor},
        listen::{Claim, ListenFault},
        reload::Reload,
        signals::{Order, Signals},
        site::DataPlane,
        tasks::Tasks,
    },
};

/// How long callers who connected just before the end may take to say what for: a moment, since whoever stops a process
/// waits for it.
const HEARING: Duration = Duration::from_millis(100);

/// The same where another process has taken over, and nobody waits for this one.
const LONG_HEARING: Duration = Duration::from_secs(5);

/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(1);

/// What is served, and where.
pub struct Setup {
    /// Serves the requests, and takes changes of the configuration.
    pub reload: Arc<Reload>,
    /// Address of the data plane.
    pub listen: SocketAddr,
    /// Address of the admin listener.
    pub admin: SocketAddr,
    /// Certificate of the data plane.
    pub tls: Option<Tls>,
    /// Over which socket listeners are handed over.
    pub upgrade_socket: Option<PathBuf>,
    /// Whether to take the listeners of a running process over.
    pub upgrade: bool,
    /// Asked on SIGHUP.
    pub asked: Requests,
    /// Whether the providers are simulated ones, which the pages say.
    pub simulated: bool,
}

/// The addresses that are listened on.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The data plane.
    pub data: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
}

/// Why the process could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeFault {
    /// A listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenFault),
    /// The listeners of the old process cannot be taken over.
    #[error("{}: {fault}", .socket.display())]
    TakeOver {
        /// Where it was waited for them.
        socket: PathBuf,
        /// Why not.
        fault: HandoverFault,
    },
    /// The system refuses something that every process needs.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The server ended without an order.
    #[error("the server ended by itself")]
    Ended,
}

/// Serves until a signal ends it. `ready` is called once with the addresses; it may start background tasks.
pub async fn run(
    setup: Setup,
    ready: impl FnOnce(Addresses, &mut Tasks),
) -> Result<(), ServeFault> {
    let mut signals = Signals::listen()?;
    let drain = Drain::new();
    let socket = handover::socket(setup.upgrade_socket.as_deref());
    let (inherited, predecessor) = tokio::select! {
        () = stopped_again(&mut signals) => return Ok(()),
        taken = taken_over(setup.upgrade, &socket) => taken?,
    };
    let (data, admin) = match inherited {
        Some(Listeners { data, admin }) => (Some(data), Some(admin)),
        None => (None, None),
    };
    let data = Claim::new(setup.listen, data)?;
    let admin = Claim::new(setup.admin, admin)?;
    let addresses = Addresses { data: data.address, admin: admin.address };
    let listeners = Listeners { data: data.share()?, admin: admin.share()? };

    let site = DataPlane::new(Arc::clone(&setup.reload.engine));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let connections = Connections::new(site, Arc::clone(&drain));
    let plane = service("data plane", connections, &data, setup.tls.as_ref())?;
    let (data, data_ended) = start(plane, data.into_table(), cores)?;
    // The admin listener stays until the very end: it says that the process drains.
    let about = About {
        loopback: admin.address.ip().is_loopback(),
        data_plane: base_url(addresses.data, setup.tls.is_some()),
        simulated: setup.simulated,
    };
    let site = Admin::new(Arc::clone(&setup.reload), Arc::clone(&drain), about);
    let connections = Connections::new(site, Arc::clone(&drain));
    let plane = service("admin", connections, &admin, None)?;
    let (admin, admin_ended) = start(plane, admin.into_table(), 1)?;

    let mut tasks = Tasks::default();
    ready(addresses, &mut tasks);
    if let Some(predecessor) = predecessor {
        predecessor.dismiss().await;
    }
    let engine = Arc::clone(&setup.reload.engine);
    let exit = Exit { engine, drain, data, admin, listeners, socket };
    tokio::select! {
        _ = data_ended => Err(ServeFault::Ended),
        _ = admin_ended => Err(ServeFault::Ended),
        () = exit.on_signal(&mut signals, &setup.asked) => Ok(()),
    }
}

/// Where a listener on `address` is called on this machine.
fn base_url(address: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{}", listen::reachable(address))
}

/// What an old process hands over, where there is one to be replaced.
async fn taken_over(
    upgrade: bool,
    socket: &Path,
) -> Result<(Option<Listeners>, Option<Predecessor>), ServeFault> {
    if !upgrade {
        return Ok((None, None));
    }
    let (listeners, predecessor) = handover::take_over(socket)
        .await
        .map_err(|fault| ServeFault::TakeOver { socket: socket.to_owned(), fault })?;
    Ok((Some(listeners), Some(predecessor)))
}

/// What serves the connections of one listener.
fn service<S: Site>(
    name: &str,
    connections: Connections<S>,
    claim: &Claim,
    tls: Option<&Tls>,
) -> Result<Service<Connections<S>>, ListenFault> {
    let mut service = Service::new(name.to_owned(), connections);
    service.add_listener(claim.listener(tls)?);
    Ok(service)
}

/// Runs a service on a thread of its own. Returns how to close its listener, and what ends should the service fail.
/// What has been accepted goes on until the process ends.
fn start<S: Site>(
    mut service: Service<Connections<S>>,
    table: ListenFds,
    threads: usize,
) -> std::io::Result<(Plane, oneshot::Receiver<()>)> {
    let (stop, stopping) = watch::channel(false);
    let (alive, ended) = oneshot::channel();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(service.name().to_owned())
        .enable_all()
        .build()?;
    let plane = Plane { stop, runtime: runtime.handle().clone() };
    thread::Builder::new().name(service.name().to_owned()).spawn(move || {
        let _alive: oneshot::Sender<()> = alive;
        runtime.block_on(async {
            service.start_service(Some(table), stopping, 1).await;
            std::future::pending::<()>().await;
        });
    })?;
    Ok((plane, ended))
}

/// A listener that is served.
struct Plane {
    stop: watch::Sender<bool>,
    runtime: runtime::Handle,
}

impl Plane {
    /// Accepts no more.
    fn close(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until what has been accepted is served, at most `patience`: a connection is a task of its own from the
    /// moment it is accepted, and may be told from the rest only when that task has begun.
    async fn served(&self, drain: &Drain, patience: Duration) {
        let all = async {
            while self.runtime.metrics().num_alive_tasks() > drain.connections() {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(patience, all).await;
    }
}

/// What the way out needs.
struct Exit {
    engine: Arc<Engine>,
    drain: Arc<Drain>,
    data: Plane,
    admin: Plane,
    /// What a successor is given; a listener is closed only when this is too.
    listeners: Listeners,
    /// Where a successor waits for the listeners.
    socket: PathBuf,
}

impl Exit {
    /// Serves signals until one has ended the process.
    async fn on_signal(self, signals: &mut Signals, reload: &Requests) {
        let order = self.ordered(signals, reload).await;
        tokio::select! {
            () = self.leave(order) => {}
            () = stopped_again(signals) => tracing::warn!("stopped at once"),
        }
    }

    /// The order that ends the process. One to hand over is followed only where somebody takes over.
    async fn ordered(&self, signals: &mut Signals, reload: &Requests) -> Order {
        loop {
            match signals.next().await {
                Order::Reload => reload.request(),
                Order::Stop => return Order::Stop,
                Order::HandOver => tokio::select! {
                    () = stopped_again(signals) => return Order::Stop,
                    handed = handover::hand_over(&self.socket, &self.listeners) => match handed {
                        Ok(()) => return Order::HandOver,
                        Err(fault) => self.not_handed_over(&fault),
                    }
                },
            }
        }
    }

    fn not_handed_over(&self, fault: &HandoverFault) {
        tracing::error!(
            socket = %self.socket.display(),
            "{fault}; this process goes on serving"
        );
    }

    async fn leave(self, order: Order) {
        let limit = self.engine.drain_limit();
        tracing::info!(open = self.drain.open(), limit_s = limit.as_secs(), "draining");
        self.drain.begin();
        drop(self.listeners);
        self.data.close();
        if order == Order::HandOver {
            self.admin.close();
        }
        let patience = if order == Order::HandOver { LONG_HEARING } else { HEARING };
        self.data.served(&self.drain, patience).await;
        self.drain.heard(patience).await;
        self.drain.wait(limit).await;
        tracing::info!("stopped");
    }
}

async fn stopped_again(signals: &mut Signals) {
    while signals.next().await != Order::Stop {}
}
