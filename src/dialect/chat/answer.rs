//! Whole answers of Chat Completions, and the tables that its streams share.

use crate::dialect::{
    answer::{AnswerFault, Heading, read},
    chat::stream::Decoder,
    ir::answer::{Delta, Piece, Stop, ToolCall, Usage, Whole},
    json::{Node, Writer},
};

/// Reads a whole answer as deltas.
pub(crate) fn decode(
    root: &Node<'_>,
    source: &str,
    sink: read::Sink<'_>,
) -> Result<(), AnswerFault> {
    let mut decoder = Decoder::whole();
    decoder.read(root, source, sink)?;
    sink(Delta::End);
    Ok(())
}

/// Writes a whole answer.
pub(crate) fn encode(whole: &Whole, heading: &Heading) -> String {
    let mut writer = Writer::with_capacity(1024);
    writer.begin_object();
    writer.string_member("id", &heading.answer_id("chatcmpl-"));
    writer.string_member("object", "chat.completion");
    writer.number_member("created", heading.created);
    writer.string_member("model", &heading.model);
    writer.array_member("choices");
    writer.begin_object();
    writer.number_member("index", 0);
    write_message(&mut writer, whole);
    writer.raw_member("logprobs", "null");
    let reason = finish_reason(whole.stop.as_ref(), whole.tools().next().is_some());
    writer.string_member("finish_reason", reason);
    writer.end_object();
    writer.end_array();
    if let Some(usage) = &whole.usage {
        write_usage(&mut writer, usage);
    }
    writer.end_object();
    writer.finish()
}

fn write_message(writer: &mut Writer, whole: &Whole) {
    writer.object_member("message");
    writer.string_member("role", "assistant");
    match whole.joined(Piece::as_text) {
        Some(text) => writer.string_member("content", &text),
        None => writer.raw_member("content", "null"),
    }
    if let Some(reasoning) = whole.joined(Piece::as_reasoning) {
        writer.string_member("reasoning_content", &reasoning);
    }
    match whole.joined(Piece::as_refusal) {
        Some(refusal) => writer.string_member("refusal", &refusal),
        None => writer.raw_member("refusal", "null"),
    }
    if whole.tools().next().is_some() {
        writer.array_member("tool_calls");
        for tool in whole.tools() {
            write_tool(writer, tool);
        }
        writer.end_array();
    }
    writer.end_object();
}

fn write_tool(writer: &mut Writer, tool: &ToolCall) {
    writer.begin_object();
    writer.string_member("id", &tool.id);
    writer.string_member("type", "function");
    writer.object_member("function");
    writer.string_member("name", &tool.name);
    writer.string_member("arguments", &tool.input);
    writer.end_object();
    writer.end_object();
}

/// Chat's `finish_reason`, read. `choice` is where vLLM names the stop sequence.
pub(crate) fn stop(reason: &str, choice: &Node<'_>) -> Stop {
    match reason {
        "stop" => match read::text(choice, "stop_reason") {
            Some(sequence) => Stop::Sequence(Some(sequence.to_owned())),
            None => Stop::End,
        },
        "length" => Stop::Length,
        "tool_calls" | "function_call" => Stop::ToolUse,
        "content_filter" => Stop::Filter,
        other => Stop::Unknown(other.to_owned()),
    }
}

/// Chat's `finish_reason`, written; what it has no word for is `stop`.
pub(crate) const fn finish_reason(stop: Option<&Stop>, has_tools: bool) -> &'static str {
    match stop {
        Some(Stop::Length) => "length",
        Some(Stop::Filter) => "content_filter",
        Some(Stop::ToolUse) => "tool_calls",
        _ if has_tools => "tool_calls",
        Some(Stop::End | Stop::Sequence(_) | Stop::Pause | Stop::Unknown(_)) | None => "stop",
    }
}

/// Chat's `usage`, which counts cached tokens as prompt tokens. Some servers leave reasoning out of
/// `completion_tokens`; the total has it.
pub(crate) fn usage(usage: &Node<'_>) -> Option<Usage> {
    let prompt = read::count(usage, &["prompt_tokens"]);
    let completion = read::count(usage, &["completion_tokens"]);
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let input = prompt.unwrap_or_default();
    let beyond = read::count(usage, &["total_tokens"]).unwrap_or_default().saturating_sub(input);
    let cache_read = read::first_count(
        usage,
        &[
            &["prompt_tokens_details", "cached_tokens"],
            &["prompt_cache_hit_tokens"],
            &["cached_tokens"],
            &["cache_read_input_tokens"],
        ],
    );
    let cache_write = read::first_count(
        usage,
        &[&["prompt_tokens_details", "cache_write_tokens"], &["cache_creation_input_tokens"]],
    );
    let cache_read = cache_read.unwrap_or_default().min(input);
    Usage {
        input,
        cache_read,
        cache_write: cache_write.unwrap_or_default().min(input.saturating_sub(cache_read)),
        output: completion.unwrap_or_default().max(beyond),
        reasoning: read::count(usage, &["completion_tokens_details", "reasoning_tokens"])
            .unwrap_or_default(),
    }
    .counted()
}

/// Writes the member `usage`.
pub(crate) fn write_usage(writer: &mut Writer, usage: &Usage) {
    writer.object_member("usage");
    writer.number_member("prompt_tokens", usage.input);
    writer.number_member("completion_tokens", usage.output);
    writer.number_member("total_tokens", usage.total());
    writer.object_member("prompt_tokens_details");
    writer.number_member("cached_tokens", usage.cache_read);
    writer.number_member("cache_write_tokens", usage.cache_write);
    writer.end_object();
    writer.object_member("completion_tokens_details");
    writer.number_member("reasoning_tokens", usage.reasoning);
    writer.end_object();
    writer.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json;

    #[test]
    fn usage_is_read_in_every_form() {
        let full = |input, cache_read, cache_write, output, reasoning| {
            Some(Usage { input, cache_read, cache_write, output, reasoning })
        };
        for (text, expected) in [
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#,
                full(10, 0, 0, 5, 0),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":2}}"#,
                full(10, 4, 3, 5, 2),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4}"#,
                full(10, 4, 0, 5, 0),
            ),
            // Reasoning outside of the completion tokens.
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40}"#,
                full(10, 0, 0, 30, 0),
            ),
            (r#"{"prompt_tokens":10}"#, full(10, 0, 0, 0, 0)),
            (
                r#"{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":99}}"#,
                full(1, 1, 0, 1, 0),
            ),
            (r#"{"prompt_tokens":0,"completion_tokens":0}"#, None),
            (r#"{"prompt_tokens":-1,"completion_tokens":1e3}"#, None),
            (
                r#"{"prompt_tokens":18446744073709551615,"completion_tokens":99999999999999999999}"#,
                None,
            ),
            ("null", None),
        ] {
            assert_eq!(usage(&json::parse(text.as_bytes()).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn reasons_to_stop_follow_the_table() {
        let none = json::parse(b"{}").unwrap();
        for (reason, read, written) in [
            ("stop", Stop::End, "stop"),
            ("length", Stop::Length, "length"),
            ("tool_calls", Stop::ToolUse, "tool_calls"),
            ("function_call", Stop::ToolUse, "tool_calls"),
            ("content_filter", Stop::Filter, "content_filter"),
            ("eos", Stop::Unknown("eos".into()), "stop"),
        ] {
            assert_eq!(stop(reason, &none), read);
            assert_eq!(finish_reason(Some(&read), false), written);
        }
        let named = json::parse(br#"{"stop_reason":"END"}"#).unwrap();
        assert_eq!(stop("stop", &named), Stop::Sequence(Some("END".into())));
        assert_eq!(finish_reason(Some(&Stop::End), true), "tool_calls");
        assert_eq!(finish_reason(Some(&Stop::Pause), false), "stop");
        assert_eq!(finish_reason(None, false), "stop");
    }
}
