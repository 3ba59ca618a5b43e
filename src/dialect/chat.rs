//! OpenAI Chat Completions: one decoder and one encoder for requests, one of each for answers.

pub(crate) mod answer;
pub mod request;
pub(crate) mod stream;
