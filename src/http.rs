//! What we take from and put into HTTP heads: names, paths, media types and waiting times, as pure rules.
//!
//! Everything a caller or a provider writes into a head passes one of these rules before anything acts on it. What is
//! not on a list here is neither forwarded nor relayed. Deliberately absent: framing (`server`), credentials
//! (`access` reads them, `upstream::build` writes them) and every socket.

pub mod header;
pub mod media;
pub mod retry_after;
pub mod route;
