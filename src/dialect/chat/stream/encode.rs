//! Streamed answers of Chat Completions: writing.

use bytes::BytesMut;

use crate::dialect::{
    answer::Heading,
    chat::answer::{finish_reason, write_usage},
    ir::answer::{Delta, Stop, Usage},
    json::Writer,
};

/// Writes chunks.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    id: String,
    created: u64,
    /// A chunk up to its delta.
    head: String,
    /// The rest of a chunk whose choice goes on.
    tail: &'static str,
    /// The chunk up to its choices.
    bare: String,
    wants_usage: bool,
    started: bool,
    has_tools: bool,
    stop: Option<Stop>,
    usage: Option<Usage>,
}

impl Encoder {
    pub(crate) fn new(heading: &Heading) -> Self {
        let wants_usage = heading.shows_usage;
        let mut encoder = Self {
            id: heading.answer_id("chatcmpl-"),
            created: heading.created,
            head: String::new(),
            tail: if wants_usage {
                ",\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
            } else {
                ",\"logprobs\":null,\"finish_reason\":null}]}\n\n"
            },
            bare: String::new(),
            wants_usage,
            started: false,
            has_tools: false,
            stop: None,
            usage: None,
        };
        encoder.rename(&heading.model);
        encoder
    }

    /// Goes on with a stream that has begun.
    pub(crate) fn resumed(heading: &Heading) -> Self {
        Self { started: true, ..Self::new(heading) }
    }

    /// From here on the model goes by this name.
    pub(crate) fn rename(&mut self, model: &str) {
        let mut writer = Writer::with_capacity(192);
        writer.begin_object();
        writer.string_member("id", &self.id);
        writer.string_member("object", "chat.completion.chunk");
        writer.number_member("created", self.created);
        writer.string_member("model", model);
        self.bare = format!("data: {}", writer.finish());
        self.head = format!("{},\"choices\":[{{\"index\":0,\"delta\":", self.bare);
    }

    /// Writes what a delta becomes.
    pub(crate) fn write(&mut self, delta: &Delta<'_>, out: &mut BytesMut) {
        match delta {
            Delta::Text(text) => self.text("content", text, out),
            Delta::Reasoning(text) => self.text("reasoning_content", text, out),
            Delta::Refusal(text) => self.text("refusal", text, out),
            Delta::ToolStart { call, id, name } => self.tool_start(*call, *id, name, out),
            Delta::ToolInput { call, json } => self.tool_input(*call, json, out),
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Stop(stop) => self.stop = Some(stop.clone()),
            Delta::End => self.end(out),
            Delta::Id(_) | Delta::ToolEnd { .. } | Delta::Lost { .. } => {}
        }
    }

    fn start(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.started, true) {
            self.chunk(r#"{"role":"assistant","content":""}"#, out);
        }
    }

    fn chunk(&self, delta: &str, out: &mut BytesMut) {
        out.reserve(self.head.len().saturating_add(delta.len()).saturating_add(self.tail.len()));
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(delta.as_bytes());
        out.extend_from_slice(self.tail.as_bytes());
    }

    fn text(&mut self, name: &str, text: &str, out: &mut BytesMut) {
        self.start(out);
        let mut writer = Writer::with_capacity(text.len().saturating_add(40));
        writer.begin_object();
        writer.string_member(name, text);
        writer.end_object();
        self.chunk(&writer.finish(), out);
    }

    fn tool_start(&mut self, call: usize, id: Option<&str>, name: &str, out: &mut BytesMut) {
        self.start(out);
        self.has_tools = true;
        let mut writer = open_tool(call, 128);
        writer.string_member("id", id.unwrap_or_default());
        writer.string_member("type", "function");
        writer.object_member("function");
        writer.string_member("name", name);
        writer.string_member("arguments", "");
        self.close_tool(writer, out);
    }

    fn tool_input(&mut self, call: usize, json: &str, out: &mut BytesMut) {
        let mut writer = open_tool(call, json.len().saturating_add(96));
        writer.object_member("function");
        writer.string_member("arguments", json);
        self.close_tool(writer, out);
    }

    fn close_tool(&self, mut writer: Writer, out: &mut BytesMut) {
        writer.end_object();
        writer.end_object();
        writer.end_array();
        writer.end_object();
        self.chunk(&writer.finish(), out);
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.start(out);
        let reason = finish_reason(self.stop.as_ref(), self.has_tools);
        let usage = if self.wants_usage { ",\"usage\":null" } else { "" };
        out.extend_from_slice(self.head.as_bytes());
        let rest = format!("{{}},\"logprobs\":null,\"finish_reason\":\"{reason}\"}}]{usage}}}\n\n");
        out.extend_from_slice(rest.as_bytes());
        if let Some(usage) = self.usage.filter(|_| self.wants_usage) {
            let mut writer = Writer::with_capacity(256);
            writer.begin_object();
            write_usage(&mut writer, &usage);
            let members = writer.finish();
            let members = members.strip_prefix('{').unwrap_or_default();
            out.extend_from_slice(
                format!("{},\"choices\":[],{members}}}\n\n", self.bare).as_bytes(),
            );
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// The beginning of a delta with one tool call.
fn open_tool(call: usize, capacity: usize) -> Writer {
    let mut writer = Writer::with_capacity(capacity);
    writer.begin_object();
    writer.array_member("tool_calls");
    writer.begin_object();
    writer.number_member("index", u64::try_from(call).unwrap_or(u64::MAX));
    writer
}
