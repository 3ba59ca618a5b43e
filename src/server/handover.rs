//! Handing the listeners over: where, and whether anybody is there to take them.
//!
//! Pingora ends a process that was told to hand over even where nobody took its listeners. So it is told only once a
//! successor waits.

use std::{
    io::ErrorKind,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{sleep, timeout};

/// Where a new process finds the listeners of the old one, unless `upgrade_socket` says otherwise.
const UPGRADE_SOCKET: &str = "/tmp/pointsman-upgrade.sock";

/// How long a successor may take to come after the order to hand over.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Where the data plane's listener is handed over.
pub fn socket(configured: Option<&Path>) -> PathBuf {
    configured.map_or_else(|| PathBuf::from(UPGRADE_SOCKET), Path::to_path_buf)
}

/// Whether a new process waits at `socket`, now or soon; says so in the log where none does.
pub async fn has_successor(socket: &Path) -> bool {
    let comes = async {
        while !is_bound(socket) {
            sleep(LOOK).await;
        }
    };
    let found = timeout(PATIENCE, comes).await.is_ok();
    if !found {
        tracing::error!(
            socket = %socket.display(),
            "nobody waits for the listeners (`serve --upgrade`); this process goes on serving"
        );
    }
    found
}

/// Whether a process holds `socket`. It is asked in a way that the holder never sees, since it takes the first
/// connection for the one that brings the listeners: a datagram socket is of the wrong type for it.
fn is_bound(socket: &Path) -> bool {
    let connected = UnixDatagram::unbound().and_then(|probe| probe.connect(socket));
    match connected.map_err(|fault| fault.kind()) {
        Err(ErrorKind::NotFound | ErrorKind::ConnectionRefused) => false,
        Ok(()) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_listener_is_seen_without_being_disturbed() {
        let path = std::env::temp_dir().join(format!("pointsman-unit-{}.sock", std::process::id()));
        let _gone = std::fs::remove_file(&path);
        assert!(!is_bound(&path));
        let listener = UnixListener::bind(&path).unwrap();
        assert!(is_bound(&path));
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(listener);
        assert!(!is_bound(&path), "a file that was left behind");
        std::fs::remove_file(&path).unwrap();
    }
}
