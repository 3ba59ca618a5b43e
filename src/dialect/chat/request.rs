//! Requests of Chat Completions.

mod decode;
mod encode;

pub(crate) use {decode::decode, encode::encode};
