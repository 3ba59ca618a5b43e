//! Requests of Messages.

mod block;
mod decode;
mod encode;
mod offer;
mod turns;

pub(crate) use {decode::decode, encode::encode};
