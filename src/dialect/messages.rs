//! Anthropic Messages: one decoder and one encoder for requests, one of each for answers.

pub mod request;
