//! A text that must not be seen: it has no `Debug`, `Display` or `Serialize`, and is wiped when dropped.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A credential. Only `upstream::build` (and the clients off the request path) may call [`Secret::expose`].
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text that was read from its source.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place that puts it on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept to recognize this secret without keeping it.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(&self.0)
    }
}

/// The SHA-256 of an access key: enough to recognize it, useless to whoever reads it.
#[derive(Clone)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of `presented`.
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }

    /// The first eight hexadecimal digits: enough to tell one wrong key from another in a log, far too little to find
    /// the key from.
    pub fn fingerprint(&self) -> String {
        let [a, b, c, d, ..] = self.0;
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
    }

    /// Whether both are digests of the same text, in time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_matches_its_own_text_only() {
        let kept = Secret::new("right".to_owned()).digest();
        assert!(kept.matches(&SecretDigest::of("right")));
        assert!(!kept.matches(&SecretDigest::of("wrong")));
        assert_eq!(SecretDigest::of("abc").fingerprint(), "ba7816bf");
    }
}
