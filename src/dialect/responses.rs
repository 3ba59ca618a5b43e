//! OpenAI Responses: one decoder and one encoder for requests, one of each for answers.

pub(crate) mod answer;
pub(crate) mod item;
pub mod request;
pub(crate) mod stream;
