//! The command line: arguments in, results on stdout, everything else on stderr, and an exit code.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed |
//! | 2 | used in a wrong way |
//! | 64 | the configuration is wrong, missing or cannot be read |

mod check;
mod demo;
mod eval;
mod load;
mod prices;
mod route;
mod scores;
mod serve;
mod simulate;

use std::{
    env, fmt,
    io::{self, Write},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{self, ExitCode},
};

use clap::{Parser, Subcommand, error::ErrorKind};

/// A reverse proxy that decides, request by request, which LLM should answer.
#[derive(Parser)]
#[command(name = "pointsman", version, subcommand_required = true)]
#[command(arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start simulated providers, the proxy and the admin listener on loopback, and print requests to try.
    Demo,
    /// Serve requests.
    Serve {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        /// Take the listeners of a running process over (after it got SIGQUIT).
        #[arg(long)]
        upgrade: bool,
    },
    /// Check the configuration and print what it holds, or every mistake in it.
    Check {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Explain one decision as JSON.
    Route {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        /// The router that decides.
        #[arg(long, value_name = "NAME")]
        router: String,
        /// What the user says; `-` or nothing reads standard input.
        #[arg(value_name = "TEXT")]
        text: Option<String>,
    },
    /// Measure the classifier on labelled conversations.
    Eval(eval::Options),
    /// Print the prices in force and where each is from.
    Prices {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Start one simulated provider for each configured one, and print their names and URLs.
    Simulate {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        /// The address of the first; the others count up from its port. Free loopback ports without it.
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
    },
}

/// How a command ends when it does not succeed.
enum Failure {
    /// Exit code 1.
    Failed(anyhow::Error),
    /// Exit code 2.
    Usage(String),
    /// Exit code 64.
    Configuration(String),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "error: {error:#}"),
            Self::Usage(text) => write!(f, "error: {text}"),
            Self::Configuration(text) => f.write_str(text),
        }
    }
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Configuration(_) => 64,
        }
    }
}

/// What keeps ONNX Runtime from recording its use in the home directory and sending it to its maker. Its switch within
/// the process comes too late: the record is begun while the library is set up.
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// Starts the program over, as the same process, with [`NO_TELEMETRY`] in its environment, where that says nothing: a
/// library reads it once, and a process may not change its own environment safely.
fn without_telemetry() {
    if env::var_os(NO_TELEMETRY).is_some() {
        return;
    }
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let fault = match env::current_exe() {
        Ok(program) => {
            process::Command::new(program).arg0(name).args(arguments).env(NO_TELEMETRY, "1").exec()
        }
        Err(fault) => fault,
    };
    let _ = writeln!(
        io::stderr(),
        "warning: cannot set {NO_TELEMETRY} ({fault}); ONNX Runtime may send figures of its use to its maker"
    );
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    without_telemetry();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let _ = error.print();
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if reader_has_gone(&failure) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo => demo::run(),
        Command::Serve { config, upgrade } => serve::run(&config, upgrade),
        Command::Check { config } => check::run(&config),
        Command::Route { config, router, text } => route::run(&config, &router, text.as_deref()),
        Command::Eval(options) => eval::run(&options),
        Command::Prices { config } => prices::run(&config),
        Command::Simulate { config, listen } => simulate::run(&config, listen),
    }
}

/// Whoever reads our output may stop reading; that is no failure of ours.
fn reader_has_gone(failure: &Failure) -> bool {
    let Failure::Failed(error) = failure else { return false };
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes to standard output at once.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
