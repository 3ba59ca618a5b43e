//! Pointsman is a reverse proxy that decides, request by request, which LLM should answer.
//!
//! A caller sends its ordinary OpenAI or Anthropic request with `"model": "router:<name>"`. Pointsman reads the
//! conversation, a small classifier in the process matches it to one of the operator's tasks, a ranking engine orders
//! that task's models, and the request goes out to the first of them. If that one fails before it has said anything,
//! the next one answers.
//!
//! # Bird's-eye view
//!
//! ```text
//! caller ─► server ─► engine ─────────────────────────────────────────────► upstream ─► provider
//!           accept    admit → understand → decide → attempt → relay → settle
//!           head                 │            │        │                │
//!                                ▼            ▼        ▼                ▼
//!                           conversation    route   resilience     stats, telemetry
//!                            classifier      rank     dialect         affinity
//! ```
//!
//! The engine serves the whole request by itself. Pingora gives the listeners, TLS and the HTTP/1 and HTTP/2 servers; its
//! own upstream phases are not used, because they cannot replay a body over 64 KiB, fail over by status or retry a POST.
//! The upstream client is hyper.
//!
//! # Code map
//!
//! A module may import from strictly lower layers only; `tests/architecture.rs` holds that.
//!
//! | layer | modules | what |
//! |---|---|---|
//! | 0 words | [`ids`], [`money`], [`bounded`], [`secret`] | names, amounts, caps |
//! | 1 facts | [`catalog`], [`dialect`], [`stats`], [`prices`], [`http`] | what is known; pure |
//! | 2 judgements | [`conversation`], [`classify`], [`rank`], [`affinity`], [`resilience`], [`access`] | what follows from it; pure |
//! | 3 decision | [`route`], [`advice`], [`evaluation`] | a plan and its explanation; what a router's author should change; figures of a classifier; pure |
//! | 4 world | [`config`], [`upstream`], [`telemetry`], then [`classifier`], [`feeds`] | files, sockets, clocks, threads |
//! | 5 request | [`engine`] | one request from its head to its settlement |
//! | 6 faces | [`server`], [`simulator`] | listeners, pages and their API; simulated providers |
//! | 7 command line | [`cli`] | arguments and exit codes |
//!
//! # Invariants
//!
//! - Layers 0 to 3 hold no clock, no randomness, no file, no socket: time and dice are arguments, so that a decision
//!   can be repeated and explained by the very code that made it.
//! - Nothing is written to a caller before the first content of an answer is there; after it nothing fails over.
//! - A truncated answer never looks complete: it ends with an error in the caller's dialect or a cut connection.
//! - A credential leaves through `upstream::build` alone, in a request that was built for one target.
//! - A classifier, a price feed or a statistic that fails never costs a caller a request.
//! - `dialect` knows no provider, `rank` no HTTP; only `server` names a session; only `config::secret` reads the
//!   environment; only `dialect::error` renders an error body of the data plane.
//! - One request sees one catalog, whatever is reloaded meanwhile.

pub mod access;
pub mod advice;
pub mod affinity;
pub mod bounded;
pub mod catalog;
pub mod classifier;
pub mod classify;
pub mod cli;
pub mod config;
pub mod conversation;
pub mod dialect;
pub mod engine;
pub mod evaluation;
pub mod feeds;
pub mod http;
pub mod ids;
pub mod money;
pub mod prices;
pub mod rank;
pub mod resilience;
pub mod route;
pub mod secret;
pub mod server;
pub mod simulator;
pub mod stats;
pub mod telemetry;
pub mod upstream;
