//! Fuzzing: everything that reads bytes from outside, fed with what nobody meant to send.
//!
//! Each test of this target is one fuzz target. It first replays its folder of `tests/corpus/fuzz`, then makes cases until
//! its time is over: mutations of the golden files and of the example configuration, and plain noise. It runs with
//! `cargo test --test fuzz` on the stable toolchain; nothing has to be installed.
//!
//! - `POINTSMAN_FUZZ_SECONDS`: how long each target runs; 2 by default, an hour is 3600.
//! - `POINTSMAN_FUZZ_SEED`: where the run begins; 0 by default. CI takes the number of the run.
//!
//! A case that fails is shrunk, printed and kept in a file. Its promise is fixed, and the file goes into the corpus.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and says where"
)]

mod answer;
mod configuration;
mod dice;
mod driver;
mod engine;
mod frames;
mod head;
mod json;
mod mutate;
mod request;
mod seeds;
mod well_formed;
