//! The black-box tests: each one starts the real program and looks at it from outside only.
//!
//! A test is named by its case in the catalogue of faults, e.g. `a01_…`; see `tests/README.md`.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::string_slice,
    reason = "what guards the program against panics and clocks would only hide what a test says"
)]

#[cfg(test)]
mod admin;
#[cfg(test)]
mod affinity;
#[cfg(test)]
mod auth;
#[cfg(test)]
mod board;
#[cfg(test)]
mod classify;
#[cfg(test)]
mod client;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod config;
#[cfg(test)]
mod dialect;
#[cfg(test)]
mod endurance;
#[cfg(test)]
mod failoverbench;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod http;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod json;
#[cfg(test)]
mod learning;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod log;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod onnx;
#[cfg(test)]
mod passthrough;
#[cfg(test)]
mod playground_api;
#[cfg(test)]
mod prices;
#[cfg(test)]
mod priors;
#[cfg(test)]
mod quality;
#[cfg(test)]
mod rank;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod rescue;
#[cfg(test)]
mod router_api;
#[cfg(test)]
mod sdk;
#[cfg(test)]
mod stream;
#[cfg(test)]
#[path = "../support/support.rs"]
mod support;
#[cfg(test)]
mod upgrade;
