//! The process: two listeners, signals, reload, and the way out.
//!
//! Pingora's server runs on a thread of its own with a runtime for each listener. The main thread keeps a small
//! runtime for what is beside the requests, and decides when the process ends: it gives Pingora the order to close
//! its listeners, waits for the open requests, and returns. Pingora would still wait a fixed time then; the return
//! from `main` ends that.

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

use std::{net::SocketAddr, path::PathBuf, sync::Arc, thread, time::Duration};

use pingora::{
    server::{
        ExecutionPhase, RunArgs, Server, ShutdownSignal,
        configuration::{Opt, ServerConf},
    },
    services::listening::Service,
};
use tokio::sync::{broadcast, oneshot};

use crate::{
    catalog::settings::Tls,
    config::watch::Requests,
    engine::Engine,
    server::{
        admin::Admin,
        connection::{Connections, Site},
        drain::{Drain, StopOrder},
        listen::{Claim, ListenFault},
        signals::{Order, Signals},
        site::DataPlane,
        tasks::Tasks,
    },
};

/// Longer than any drain: the main thread's return ends the process, not Pingora's own wait.
const GRACE: Duration = Duration::from_hours(7 * 24);

/// What is served, and where.
pub struct Setup {
    /// Serves the requests.
    pub engine: Arc<Engine>,
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
    pub reload: Requests,
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
    let data = Claim::new(setup.listen, setup.upgrade)?;
    let admin = Claim::new(setup.admin, setup.upgrade)?;
    let addresses = Addresses { data: data.address, admin: admin.address };

    let site = DataPlane::new(Arc::clone(&setup.engine));
    let server = serving((site, &drain), &data, &setup, None)?;
    let phases = server.watch_execution_phase();
    let (stop_data, data_ended) = start(server)?;
    // The admin listener has a server of its own: it says that the process drains until the very end.
    let site = Admin::new(Arc::clone(&setup.engine), Arc::clone(&drain), admin.address.ip());
    let server = serving((site, &drain), &admin, &setup, Some("admin"))?;
    let (stop_admin, admin_ended) = start(server)?;
    data.wait().await?;
    admin.wait().await?;

    let mut tasks = Tasks::default();
    ready(addresses, &mut tasks);
    let socket = handover::socket(setup.upgrade_socket.as_deref());
    let exit = Exit { engine: setup.engine, drain, stop_data, stop_admin, phases, socket };
    tokio::select! {
        _ = data_ended => Err(ServeFault::Ended),
        _ = admin_ended => Err(ServeFault::Ended),
        () = exit.on_signal(&mut signals, &setup.reload) => Ok(()),
    }
}

/// Pingora's server for one listener; `admin` names the one that is not the data plane.
fn serving<S: Site>(
    (site, drain): (S, &Arc<Drain>),
    claim: &Claim,
    setup: &Setup,
    admin: Option<&str>,
) -> Result<Server, ListenFault> {
    let socket = handover::socket(setup.upgrade_socket.as_deref());
    let socket = socket.to_string_lossy();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let conf = ServerConf {
        threads: if admin.is_some() { 1 } else { cores },
        work_stealing: true,
        grace_period_seconds: Some(GRACE.as_secs()),
        graceful_shutdown_timeout_seconds: Some(0),
        upgrade_sock: admin.map_or_else(|| socket.to_string(), |name| format!("{socket}.{name}")),
        ..ServerConf::default()
    };
    let options = Opt { upgrade: setup.upgrade, ..Opt::default() };
    let mut server = Server::new_with_opt_and_conf(options, conf);
    server.bootstrap();
    let connections = Connections::new(site, Arc::clone(drain));
    let mut service = Service::new(admin.unwrap_or("data plane").to_owned(), connections);
    service.add_listener(claim.listener(setup.tls.as_ref().filter(|_| admin.is_none()))?);
    server.add_service(service);
    Ok(server)
}

/// Runs a server on a thread of its own. Returns how to stop it, and what ends when it does.
fn start(
    server: Server,
) -> std::io::Result<(oneshot::Sender<ShutdownSignal>, oneshot::Receiver<()>)> {
    let (stop, order) = StopOrder::new();
    let (alive, ended) = oneshot::channel();
    thread::Builder::new().name("pingora".to_owned()).spawn(move || {
        let _alive: oneshot::Sender<()> = alive;
        server.run(RunArgs { shutdown_signal: Box::new(order) });
    })?;
    Ok((stop, ended))
}

/// What the way out needs.
struct Exit {
    engine: Arc<Engine>,
    drain: Arc<Drain>,
    stop_data: oneshot::Sender<ShutdownSignal>,
    stop_admin: oneshot::Sender<ShutdownSignal>,
    phases: broadcast::Receiver<ExecutionPhase>,
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
                    found = handover::has_successor(&self.socket) => {
                        if found {
                            return Order::HandOver;
                        }
                    }
                },
            }
        }
    }

    async fn leave(mut self, order: Order) {
        let limit = self.engine.drain_limit();
        tracing::info!(open = self.drain.open(), limit_s = limit.as_secs(), "draining");
        if order == Order::HandOver {
            let _ = self.stop_data.send(ShutdownSignal::GracefulUpgrade);
            let _ = self.stop_admin.send(ShutdownSignal::GracefulUpgrade);
            // The old listeners stay open until the new process has taken them.
            while let Ok(phase) = self.phases.recv().await {
                if matches!(phase, ExecutionPhase::ShutdownStarted) {
                    break;
                }
            }
            self.drain.begin();
        } else {
            self.drain.begin();
            let _ = self.stop_data.send(ShutdownSignal::GracefulTerminate);
        }
        self.drain.wait(limit).await;
        tracing::info!("stopped");
    }
}

async fn stopped_again(signals: &mut Signals) {
    while signals.next().await != Order::Stop {}
}
