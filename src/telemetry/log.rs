//! How the log is written: one line a record, on standard error, by a thread of its own so that nobody waits for it.
//!
//! A line is a line whatever is in it: every control character, and every character that changes the direction of text,
//! is escaped in both formats, so that nothing a caller or an upstream wrote can forge a record or move a terminal's
//! cursor. What other crates report is kept only from warnings on.

mod json;
mod line;
mod queue;

use std::{
    io,
    sync::{Arc, OnceLock},
};

use tracing::{Subscriber, level_filters::LevelFilter, subscriber::SetGlobalDefaultError};
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt, fmt::MakeWriter, layer::SubscriberExt as _, registry,
};

use crate::{
    catalog::settings::{Log, LogFormat, LogLevel},
    telemetry::log::{
        json::Json,
        line::Lines,
        queue::{Queue, Queued},
    },
};

pub use queue::Flush;

/// Crates that say more than an operator wants to read; each name stands for all that begin with it.
const NOISY: [&str; 12] = [
    "pingora",
    "hyper",
    "h2",
    "rustls",
    "tokio",
    "reqwest",
    "ort",
    "tokenizers",
    "notify",
    "mio",
    "moka",
    "inotify",
];

/// The queue of this process, once its log is written.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// Why the log cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// It is being written already.
    #[error(transparent)]
    Taken(#[from] SetGlobalDefaultError),
    /// The system has no thread for it.
    #[error("no thread to write the log: {0}")]
    Thread(#[from] io::Error),
}

/// Writes the log of this process to standard error from here on. Only the first call of a process can succeed. What is
/// returned is to be dropped when nothing more is said.
pub fn install(settings: Log) -> Result<Flush, LogFault> {
    let queue = Queue::into(io::stderr())?;
    tracing::subscriber::set_global_default(subscriber(settings, Queued(Arc::clone(&queue))))?;
    Ok(QUEUE.get_or_init(|| queue).flush())
}

/// How many lines of this process's log were dropped: there was no room for them, or they could not be written.
pub fn dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.dropped())
}

/// Reports panics in the log instead of on standard error: where, but not what, for a message may hold a caller's text.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "panicked");
    }));
}

/// What turns records into lines for `writer`.
pub fn subscriber<W>(settings: Log, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_ansi(false).log_internal_errors(false);
    let layer = match settings.format {
        LogFormat::Json => layer.event_format(Json).with_writer(writer).boxed(),
        LogFormat::Text => layer.with_writer(Lines(writer)).boxed(),
    };
    registry().with(layer.with_filter(levels(settings.level)))
}

fn levels(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let noisy = level.min(LevelFilter::WARN);
    Targets::new().with_default(level).with_targets(NOISY.map(|name| (name, noisy)))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use parking_lot::Mutex;
    use tracing::subscriber::with_default;

    use super::*;
    use crate::{
        ids::RouterName,
        route::Reason,
        telemetry::usage::{Ended, UsageEvent},
    };

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, level: LogLevel, act: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        with_default(subscriber(Log { format, level }, move || writer.clone()), act);
        String::from_utf8(sink.0.lock().clone()).unwrap()
    }

    fn event(router: Option<&RouterName>, decision: Option<String>) -> UsageEvent<'_> {
        UsageEvent {
            request_id: "req-1",
            key: None,
            refused_key: None,
            router,
            task: None,
            reason: Some(Reason::NoMatch),
            confidence: Some(0.25),
            decision,
            target: None,
            attempts: 2,
            possibly_billed: 0,
            status: 200,
            code: None,
            ended: Ended::Answered,
            streamed: true,
            dry_run: false,
            usage: None,
            usage_estimated: false,
            input_tokens_estimated: 12,
            cost: None,
            ttft: Some(Duration::from_micros(1500)),
            duration: Duration::from_micros(20_250),
            generation: 7,
        }
    }

    const SLY: &str = "a\n\u{1b}\u{9b}\u{202e}\"";
    const HOSTILE: &str = "a\n{\"level\":\"ERROR\"}\r\u{1b}[2J\u{9b}2J\u{202e}\u{2028}\0\"}\\";

    #[test]
    fn a_request_is_one_line_with_its_figures() {
        let router = RouterName::parse("r").unwrap();
        let document = serde_json::json!({"router": "r", "session": SLY});
        let text = written(LogFormat::Json, LogLevel::Info, || {
            event(Some(&router), Some(document.to_string())).emit();
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (field, wanted) in [
            ("message", "request".into()),
            ("level", "INFO".into()),
            ("target", "pointsman::request".into()),
            ("request_id", "req-1".into()),
            ("router", "r".into()),
            ("reason", "no_match".into()),
            ("attempts", 2.into()),
            ("status", 200.into()),
            ("outcome", "ok".into()),
            ("streamed", true.into()),
            ("ttft_ms", 1.5.into()),
            ("duration_ms", 20.25.into()),
            ("decision", serde_json::json!({"router": "r", "session": SLY})),
        ] {
            assert_eq!(line[field], wanted, "{field}");
        }
        for absent in
            ["key", "refused_key", "task", "model", "cost_usd", "input_tokens", "usage", "code"]
        {
            assert!(line.get(absent).is_none(), "{absent}");
        }
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn nothing_forges_a_line() {
        for format in [LogFormat::Json, LogFormat::Text] {
            let text = written(format, LogLevel::Debug, || {
                tracing::warn!(said = HOSTILE, shown = %HOSTILE, debugged = ?HOSTILE, "{HOSTILE}");
                tracing::error!(decision = "{\"forged\":true}\n", "{HOSTILE}");
            });
            assert_eq!(text.lines().count(), 2, "{text}");
            let sly =
                |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2028}');
            assert!(!text.contains(sly), "{text:?}");
        }
        let text = written(LogFormat::Json, LogLevel::Debug, || {
            tracing::warn!(said = HOSTILE, decision = "{\"forged\":true}", "{HOSTILE}");
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["said"], &line["message"]), (&HOSTILE.into(), &HOSTILE.into()));
        assert_eq!(line["decision"], "{\"forged\":true}", "only a record's is a document");
    }

    #[test]
    fn every_kind_of_value_is_json() {
        let text = written(LogFormat::Json, LogLevel::Info, || {
            let fault = io::Error::other("no \"luck\"");
            tracing::info!(
                yes = true,
                less = -3_i64,
                more = u64::MAX,
                most = u128::MAX,
                least = i128::MIN,
                part = 0.5,
                nothing = f64::NAN,
                fault = &fault as &(dyn std::error::Error + 'static),
                bytes = ?[1, 2],
                "all"
            );
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["yes"], &line["less"]), (&true.into(), &(-3).into()));
        assert_eq!((&line["more"], &line["part"]), (&u64::MAX.into(), &0.5.into()));
        assert!(line["nothing"].is_null());
        assert_eq!(line["most"], u128::MAX.to_string());
        assert_eq!((&line["fault"], &line["bytes"]), (&"no \"luck\"".into(), &"[1, 2]".into()));
    }

    #[test]
    fn other_crates_are_heard_from_warnings_on() {
        let text = written(LogFormat::Text, LogLevel::Debug, || {
            tracing::debug!(target: "pingora_core::server", "noise");
            tracing::info!(target: "hyper_util::client", "noise");
            tracing::warn!(target: "pingora_core::server", "heard");
            tracing::debug!(target: "pointsman::engine", "heard");
        });
        assert_eq!((text.matches("noise").count(), text.matches("heard").count()), (0, 2));
    }

    #[test]
    fn the_level_decides_whether_requests_are_recorded() {
        let text = written(LogFormat::Text, LogLevel::Warn, || {
            assert!(!UsageEvent::is_recorded());
            event(None, None).emit();
        });
        assert_eq!(text, "");
        written(LogFormat::Text, LogLevel::Info, || assert!(UsageEvent::is_recorded()));
    }
}
