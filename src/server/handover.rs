//! Handing the listeners over to a new process.
//!
//! The new process waits at a socket. The old one, told to hand over, connects to it and sends its listeners along; from
//! then on both hold them, so that nobody is refused. The old process leaves only when the new one has said, over the
//! same connection, that it serves: a successor that dies on the way costs nothing. Pingora's own upgrade sends the
//! listeners and ends five seconds later, whatever has become of them, which is why it is not used.
//!
//! A listener is worth as much as a credential, so it is given to nobody, and taken from nobody, but a process of the
//! same user.

use std::{
    fs,
    io::{self, ErrorKind, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::{fs::PermissionsExt as _, net::UnixDatagram},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, Interest},
    net::{UnixListener, UnixStream},
    time::{sleep, timeout},
};

/// Where a new process waits for the listeners of the old one, unless `upgrade_socket` says otherwise.
const UPGRADE_SOCKET: &str = "/tmp/pointsman-upgrade.sock";

/// How long a successor may take to come after the order to hand over.
const COMING: Duration = Duration::from_secs(5);

/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// How long a successor may take to serve once it has the listeners.
const SERVING: Duration = Duration::from_secs(30);

/// How long a new process waits for the listeners.
const WAITING: Duration = Duration::from_mins(1);

/// What comes with the listeners: who sends them, and in which form.
const GREETING: &[u8] = b"pointsman 1\n";

/// What a new process answers once it serves.
const SERVES: u8 = b'+';

/// The listeners of a process, as they change hands.
#[derive(Debug)]
pub struct Listeners {
    /// The data plane's.
    pub data: TcpListener,
    /// The admin listener.
    pub admin: TcpListener,
}

/// The process whose listeners were taken over; it waits for the word that they are served.
#[derive(Debug)]
pub struct Predecessor(UnixStream);

/// Why no listener has changed hands.
#[derive(Debug, thiserror::Error)]
pub enum HandoverFault {
    /// The old process found nobody at the socket.
    #[error("nobody waits for the listeners (`serve --upgrade`)")]
    Nobody,
    /// The new process was given nothing.
    #[error(
        "nobody handed listeners over within 60 s: send SIGQUIT to the process that is to be replaced"
    )]
    Nothing,
    /// The socket is another process's.
    #[error("another process waits at this socket already")]
    Taken,
    /// Whoever is at the other end must not have a listener, and none is taken from it.
    #[error("the other process is another user's")]
    Stranger,
    /// What came is no listeners.
    #[error("the other process speaks another protocol")]
    Protocol,
    /// The new process ended before it served.
    #[error("the new process ended before it served")]
    Died,
    /// The new process has not begun to serve.
    #[error("the new process did not serve within 30 s")]
    Late,
    /// The system refuses it.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Where listeners change hands.
pub fn socket(configured: Option<&Path>) -> PathBuf {
    configured.map_or_else(|| PathBuf::from(UPGRADE_SOCKET), Path::to_path_buf)
}

/// Gives `listeners` to the process that waits at `socket`, now or soon. Returns once that process serves; on every
/// other way out this process has to go on.
pub async fn hand_over(socket: &Path, listeners: &Listeners) -> Result<(), HandoverFault> {
    let mut successor =
        timeout(COMING, reached(socket)).await.map_err(|_| HandoverFault::Nobody)??;
    check_user(&successor)?;
    let both = [listeners.data.as_fd(), listeners.admin.as_fd()];
    successor.async_io(Interest::WRITABLE, || send(&successor, &both)).await?;
    match timeout(SERVING, successor.read_u8()).await {
        Ok(Ok(SERVES)) => Ok(()),
        Ok(Ok(_)) => Err(HandoverFault::Protocol),
        Ok(Err(_)) => Err(HandoverFault::Died),
        Err(_) => Err(HandoverFault::Late),
    }
}

/// Waits at `socket` for the listeners of the old process. Whoever else comes is sent away.
pub async fn take_over(socket: &Path) -> Result<(Listeners, Predecessor), HandoverFault> {
    let waiting = Waiting::at(socket)?;
    let taken = async {
        loop {
            let (predecessor, _) = waiting.listener.accept().await?;
            match taken_from(predecessor).await {
                Ok(taken) => return Ok(taken),
                Err(fault) => tracing::warn!(%fault, "nothing was taken from who came"),
            }
        }
    };
    timeout(WAITING, taken).await.unwrap_or(Err(HandoverFault::Nothing))
}

async fn taken_from(predecessor: UnixStream) -> Result<(Listeners, Predecessor), HandoverFault> {
    check_user(&predecessor)?;
    // It may be told that there is something to read before there is.
    let received = predecessor.async_io(Interest::READABLE, || receive(&predecessor)).await?;
    let mut received = received.into_iter().map(TcpListener::from);
    match (received.next(), received.next(), received.next()) {
        (Some(data), Some(admin), None) => {
            Ok((Listeners { data, admin }, Predecessor(predecessor)))
        }
        _ => Err(HandoverFault::Protocol),
    }
}

impl Predecessor {
    /// Tells the old process that it may go.
    pub async fn dismiss(mut self) {
        if let Err(fault) = self.0.write_u8(SERVES).await {
            tracing::warn!(%fault, "the old process could not be told that its listeners are served");
        }
    }
}

/// Holds a socket while nobody has come; its file goes with it.
struct Waiting<'a> {
    listener: UnixListener,
    socket: &'a Path,
}

impl<'a> Waiting<'a> {
    fn at(socket: &'a Path) -> Result<Self, HandoverFault> {
        if is_bound(socket) {
            return Err(HandoverFault::Taken);
        }
        match fs::remove_file(socket) {
            Err(fault) if fault.kind() != ErrorKind::NotFound => return Err(fault.into()),
            Ok(()) | Err(_) => {}
        }
        let waiting = Self { listener: UnixListener::bind(socket)?, socket };
        fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(self.socket);
    }
}

/// Whether a process holds `socket`. It is asked in a way that the holder never sees: a datagram socket is of the wrong
/// type for it.
fn is_bound(socket: &Path) -> bool {
    let connected = UnixDatagram::unbound().and_then(|probe| probe.connect(socket));
    match connected.map_err(|fault| fault.kind()) {
        Err(ErrorKind::NotFound | ErrorKind::ConnectionRefused) => false,
        Ok(()) | Err(_) => true,
    }
}

async fn reached(socket: &Path) -> io::Result<UnixStream> {
    loop {
        let fault = match UnixStream::connect(socket).await {
            Ok(successor) => return Ok(successor),
            Err(fault) => fault,
        };
        if !matches!(fault.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
            return Err(fault);
        }
        sleep(LOOK).await;
    }
}

fn check_user(other: &UnixStream) -> Result<(), HandoverFault> {
    let ours = rustix::process::geteuid().as_raw();
    if other.peer_cred()?.uid() == ours { Ok(()) } else { Err(HandoverFault::Stranger) }
}

fn send(successor: &UnixStream, listeners: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(listeners)) {
        return Err(ErrorKind::OutOfMemory.into());
    }
    let greeting = [IoSlice::new(GREETING)];
    let sent = sendmsg(successor, &greeting, &mut control, SendFlags::NOSIGNAL)?;
    if sent == GREETING.len() { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
}

fn receive(predecessor: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut greeting = [0; GREETING.len()];
    let mut parts = [IoSliceMut::new(&mut greeting)];
    recvmsg(predecessor, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut listeners = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            listeners.extend(rights);
        }
    }
    // Without the right words they are nobody's listeners, and closed here.
    if greeting == GREETING { Ok(listeners) } else { Ok(Vec::new()) }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, net::TcpStream};

    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("pointsman-{name}-{}.sock", std::process::id()))
    }

    fn listeners() -> Listeners {
        let any = || TcpListener::bind("127.0.0.1:0").unwrap();
        Listeners { data: any(), admin: any() }
    }

    #[tokio::test]
    async fn what_is_handed_over_is_the_same_listener() {
        let (socket, old) = (path("same"), listeners());
        let (given, taken) = tokio::join!(hand_over(&socket, &old), async {
            let (listeners, predecessor) = take_over(&socket).await.unwrap();
            predecessor.dismiss().await;
            listeners
        });
        given.unwrap();
        let address = old.data.local_addr().unwrap();
        assert_eq!(taken.data.local_addr().unwrap(), address);
        assert_eq!(taken.admin.local_addr().unwrap(), old.admin.local_addr().unwrap());
        drop(old);
        let mut caller = TcpStream::connect(address).unwrap();
        drop(taken.data.accept().unwrap());
        assert_eq!(caller.read(&mut [0]).unwrap(), 0);
        assert!(!socket.exists());
    }

    #[tokio::test]
    async fn a_successor_that_dies_is_noticed_at_once() {
        let (socket, old) = (path("dies"), listeners());
        let (given, ()) = tokio::join!(hand_over(&socket, &old), async {
            drop(take_over(&socket).await.unwrap());
        });
        assert!(matches!(given, Err(HandoverFault::Died)), "{given:?}");
        TcpStream::connect(old.data.local_addr().unwrap()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends() {
        let socket = path("alone");
        let given = hand_over(&socket, &listeners()).await;
        assert!(matches!(given, Err(HandoverFault::Nobody)), "{given:?}");
        let taken = take_over(&socket).await;
        assert!(matches!(taken, Err(HandoverFault::Nothing)), "{taken:?}");
        assert!(!socket.exists());
    }

    #[tokio::test]
    async fn one_process_waits_at_a_socket() {
        let socket = path("taken");
        let first = Waiting::at(&socket).unwrap();
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(take_over(&socket).await, Err(HandoverFault::Taken)));
        drop(first);
        // What a process that was killed has left behind is in nobody's way.
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(socket.exists());
        drop(Waiting::at(&socket).unwrap());
    }

    #[tokio::test]
    async fn whoever_else_comes_is_sent_away() {
        let (socket, old) = (path("words"), listeners());
        let took = async { take_over(&socket).await.map(|(listeners, _)| listeners) };
        let (taken, ()) = tokio::join!(took, async {
            let mut other = reached(&socket).await.unwrap();
            other.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let _closed = other.read_u8().await.unwrap_err();
            assert!(matches!(hand_over(&socket, &old).await, Err(HandoverFault::Died)));
        });
        assert_eq!(taken.unwrap().data.local_addr().unwrap(), old.data.local_addr().unwrap());
    }
}
