//! Whole answers of Responses, and what its streams share: output items, the response object, usage, reasons to stop.

use crate::dialect::{
    answer::{AnswerFault, Heading, read},
    ir::answer::{Delta, Piece, Stop, Usage, Whole},
    json::{Node, Writer},
    responses::item::{Item, Kind},
};

/// Reads a whole answer as deltas.
pub(crate) fn decode(
    root: &Node<'_>,
    source: &str,
    sink: read::Sink<'_>,
) -> Result<(), AnswerFault> {
    let status = read::text(root, "status");
    if read::says(root, "error") || matches!(status, Some("failed" | "cancelled")) {
        return Err(read::in_band(root));
    }
    if root.member("output").and_then(Node::as_array).is_none() {
        return Err(read::malformed("an answer without output"));
    }
    if let Some(id) = read::text(root, "id") {
        sink(Delta::Id(id));
    }
    let calls = decode_output(root, source, sink)?;
    decode_end(root, calls > 0, sink);
    Ok(())
}

/// Reads the output of a response as deltas; the number of its tool calls.
pub(crate) fn decode_output(
    response: &Node<'_>,
    source: &str,
    sink: read::Sink<'_>,
) -> Result<usize, AnswerFault> {
    let mut calls: usize = 0;
    for item in read::items(response, "output") {
        match read::text(item, "type").unwrap_or_default() {
            "message" => decode_parts(item, sink),
            "reasoning" => decode_reasoning(item, sink),
            "function_call" | "custom_tool_call" => {
                if calls >= read::MAX_CALLS {
                    return Err(read::malformed("too many tool calls"));
                }
                decode_call(item, calls, source, sink)?;
                calls = calls.saturating_add(1);
            }
            _ => sink(Delta::Lost { what: "server_tools", content: true }),
        }
    }
    Ok(calls)
}

/// Reads how a response ended.
pub(crate) fn decode_end(response: &Node<'_>, has_tools: bool, sink: read::Sink<'_>) {
    if let Some(usage) = response.member("usage").and_then(usage) {
        sink(Delta::Usage(usage));
    }
    if let Some(stop) = stop(response, has_tools) {
        sink(Delta::Stop(stop));
    }
    sink(Delta::End);
}

fn decode_parts(item: &Node<'_>, sink: read::Sink<'_>) {
    for part in read::items(item, "content") {
        if let Some(text) = read::text(part, "text") {
            sink(Delta::Text(text));
        }
        if let Some(refusal) = read::text(part, "refusal") {
            sink(Delta::Refusal(refusal));
        }
        if read::says(part, "annotations") {
            sink(Delta::Lost { what: "annotations", content: false });
        }
    }
}

/// Reads a reasoning item: its summary, or where it has none its text.
pub(crate) fn decode_reasoning(item: &Node<'_>, sink: read::Sink<'_>) {
    let summary = read::items(item, "summary");
    let parts = if summary.is_empty() { read::items(item, "content") } else { summary };
    for (place, part) in parts.iter().enumerate() {
        if let Some(text) = read::text(part, "text") {
            if place > 0 {
                sink(Delta::Reasoning("\n\n"));
            }
            sink(Delta::Reasoning(text));
        }
    }
    if read::says(item, "encrypted_content") {
        sink(Delta::Lost { what: "reasoning", content: parts.is_empty() });
    }
}

/// Reads a whole tool call.
pub(crate) fn decode_call(
    item: &Node<'_>,
    call: usize,
    source: &str,
    sink: read::Sink<'_>,
) -> Result<(), AnswerFault> {
    let name = read::tool_name(item)?;
    sink(Delta::ToolStart { call, id: call_id(item), name });
    let json = call_input(item, source);
    if !json.is_empty() {
        sink(Delta::ToolInput { call, json });
    }
    sink(Delta::ToolEnd { call });
    Ok(())
}

/// The id by which the answer to a tool call names it.
pub(crate) fn call_id<'n>(item: &'n Node<'_>) -> Option<&'n str> {
    read::text(item, "call_id").or_else(|| read::text(item, "id"))
}

/// The input of a tool call, as far as it is there.
pub(crate) fn call_input<'n>(item: &'n Node<'_>, source: &'n str) -> &'n str {
    match item.member("arguments").or_else(|| item.member("input")) {
        Some(node) if node.as_object().is_some() => node.raw_text(source),
        Some(node) => node.as_str().unwrap_or_default(),
        None => "",
    }
}

/// Why a response ended; nothing while it has not.
fn stop(response: &Node<'_>, has_tools: bool) -> Option<Stop> {
    match read::text(response, "status").unwrap_or("completed") {
        "completed" if has_tools => Some(Stop::ToolUse),
        "completed" => Some(Stop::End),
        "incomplete" => {
            let details = response.member("incomplete_details");
            match details.and_then(|details| read::text(details, "reason")).unwrap_or_default() {
                "content_filter" => Some(Stop::Filter),
                // An answer that is not whole ended for some limit.
                _ => Some(Stop::Length),
            }
        }
        _ => None,
    }
}

fn usage(usage: &Node<'_>) -> Option<Usage> {
    let input = read::count(usage, &["input_tokens"]);
    let output = read::count(usage, &["output_tokens"]);
    if input.is_none() && output.is_none() {
        return None;
    }
    let detail = |path: &[&str]| read::count(usage, path).unwrap_or_default();
    let input = input.unwrap_or_default();
    let cache_read = detail(&["input_tokens_details", "cached_tokens"]).min(input);
    let cache_write = detail(&["input_tokens_details", "cache_write_tokens"]);
    Usage {
        input,
        cache_read,
        cache_write: cache_write.min(input.saturating_sub(cache_read)),
        output: output.unwrap_or_default(),
        reasoning: detail(&["output_tokens_details", "reasoning_tokens"]),
    }
    .counted()
}

/// Writes a whole answer.
pub(crate) fn encode(whole: &Whole, heading: &Heading) -> String {
    let mut items: Vec<Item> = Vec::new();
    for piece in &whole.pieces {
        let at = items.len();
        match piece {
            Piece::Text(text) => items.push(Item::new(heading, at, Kind::message(text, ""))),
            Piece::Refusal(text) => match items.last_mut().map(|item| &mut item.kind) {
                Some(Kind::Message { refusal, .. }) => refusal.push_str(text),
                _ => items.push(Item::new(heading, at, Kind::message("", text))),
            },
            Piece::Reasoning(text) => {
                items.push(Item::new(heading, at, Kind::Reasoning { text: text.clone() }));
            }
            Piece::Tool(tool) => items.push(Item::new(heading, at, Kind::Tool(tool.clone()))),
        }
    }
    let mut writer = Writer::with_capacity(2048);
    let end = End { stop: whole.stop.as_ref(), usage: whole.usage.as_ref() };
    write_response(&mut writer, heading, &items, Some(&end));
    writer.finish()
}

/// How a response that is over ended.
pub(crate) struct End<'a> {
    pub(crate) stop: Option<&'a Stop>,
    pub(crate) usage: Option<&'a Usage>,
}

impl End<'_> {
    /// The reason for which the response is incomplete, if it is.
    pub(crate) const fn incomplete(&self) -> Option<&'static str> {
        match self.stop {
            Some(Stop::Length) => Some("max_output_tokens"),
            Some(Stop::Filter) => Some("content_filter"),
            Some(
                Stop::End | Stop::Sequence(_) | Stop::ToolUse | Stop::Pause | Stop::Unknown(_),
            )
            | None => None,
        }
    }
}

/// Writes the response object: while it goes on (`end` is absent) without output, and at the end with all of it.
pub(crate) fn write_response(
    writer: &mut Writer,
    heading: &Heading,
    items: &[Item],
    end: Option<&End<'_>>,
) {
    let incomplete = end.and_then(End::incomplete);
    writer.begin_object();
    writer.string_member("id", &heading.answer_id("resp_"));
    writer.string_member("object", "response");
    writer.number_member("created_at", heading.created);
    let status = match (end, incomplete) {
        (None, _) => "in_progress",
        (Some(_), None) => "completed",
        (Some(_), Some(_)) => "incomplete",
    };
    writer.string_member("status", status);
    writer.raw_member("error", "null");
    match incomplete {
        Some(reason) => {
            writer.object_member("incomplete_details");
            writer.string_member("reason", reason);
            writer.end_object();
        }
        None => writer.raw_member("incomplete_details", "null"),
    }
    writer.string_member("model", &heading.model);
    for (name, json) in &heading.echo.members {
        writer.raw_member(name, json);
    }
    writer.array_member("output");
    if end.is_some() {
        // The last item is where the limit struck.
        let cut = incomplete.and(items.len().checked_sub(1));
        for (place, item) in items.iter().enumerate() {
            let status = if cut == Some(place) { "incomplete" } else { "completed" };
            item.write(writer, status);
        }
    }
    writer.end_array();
    match end.and_then(|end| end.usage) {
        Some(usage) => write_usage(writer, usage),
        None => writer.raw_member("usage", "null"),
    }
    writer.end_object();
}

fn write_usage(writer: &mut Writer, usage: &Usage) {
    writer.object_member("usage");
    writer.number_member("input_tokens", usage.input);
    writer.object_member("input_tokens_details");
    writer.number_member("cached_tokens", usage.cache_read);
    writer.number_member("cache_write_tokens", usage.cache_write);
    writer.end_object();
    writer.number_member("output_tokens", usage.output);
    writer.object_member("output_tokens_details");
    writer.number_member("reasoning_tokens", usage.reasoning);
    writer.end_object();
    writer.number_member("total_tokens", usage.total());
    writer.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json;

    #[test]
    fn reasons_to_stop_follow_the_table() {
        for (text, has_tools, expected) in [
            (r#"{"status":"completed"}"#, false, Some(Stop::End)),
            (r#"{"status":"completed"}"#, true, Some(Stop::ToolUse)),
            (
                r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}"#,
                true,
                Some(Stop::Length),
            ),
            (
                r#"{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}"#,
                false,
                Some(Stop::Filter),
            ),
            (r#"{"status":"incomplete","incomplete_details":null}"#, false, Some(Stop::Length)),
            (r#"{"status":"in_progress"}"#, false, None),
        ] {
            assert_eq!(stop(&json::parse(text.as_bytes()).unwrap(), has_tools), expected, "{text}");
        }
        for (stop, expected) in [
            (Stop::Length, Some("max_output_tokens")),
            (Stop::Filter, Some("content_filter")),
            (Stop::End, None),
            (Stop::Pause, None),
            (Stop::Unknown("x".into()), None),
        ] {
            assert_eq!(End { stop: Some(&stop), usage: None }.incomplete(), expected);
        }
    }

    #[test]
    fn usage_is_read_in_every_form() {
        for (text, expected) in [
            (
                r#"{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"output_tokens_details":{"reasoning_tokens":3}}"#,
                Some(Usage { input: 10, cache_read: 4, cache_write: 2, output: 5, reasoning: 3 }),
            ),
            (
                r#"{"input_tokens":10,"output_tokens":5}"#,
                Some(Usage { input: 10, output: 5, ..Usage::default() }),
            ),
            (r#"{"input_tokens":0,"output_tokens":0}"#, None),
            ("null", None),
        ] {
            assert_eq!(usage(&json::parse(text.as_bytes()).unwrap()), expected, "{text}");
        }
    }
}
