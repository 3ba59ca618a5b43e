//! A record as one JSON object: the time, the level, the target, then the fields by their names.
//!
//! Written by hand rather than taken from the library for two reasons: the decision document of a request's record is
//! put in as the object that it is, not as a string of JSON, and strings escape more than JSON asks for.

use std::{error::Error, fmt};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use crate::telemetry::{log::line::is_sly, usage};

/// The field of a request's record that holds a document.
const DOCUMENT: &str = "decision";

/// Formats records as JSON.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\",\"target\":", metadata.level())?;
        string(&mut writer, metadata.target())?;
        let recorded = metadata.target() == usage::TARGET;
        let mut fields = Fields { writer, recorded, result: Ok(()) };
        event.record(&mut fields);
        let Fields { mut writer, result, .. } = fields;
        result?;
        writer.write_str("}\n")
    }
}

struct Fields<'w> {
    writer: Writer<'w>,
    /// Whether this is a request's record.
    recorded: bool,
    result: fmt::Result,
}

impl Fields<'_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.write(field.name(), value);
        }
    }

    fn write(
        &mut self,
        name: &str,
        value: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.writer.write_char(',')?;
        string(&mut self.writer, name)?;
        self.writer.write_char(':')?;
        value(&mut self.writer)
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, |writer| {
            if value.is_finite() { write!(writer, "{value}") } else { writer.write_str("null") }
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let document = self.recorded && field.name() == DOCUMENT;
        self.field(field, |writer| {
            if document { plain(writer, value, |_| false) } else { string(writer, value) }
        });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.field(field, |writer| string(writer, &value.to_string()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, |writer| string(writer, &format!("{value:?}")));
    }
}

/// Writes `text` as a JSON string.
fn string(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    plain(writer, text, |c| matches!(c, '"' | '\\'))?;
    writer.write_char('"')
}

/// Writes `text`, which is inside a string or is a whole document, so that it is plain in a terminal too; and what is
/// `quoted` with a backslash before it.
fn plain(writer: &mut Writer<'_>, mut text: &str, quoted: impl Fn(char) -> bool) -> fmt::Result {
    // Nearly all of a record needs no change: it is copied in stretches.
    while let Some((at, c)) = text.char_indices().find(|(_, c)| quoted(*c) || is_sly(*c)) {
        let (before, rest) = text.split_at(at);
        writer.write_str(before)?;
        if quoted(c) {
            write!(writer, "\\{c}")?;
        } else {
            // All of them lie in the basic plane, so one escape is enough.
            write!(writer, "\\u{:04x}", u32::from(c))?;
        }
        text = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    writer.write_str(text)
}
