//! Settings: everything in the main file that is neither provider, model, router nor key. Defaults are design values.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use url::Url;

use crate::{ids::ProviderId, secret::Secret};

/// The settings of one catalog.
pub struct Settings {
    /// Address of the data plane; changing it needs a restart.
    pub listen: SocketAddr,
    /// Address of the admin listener; changing it needs a restart.
    pub admin: SocketAddr,
    /// Certificate and key of `listen`; changing them needs a restart.
    pub tls: Option<Tls>,
    /// What matches requests to tasks; absent: nothing is classified.
    pub classifier: Option<Classifier>,
    /// Where priors for time to first token come from.
    pub latency: Option<LatencySource>,
    /// How long and how many conversations are remembered.
    pub affinity: Affinity,
    /// Time limits, each but `body` also settable per model.
    pub timeouts: Timeouts,
    /// How long a caller's whole body may take.
    pub body_timeout: Duration,
    /// What is tried after a failure, also settable per router.
    pub failover: Failover,
    /// The largest body in bytes.
    pub max_body: u64,
    /// Caps of the process.
    pub limits: Limits,
    /// How long open requests may go on after SIGTERM.
    pub drain: Duration,
    /// How the log is written.
    pub log: Log,
    /// Live price feeds.
    pub prices: Vec<PriceFeed>,
    /// Over which socket listeners are handed to a new process.
    pub upgrade_socket: Option<PathBuf>,
}

/// A certificate chain and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Path of the certificate chain.
    pub cert: PathBuf,
    /// Path of the private key.
    pub key: PathBuf,
}

/// What matches requests to tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classifier {
    /// An encoder in this process.
    Onnx(OnnxClassifier),
    /// A generative router behind an OpenAI-compatible engine.
    Chat(ChatClassifier),
}

impl Classifier {
    /// How long a verdict is waited for.
    pub fn timeout(&self) -> Duration {
        match self {
            Self::Onnx(onnx) => onnx.timeout,
            Self::Chat(chat) => chat.timeout,
        }
    }
}

/// An encoder in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxClassifier {
    /// Folder of the model's files, resolved.
    pub folder: PathBuf,
    /// Threads that classify.
    pub threads: usize,
    /// A verdict that is later than this is not waited for.
    pub timeout: Duration,
}

/// A generative router behind an OpenAI-compatible engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatClassifier {
    /// The provider of the engine.
    pub provider: ProviderId,
    /// What the engine calls the model.
    pub model: String,
    /// A verdict that is later than this is not waited for.
    pub timeout: Duration,
    /// The published format that the model was trained on.
    pub format: ChatFormat,
}

/// The published prompt and answer formats of generative routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatFormat {
    /// Arch-Router: `{"route": "name"}`.
    ArchRouter,
    /// Plano-Orchestrator: `{"route": ["name"]}`.
    PlanoOrchestrator,
}

/// A Prometheus query that says how fast models start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencySource {
    /// Base address of the Prometheus server.
    pub prometheus: Url,
    /// The query; its values are seconds.
    pub query: String,
    /// The label that names the model.
    pub label: String,
    /// How often it is asked.
    pub refresh: Duration,
    /// Whether private addresses and clear text are allowed.
    pub allow_private: bool,
}

/// How long and how many conversations are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Affinity {
    /// A conversation not seen for this long is forgotten.
    pub idle: Duration,
    /// The most conversations remembered.
    pub capacity: u64,
}

/// Time limits of one attempt or request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection (TLS included) stands.
    pub connect: Duration,
    /// Streamed: until the first content.
    pub first_token: Duration,
    /// Streamed: the longest silence after it.
    pub between_tokens: Duration,
    /// Not streamed: the whole answer of one attempt.
    pub response: Duration,
    /// Everything, all attempts.
    pub total: Duration,
}

/// What is tried after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failover {
    /// The most attempts, all targets and repeats together; at least 1.
    pub attempts: u32,
    /// Repeats at the same target after a reset or a 5xx.
    pub same_target: u32,
    /// A 429 whose `Retry-After` is no longer than this is waited for at the same target.
    pub wait: Duration,
    /// Whether an answer that breaks off is finished by the next target.
    pub rescue: Rescue,
}

/// Whether an answer that breaks off is finished by the next target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rescue {
    /// A break is an error.
    #[default]
    None,
    /// The next target goes on where the answer broke.
    Continue,
}

/// Caps of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most connections of callers.
    pub connections: usize,
    /// The most bytes of buffered bodies, all requests together.
    pub memory: u64,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// One JSON object a line, or text for people.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: LogLevel,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// How severe a line must be to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// And warnings.
    Warn,
    /// And one line for each request.
    Info,
    /// And what helps to find a mistake.
    Debug,
}

/// A live price feed.
pub struct PriceFeed {
    /// The public format that it is written in.
    pub format: PriceFormat,
    /// Where it is fetched from.
    pub url: Url,
    /// How often.
    pub refresh: Duration,
    /// Whether private addresses and clear text are allowed.
    pub allow_private: bool,
    /// Sent as a bearer token where the feed asks for one.
    pub api_key: Option<Secret>,
}

/// The public formats of price lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PriceFormat {
    /// `LiteLLM`'s `model_prices_and_context_window.json`.
    LiteLlm,
    /// `DigitalOcean`'s model catalog.
    DigitalOcean,
    /// models.dev's `api.json`.
    ModelsDev,
    /// `OpenRouter`'s `/api/v1/models`.
    OpenRouter,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first_token: Duration::from_mins(1),
            between_tokens: Duration::from_mins(1),
            response: Duration::from_mins(5),
            total: Duration::from_mins(10),
        }
    }
}

impl Default for Failover {
    fn default() -> Self {
        Self { attempts: 4, same_target: 0, wait: Duration::ZERO, rescue: Rescue::None }
    }
}

impl Default for Affinity {
    fn default() -> Self {
        Self { idle: Duration::from_hours(1), capacity: 100_000 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 10_000, memory: 1 << 30 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: LogLevel::Info }
    }
}
