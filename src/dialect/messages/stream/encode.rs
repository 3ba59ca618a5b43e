//! Streamed answers of Messages: writing.
//!
//! One content block is open at a time, and blocks are numbered in the order in which they begin. Deltas of parallel
//! tool calls may come interleaved, so each call and each run of text has a lane: the first lane is written as it
//! comes, the others are held until those before them have ended.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::dialect::{
    answer::Heading,
    ir::answer::{Delta, Stop, Usage},
    json::Writer,
    messages::answer::{write_stop, write_usage},
};

/// Writes events.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    heading: Heading,
    started: bool,
    lanes: VecDeque<Lane>,
    /// The number of the block that the first lane is, or will be.
    index: u64,
    has_tools: bool,
    refused: bool,
    stop: Option<Stop>,
    usage: Option<Usage>,
    bytes: u64,
}

/// What becomes one content block.
#[derive(Debug, Clone)]
struct Lane {
    kind: Kind,
    /// Whether its `content_block_start` has been written.
    begun: bool,
    ended: bool,
    /// What came while it was not the first.
    held: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Tool { call: usize, id: String, name: String },
}

impl Encoder {
    pub(crate) fn new(heading: Heading) -> Self {
        Self {
            heading,
            started: false,
            lanes: VecDeque::new(),
            index: 0,
            has_tools: false,
            refused: false,
            stop: None,
            usage: None,
            bytes: 0,
        }
    }

    /// Goes on with a stream whose next block has the number `next`; where the block before that is `open`, it is one
    /// of text.
    pub(crate) fn resumed(heading: Heading, next: u64, open: bool) -> Self {
        let mut encoder = Self { started: true, index: next, ..Self::new(heading) };
        if open {
            encoder.index = next.saturating_sub(1);
            let held = String::new();
            encoder.lanes.push_back(Lane { kind: Kind::Text, begun: true, ended: false, held });
        }
        encoder
    }

    /// Writes what a delta becomes.
    pub(crate) fn write(&mut self, delta: &Delta<'_>, out: &mut BytesMut) {
        self.bytes = self.bytes.saturating_add(delta.bytes());
        match delta {
            Delta::Text(text) => self.run(Kind::Text, text, out),
            Delta::Reasoning(text) => self.run(Kind::Thinking, text, out),
            Delta::Refusal(text) => {
                self.refused = true;
                self.run(Kind::Text, text, out);
            }
            Delta::ToolStart { call, id, name } => {
                self.has_tools = true;
                let id = id.unwrap_or_default().to_owned();
                self.open(Kind::Tool { call: *call, id, name: (*name).to_owned() }, out);
            }
            Delta::ToolInput { call, json } => {
                if let Some(at) = self.lane(*call) {
                    self.append(at, json, out);
                }
            }
            Delta::ToolEnd { call } => {
                if let Some(lane) = self.lane(*call).and_then(|at| self.lanes.get_mut(at)) {
                    lane.ended = true;
                }
                self.advance(out);
            }
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Stop(stop) => self.stop = Some(stop.clone()),
            Delta::End => self.end(out),
            Delta::Id(_) | Delta::Lost { .. } => {}
        }
    }

    /// The place of the lane of a tool call.
    fn lane(&self, wanted: usize) -> Option<usize> {
        self.lanes
            .iter()
            .position(|lane| matches!(lane.kind, Kind::Tool { call, .. } if call == wanted))
    }

    /// More text or thinking: of the last lane if it is of this kind, else of a new one.
    fn run(&mut self, kind: Kind, text: &str, out: &mut BytesMut) {
        if self.lanes.back().is_none_or(|lane| lane.kind != kind) {
            self.open(kind, out);
        }
        self.append(self.lanes.len().saturating_sub(1), text, out);
    }

    fn open(&mut self, kind: Kind, out: &mut BytesMut) {
        self.start(out);
        if let Some(last) = self.lanes.back_mut()
            && matches!(last.kind, Kind::Text | Kind::Thinking)
        {
            last.ended = true;
        }
        self.lanes.push_back(Lane { kind, begun: false, ended: false, held: String::new() });
        self.advance(out);
    }

    fn append(&mut self, at: usize, text: &str, out: &mut BytesMut) {
        let Some(lane) = self.lanes.get_mut(at) else { return };
        if at == 0 {
            write_delta(&lane.kind, self.index, text, out);
        } else {
            lane.held.push_str(text);
        }
    }

    /// Begins the first lane's block, and ends it and goes on to the next where it is over.
    fn advance(&mut self, out: &mut BytesMut) {
        while let Some(lane) = self.lanes.front_mut() {
            if !std::mem::replace(&mut lane.begun, true) {
                write_block(&lane.kind, self.index, out);
                let held = std::mem::take(&mut lane.held);
                if !held.is_empty() {
                    write_delta(&lane.kind, self.index, &held, out);
                }
            }
            if !lane.ended {
                break;
            }
            write_event("content_block_stop", out, |writer| {
                writer.number_member("index", self.index);
            });
            self.index = self.index.saturating_add(1);
            self.lanes.pop_front();
        }
    }

    fn start(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let usage = self.usage.unwrap_or_else(|| self.heading.estimate(0));
        write_event("message_start", out, |writer| {
            writer.object_member("message");
            writer.string_member("id", &self.heading.answer_id("msg_"));
            writer.string_member("type", "message");
            writer.string_member("role", "assistant");
            writer.string_member("model", &self.heading.model);
            writer.raw_member("content", "[]");
            writer.raw_member("stop_reason", "null");
            writer.raw_member("stop_sequence", "null");
            writer.object_member("usage");
            write_usage(writer, &usage);
            writer.end_object();
            writer.end_object();
        });
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.start(out);
        for lane in &mut self.lanes {
            lane.ended = true;
        }
        self.advance(out);
        let usage = self.usage.unwrap_or_else(|| self.heading.estimate(self.bytes));
        write_event("message_delta", out, |writer| {
            writer.object_member("delta");
            write_stop(writer, self.stop.as_ref(), self.has_tools, self.refused);
            writer.end_object();
            writer.object_member("usage");
            write_usage(writer, &usage);
            writer.end_object();
        });
        write_event("message_stop", out, |_| {});
    }
}

fn write_block(kind: &Kind, index: u64, out: &mut BytesMut) {
    write_event("content_block_start", out, |writer| {
        writer.number_member("index", index);
        writer.object_member("content_block");
        match kind {
            Kind::Text => writer.raw_member("type", r#""text","text":"""#),
            Kind::Thinking => {
                writer.raw_member("type", r#""thinking","thinking":"","signature":"""#);
            }
            Kind::Tool { id, name, .. } => {
                writer.string_member("type", "tool_use");
                writer.string_member("id", id);
                writer.string_member("name", name);
                writer.raw_member("input", "{}");
            }
        }
        writer.end_object();
    });
}

fn write_delta(kind: &Kind, index: u64, text: &str, out: &mut BytesMut) {
    let (kind, name) = match kind {
        Kind::Text => ("text_delta", "text"),
        Kind::Thinking => ("thinking_delta", "thinking"),
        Kind::Tool { .. } => ("input_json_delta", "partial_json"),
    };
    write_event("content_block_delta", out, |writer| {
        writer.number_member("index", index);
        writer.object_member("delta");
        writer.string_member("type", kind);
        writer.string_member(name, text);
        writer.end_object();
    });
}

fn write_event(name: &str, out: &mut BytesMut, members: impl FnOnce(&mut Writer)) {
    let mut writer = Writer::with_capacity(160);
    writer.begin_object();
    writer.string_member("type", name);
    members(&mut writer);
    writer.end_object();
    for part in ["event: ", name, "\ndata: ", &writer.finish(), "\n\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
