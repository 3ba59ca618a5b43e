//! The program: hands over to [`pointsman::cli`] and ends with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    pointsman::cli::main()
}
