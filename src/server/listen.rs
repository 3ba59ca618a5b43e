//! Addresses and listeners: claimed before anything starts, so that a port that is taken is one clear line.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use pingora::{
    listeners::{ListenerConfig, TcpSocketOptions, tls::TlsSettings},
    protocols::{TcpKeepalive, l4::stream::L4BufferSettings},
};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::{catalog::settings::Tls, config};

/// Buffers of a connection. Pingora's own take 64 KiB for reading, which is most of what an idle stream would cost.
const READ_BUFFER: usize = 8 * 1024;
const WRITE_BUFFER: usize = 4 * 1024;

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenFault {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the certificate of {address}: {reason}")]
    Tls {
        /// The address that was asked for.
        address: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
    /// The listener did not come up.
    #[error("the listener on {0} did not come up")]
    Silent(SocketAddr),
}

/// An address that is ours to listen on.
pub struct Claim {
    /// The address, its port chosen where 0 was asked for.
    pub address: SocketAddr,
    /// Holds a chosen port until the listener has it.
    placeholder: Option<TcpSocket>,
}

impl Claim {
    /// Claims `asked`. A port of 0 becomes a free one. A listener that is inherited is not looked at: its address is
    /// in use, and rightly.
    pub fn new(asked: SocketAddr, inherited: bool) -> Result<Self, ListenFault> {
        let fault = |source| ListenFault::Bind { address: asked, source };
        if inherited {
            return Ok(Self { address: asked, placeholder: None });
        }
        if asked.port() != 0 {
            TcpListener::bind(asked).map_err(fault)?;
            return Ok(Self { address: asked, placeholder: None });
        }
        // Bound but not listening: nobody else can be given the port, and the listener may share it.
        let socket = match asked {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }
        .map_err(fault)?;
        socket.set_reuseport(true).map_err(fault)?;
        socket.bind(asked).map_err(fault)?;
        let address = socket.local_addr().map_err(fault)?;
        Ok(Self { address, placeholder: Some(socket) })
    }

    /// The listener of this claim, for Pingora.
    pub fn listener(&self, tls: Option<&Tls>) -> Result<ListenerConfig, ListenFault> {
        let mut options = TcpSocketOptions::default();
        options.so_reuseport = self.placeholder.is_some().then_some(true);
        // A caller that vanished without a word is noticed within two minutes.
        options.tcp_keepalive = Some(TcpKeepalive {
            idle: Duration::from_mins(1),
            interval: Duration::from_secs(15),
            count: 4,
            user_timeout: Duration::from_mins(2),
        });
        let listener = ListenerConfig::tcp(self.address.to_string())
            .tcp_socket_options(options)
            .l4_buffer(L4BufferSettings::new(READ_BUFFER, WRITE_BUFFER));
        let Some(tls) = tls else { return Ok(listener) };
        let settings = self.tls(tls)?;
        Ok(listener.tls(settings))
    }

    fn tls(&self, tls: &Tls) -> Result<TlsSettings, ListenFault> {
        let fault = |reason: String| ListenFault::Tls { address: self.address, reason };
        // Checked when the file was loaded, and again here: a pair that does not fit would end the process.
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| fault(format!("{}: {error}", path.display())))
        };
        config::check_identity(&read(&tls.cert)?, &read(&tls.key)?).map_err(fault)?;
        let path = |path: &Path| {
            path.to_str()
                .map(str::to_owned)
                .ok_or_else(|| fault("its path is not UTF-8".to_owned()))
        };
        let mut settings = TlsSettings::intermediate(&path(&tls.cert)?, &path(&tls.key)?)
            .map_err(|error| fault(error.to_string()))?;
        settings.enable_h2();
        Ok(settings)
    }

    /// Waits until the listener accepts, then gives the claim up.
    pub async fn wait(self) -> Result<SocketAddr, ListenFault> {
        let accepted = async {
            while TcpStream::connect(reachable(self.address)).await.is_err() {
                sleep(Duration::from_millis(2)).await;
            }
        };
        match timeout(Duration::from_secs(10), accepted).await {
            Ok(()) => Ok(self.address),
            Err(_) => Err(ListenFault::Silent(self.address)),
        }
    }
}

/// Where a listener on `address` can be reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), v4.port())
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), v6.port())
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_by_name() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let fault = Claim::new(address, false).err().unwrap();
        assert!(fault.to_string().contains(&address.to_string()), "{fault}");
        assert!(Claim::new(address, true).is_ok());
    }

    #[test]
    fn a_chosen_port_is_held() {
        let claim = Claim::new("127.0.0.1:0".parse().unwrap(), false).unwrap();
        assert_ne!(claim.address.port(), 0);
        assert!(TcpListener::bind(claim.address).is_err());
    }
}
