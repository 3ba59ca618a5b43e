//! Requests of Responses.

mod decode;
mod encode;

pub(crate) use {decode::decode, encode::encode};
