//! Whole answers of Messages, and the tables that its streams share.

use crate::dialect::{
    answer::{AnswerFault, Heading, read},
    ir::answer::{Delta, Piece, Stop, ToolCall, Usage, Whole},
    json::{self, Node, Writer},
    messages::stream::Decoder,
};

/// Reads a whole answer as deltas.
pub(crate) fn decode(
    root: &Node<'_>,
    source: &str,
    sink: read::Sink<'_>,
) -> Result<(), AnswerFault> {
    if root.member("type").and_then(Node::as_str) == Some("error") || read::says(root, "error") {
        return Err(read::in_band(root));
    }
    let Some(blocks) = root.member("content").and_then(Node::as_array) else {
        return Err(read::malformed("an answer without content"));
    };
    if let Some(id) = read::text(root, "id") {
        sink(Delta::Id(id));
    }
    let mut decoder = Decoder::default();
    for (place, block) in blocks.iter().enumerate() {
        let index = u64::try_from(place).unwrap_or(u64::MAX);
        decoder.block(index, block, source, sink)?;
        decoder.block_stop(index, sink);
    }
    let mut counts = Counts::default();
    if let Some(usage) = root.member("usage") {
        counts.merge(usage);
    }
    if let Some(usage) = counts.usage() {
        sink(Delta::Usage(usage));
    }
    if let Some(reason) = read::text(root, "stop_reason") {
        sink(Delta::Stop(stop(reason, read::text(root, "stop_sequence"))));
    }
    sink(Delta::End);
    Ok(())
}

/// Writes a whole answer; fails where the input of a tool call, which is an object here, is not one.
pub(crate) fn encode(whole: &Whole, heading: &Heading) -> Result<String, AnswerFault> {
    let mut writer = Writer::with_capacity(1024);
    writer.begin_object();
    writer.string_member("id", &heading.answer_id("msg_"));
    writer.string_member("type", "message");
    writer.string_member("role", "assistant");
    writer.string_member("model", &heading.model);
    writer.array_member("content");
    for piece in &whole.pieces {
        match piece {
            Piece::Text(text) | Piece::Refusal(text) => write_text(&mut writer, text),
            Piece::Reasoning(text) => write_thinking(&mut writer, text),
            Piece::Tool(tool) => write_tool(&mut writer, tool, whole.stop.as_ref())?,
        }
    }
    writer.end_array();
    let refused = whole.pieces.iter().any(|piece| piece.as_refusal().is_some());
    write_stop(&mut writer, whole.stop.as_ref(), whole.tools().next().is_some(), refused);
    let bytes = whole.pieces.iter().fold(0_u64, |sum, piece| sum.saturating_add(length(piece)));
    let usage = whole.usage.unwrap_or_else(|| heading.estimate(bytes));
    writer.object_member("usage");
    write_usage(&mut writer, &usage);
    writer.end_object();
    writer.end_object();
    Ok(writer.finish())
}

fn write_text(writer: &mut Writer, text: &str) {
    writer.begin_object();
    writer.string_member("type", "text");
    writer.string_member("text", text);
    writer.end_object();
}

fn write_thinking(writer: &mut Writer, text: &str) {
    writer.begin_object();
    writer.string_member("type", "thinking");
    writer.string_member("thinking", text);
    writer.string_member("signature", "");
    writer.end_object();
}

fn write_tool(
    writer: &mut Writer,
    tool: &ToolCall,
    stop: Option<&Stop>,
) -> Result<(), AnswerFault> {
    let is_object = json::parse_text(&tool.input).is_ok_and(|input| input.as_object().is_some());
    // Cut off by the limit: there is no input, and the reason to stop says why.
    let cut = stop.is_some_and(Stop::allows_empty) || tool.input.trim().is_empty();
    let input = match (is_object, cut) {
        (true, _) => tool.input.as_str(),
        (false, true) => "{}",
        (false, false) => {
            return Err(read::malformed("the input of a tool call is not a JSON object"));
        }
    };
    writer.begin_object();
    writer.string_member("type", "tool_use");
    writer.string_member("id", &tool.id);
    writer.string_member("name", &tool.name);
    writer.raw_member("input", input);
    writer.end_object();
    Ok(())
}

fn length(piece: &Piece) -> u64 {
    let length = match piece {
        Piece::Text(text) | Piece::Refusal(text) | Piece::Reasoning(text) => text.len(),
        Piece::Tool(tool) => tool.input.len().saturating_add(tool.name.len()),
    };
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The `stop_reason`, read.
pub(crate) fn stop(reason: &str, sequence: Option<&str>) -> Stop {
    match reason {
        "end_turn" => Stop::End,
        "stop_sequence" => Stop::Sequence(sequence.map(str::to_owned)),
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" => Stop::ToolUse,
        "refusal" => Stop::Filter,
        "pause_turn" => Stop::Pause,
        other => Stop::Unknown(other.to_owned()),
    }
}

/// Writes `stop_reason` and `stop_sequence`; a reason without a word here is `end_turn`.
pub(crate) fn write_stop(writer: &mut Writer, stop: Option<&Stop>, has_tools: bool, refused: bool) {
    let reason = match stop {
        Some(Stop::Length) => "max_tokens",
        Some(Stop::Filter) => "refusal",
        _ if refused => "refusal",
        Some(Stop::ToolUse) => "tool_use",
        _ if has_tools => "tool_use",
        Some(Stop::Sequence(Some(_))) => "stop_sequence",
        Some(Stop::Pause) => "pause_turn",
        Some(Stop::End | Stop::Sequence(None) | Stop::Unknown(_)) | None => "end_turn",
    };
    writer.string_member("stop_reason", reason);
    match stop {
        Some(Stop::Sequence(Some(sequence))) if reason == "stop_sequence" => {
            writer.string_member("stop_sequence", sequence);
        }
        _ => writer.raw_member("stop_sequence", "null"),
    }
}

/// Counts as they come, in pieces: what a later event does not name stays.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    uncached: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
}

impl Counts {
    /// Takes over what `usage` names; its counts are cumulative.
    pub(crate) fn merge(&mut self, usage: &Node<'_>) {
        let update =
            |kept: &mut Option<u64>, path: &[&str]| *kept = read::count(usage, path).or(*kept);
        update(&mut self.uncached, &["input_tokens"]);
        update(&mut self.cache_read, &["cache_read_input_tokens"]);
        update(&mut self.cache_write, &["cache_creation_input_tokens"]);
        update(&mut self.output, &["output_tokens"]);
        update(&mut self.reasoning, &["output_tokens_details", "thinking_tokens"]);
    }

    /// The counts so far; cached tokens, which Anthropic counts apart, are input too.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let (read, write) =
            (self.cache_read.unwrap_or_default(), self.cache_write.unwrap_or_default());
        Usage {
            input: self.uncached.unwrap_or_default().saturating_add(read).saturating_add(write),
            cache_read: read,
            cache_write: write,
            output: self.output.unwrap_or_default(),
            reasoning: self.reasoning.unwrap_or_default(),
        }
        .counted()
    }
}

/// Writes the members of `usage`.
pub(crate) fn write_usage(writer: &mut Writer, usage: &Usage) {
    writer.number_member("input_tokens", usage.uncached());
    writer.number_member("cache_creation_input_tokens", usage.cache_write);
    writer.number_member("cache_read_input_tokens", usage.cache_read);
    writer.number_member("output_tokens", usage.output);
    if usage.reasoning > 0 {
        writer.object_member("output_tokens_details");
        writer.number_member("thinking_tokens", usage.reasoning);
        writer.end_object();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(texts: &[&str]) -> Option<Usage> {
        let mut counts = Counts::default();
        for text in texts {
            counts.merge(&json::parse(text.as_bytes()).unwrap());
        }
        counts.usage()
    }

    #[test]
    fn usage_counts_cached_tokens_as_input_and_is_cumulative() {
        assert_eq!(
            counts(&[
                r#"{"input_tokens":3,"cache_read_input_tokens":5,"cache_creation_input_tokens":7,"output_tokens":1}"#,
                r#"{"output_tokens":20,"output_tokens_details":{"thinking_tokens":4}}"#,
            ]),
            Some(Usage { input: 15, cache_read: 5, cache_write: 7, output: 20, reasoning: 4 })
        );
        assert_eq!(counts(&[r#"{"input_tokens":0,"output_tokens":0}"#]), None);
        assert_eq!(counts(&[r#"{"input_tokens":-3,"output_tokens":"x"}"#, "null"]), None);
        let usage = Usage { input: 15, cache_read: 5, cache_write: 7, output: 20, reasoning: 0 };
        let mut writer = Writer::default();
        writer.begin_object();
        write_usage(&mut writer, &usage);
        assert_eq!(
            writer.finish(),
            r#"{"input_tokens":3,"cache_creation_input_tokens":7,"cache_read_input_tokens":5,"output_tokens":20"#
        );
    }

    #[test]
    fn reasons_to_stop_follow_the_table() {
        let written = |stop: Option<&Stop>, has_tools, refused| {
            let mut writer = Writer::default();
            write_stop(&mut writer, stop, has_tools, refused);
            writer.finish()
        };
        for (reason, read, back) in [
            ("end_turn", Stop::End, "end_turn"),
            ("max_tokens", Stop::Length, "max_tokens"),
            ("model_context_window_exceeded", Stop::Length, "max_tokens"),
            ("tool_use", Stop::ToolUse, "tool_use"),
            ("refusal", Stop::Filter, "refusal"),
            ("pause_turn", Stop::Pause, "pause_turn"),
            ("new_reason", Stop::Unknown("new_reason".into()), "end_turn"),
        ] {
            assert_eq!(stop(reason, None), read);
            assert_eq!(
                written(Some(&read), false, false),
                format!(r#""stop_reason":"{back}","stop_sequence":null"#)
            );
        }
        let sequence = stop("stop_sequence", Some("END"));
        assert_eq!(
            written(Some(&sequence), false, false),
            r#""stop_reason":"stop_sequence","stop_sequence":"END""#
        );
        assert!(written(Some(&Stop::End), true, false).contains("tool_use"));
        assert!(written(Some(&Stop::End), false, true).contains("refusal"));
        assert!(written(None, false, false).contains("end_turn"));
    }
}
