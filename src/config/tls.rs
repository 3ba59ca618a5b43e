//! Certificates and keys: read far enough to know at start that they will serve.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Whether `pem` holds certificates, and nothing broken.
pub(crate) fn check_authorities(pem: &[u8]) -> Result<(), &'static str> {
    certificates(pem).map(drop)
}

/// Whether `chain` and `key`, both PEM, can serve TLS together.
pub fn check_identity(chain: &[u8], key: &[u8]) -> Result<(), String> {
    let chain = certificates(chain).map_err(|message| format!("`cert` {message}"))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| "`key` holds no PEM private key".to_owned())?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map(drop)
        .map_err(|error| format!("`cert` and `key` do not serve together: {error}"))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    const NONE: &str = "holds no PEM certificate";
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| NONE)?;
    if chain.is_empty() { Err(NONE) } else { Ok(chain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_serves_only_with_its_own_key() {
        let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        assert_eq!(check_identity(cert.as_bytes(), key.as_bytes()), Ok(()));
        let foreign = other.signing_key.serialize_pem();
        assert!(check_identity(cert.as_bytes(), foreign.as_bytes()).is_err());
        assert!(check_identity(key.as_bytes(), key.as_bytes()).is_err());
        assert!(check_identity(cert.as_bytes(), cert.as_bytes()).is_err());
        assert!(check_authorities(cert.as_bytes()).is_ok());
        assert!(check_authorities(b"").is_err());
    }
}
