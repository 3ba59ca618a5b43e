//! Addresses and listeners: claimed before anything starts, so that a port that is taken is one clear line.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::fd::IntoRawFd as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use pingora::{
    listeners::{ListenerConfig, TcpSocketOptions, tls::TlsSettings},
    protocols::{TcpKeepalive, l4::stream::L4BufferSettings},
    server::{Fds, ListenFds},
};

use crate::{catalog::settings::Tls, config};

/// Buffers of a connection. Reads have none: heads, bodies and TLS records are read into buffers of their own, and one
/// more, which would be 64 KiB by default, is most of what an idle stream would cost.
const READ_BUFFER: usize = 0;
const WRITE_BUFFER: usize = 4 * 1024;

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenFault {
    /// The address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the certificate of {address}: {reason}")]
    Tls {
        /// The address that was asked for.
        address: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
}

/// A listener of ours. What comes to it waits until it is served.
pub struct Claim {
    /// The address, its port chosen where 0 was asked for.
    pub address: SocketAddr,
    listener: TcpListener,
}

impl Claim {
    /// Listens on `asked`, with the `inherited` listener where it is there already. A port of 0 becomes a free one.
    pub fn new(asked: SocketAddr, inherited: Option<TcpListener>) -> Result<Self, ListenFault> {
        let fault = |source| ListenFault::Bind { address: asked, source };
        let listener = match inherited.filter(|listener| is_at(listener, asked)) {
            Some(listener) => listener,
            None => TcpListener::bind(asked).map_err(fault)?,
        };
        // As Pingora's runtime wants it.
        listener.set_nonblocking(true).map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Self { address, listener })
    }

    /// The listener itself, to be handed on. It stays open until this one is closed too.
    pub fn share(&self) -> io::Result<TcpListener> {
        self.listener.try_clone()
    }

    /// The listener as Pingora takes it: by its address.
    pub fn into_table(self) -> ListenFds {
        let mut table = Fds::new();
        table.add(self.address.to_string(), self.listener.into_raw_fd());
        Arc::new(table.into())
    }

    /// The listener of this claim, for Pingora.
    pub fn listener(&self, tls: Option<&Tls>) -> Result<ListenerConfig, ListenFault> {
        let mut options = TcpSocketOptions::default();
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
}

/// Where a listener on `address` can be reached from this machine.
pub fn reachable(address: SocketAddr) -> SocketAddr {
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

/// Whether `listener` is what `asked` would open.
fn is_at(listener: &TcpListener, asked: SocketAddr) -> bool {
    listener.local_addr().is_ok_and(|address| {
        address.ip() == asked.ip() && (asked.port() == 0 || address.port() == asked.port())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_by_name() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let fault = Claim::new(address, None).err().unwrap();
        assert!(fault.to_string().contains(&address.to_string()), "{fault}");
    }

    #[test]
    fn an_inherited_listener_is_used_where_it_is_wanted() {
        let inherited = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            (listener, address)
        };
        let (listener, address) = inherited();
        assert_eq!(Claim::new(address, Some(listener)).unwrap().address, address);
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (listener, address) = inherited();
        assert_eq!(Claim::new(any, Some(listener)).unwrap().address, address);
        let (listener, address) = inherited();
        let elsewhere: SocketAddr = "127.0.0.2:0".parse().unwrap();
        assert_ne!(Claim::new(elsewhere, Some(listener)).unwrap().address, address);
        assert!(std::net::TcpStream::connect(address).is_err(), "it is not kept open");
    }

    #[test]
    fn a_chosen_port_is_held() {
        let claim = Claim::new("127.0.0.1:0".parse().unwrap(), None).unwrap();
        assert_ne!(claim.address.port(), 0);
        assert!(TcpListener::bind(claim.address).is_err());
    }
}
