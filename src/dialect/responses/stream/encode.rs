//! Streamed answers of Responses: writing.
//!
//! Each run of text or reasoning is an output item that ends when something else begins; a function call is one that
//! ends when it is whole, so that parallel calls may overlap. Every item, part and text is opened, filled and closed by
//! its own events, numbered in one sequence, and the last event carries the whole response.

use bytes::BytesMut;

use crate::dialect::{
    answer::Heading,
    ir::answer::{Delta, Stop, ToolCall, Usage},
    json::Writer,
    responses::{
        answer::{End, write_response},
        item::{Item, Kind, write_refusal, write_summary, write_text},
    },
};

/// Writes events.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    heading: Heading,
    sequence: u64,
    items: Vec<Item>,
    /// What of the last item is open, if that is a message or reasoning.
    open: Option<Open>,
    /// The places of function calls that are not whole, by their numbers.
    calls: Vec<(usize, usize)>,
    /// Whether the answer ends before it is complete, so that the last item is incomplete too.
    cut: bool,
    stop: Option<Stop>,
    usage: Option<Usage>,
}

/// A text that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Refusal { part: u64 },
    Reasoning,
}

impl Encoder {
    pub(crate) fn new(heading: Heading) -> Self {
        Self {
            heading,
            sequence: 0,
            items: Vec::new(),
            open: None,
            calls: Vec::new(),
            cut: false,
            stop: None,
            usage: None,
        }
    }

    /// Goes on with a stream that has these items, of which the last is `open`: a message with text.
    pub(crate) fn resumed(heading: Heading, sequence: u64, items: Vec<Item>, open: bool) -> Self {
        Self {
            // Number 0 would be the first event.
            sequence: sequence.max(1),
            items,
            open: open.then_some(Open::Text),
            ..Self::new(heading)
        }
    }

    /// From here on the model goes by this name.
    pub(crate) fn rename(&mut self, model: &str) {
        model.clone_into(&mut self.heading.model);
    }

    /// The number that the next event has.
    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Writes what a delta becomes.
    pub(crate) fn write(&mut self, delta: &Delta<'_>, out: &mut BytesMut) {
        match delta {
            Delta::Text(text) => self.text(text, out),
            Delta::Reasoning(text) => self.reasoning(text, out),
            Delta::Refusal(text) => self.refusal(text, out),
            Delta::ToolStart { call, id, name } => {
                self.tool_start(*call, id.unwrap_or_default(), name, out);
            }
            Delta::ToolInput { call, json } => self.tool_input(*call, json, out),
            Delta::ToolEnd { call } => self.tool_end(*call, out),
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Stop(stop) => self.stop = Some(stop.clone()),
            Delta::End => self.end(out),
            Delta::Id(_) | Delta::Lost { .. } => {}
        }
    }

    fn text(&mut self, text: &str, out: &mut BytesMut) {
        if self.open != Some(Open::Text) {
            self.close(out);
            self.begin(Kind::message("", ""), out);
            self.open = Some(Open::Text);
            self.part("response.content_part.added", out);
        }
        if let Some(Kind::Message { text: so_far, .. }) =
            self.items.last_mut().map(|item| &mut item.kind)
        {
            so_far.push_str(text);
        }
        self.delta("response.output_text.delta", text, out);
    }

    fn refusal(&mut self, text: &str, out: &mut BytesMut) {
        if !matches!(self.open, Some(Open::Refusal { .. })) {
            // A refusal that follows text is the second part of the same message.
            let part = if self.open == Some(Open::Text) {
                self.close_part(out);
                1
            } else {
                self.close(out);
                self.begin(Kind::message("", ""), out);
                0
            };
            self.open = Some(Open::Refusal { part });
            self.part("response.content_part.added", out);
        }
        if let Some(Kind::Message { refusal, .. }) =
            self.items.last_mut().map(|item| &mut item.kind)
        {
            refusal.push_str(text);
        }
        self.delta("response.refusal.delta", text, out);
    }

    fn reasoning(&mut self, text: &str, out: &mut BytesMut) {
        if self.open != Some(Open::Reasoning) {
            self.close(out);
            self.begin(Kind::Reasoning { text: String::new() }, out);
            self.open = Some(Open::Reasoning);
            self.part("response.reasoning_summary_part.added", out);
        }
        if let Some(Kind::Reasoning { text: so_far }) =
            self.items.last_mut().map(|item| &mut item.kind)
        {
            so_far.push_str(text);
        }
        self.delta("response.reasoning_summary_text.delta", text, out);
    }

    fn tool_start(&mut self, call: usize, id: &str, name: &str, out: &mut BytesMut) {
        self.close(out);
        let tool =
            ToolCall { call, id: id.to_owned(), name: name.to_owned(), input: String::new() };
        self.calls.push((call, self.items.len()));
        self.begin(Kind::Tool(tool), out);
    }

    fn tool_input(&mut self, call: usize, json: &str, out: &mut BytesMut) {
        let Some((_, place)) = self.calls.iter().find(|(open, _)| *open == call).copied() else {
            return;
        };
        let Some(item) = self.items.get_mut(place) else { return };
        if let Kind::Tool(tool) = &mut item.kind {
            tool.input.push_str(json);
        }
        emit(&mut self.sequence, "response.function_call_arguments.delta", out, |writer| {
            locate(writer, item, place);
            writer.string_member("delta", json);
        });
    }

    fn tool_end(&mut self, call: usize, out: &mut BytesMut) {
        let Some(at) = self.calls.iter().position(|(open, _)| *open == call) else { return };
        let (_, place) = self.calls.remove(at);
        let Some(item) = self.items.get(place) else { return };
        if let Kind::Tool(tool) = &item.kind {
            emit(&mut self.sequence, "response.function_call_arguments.done", out, |writer| {
                locate(writer, item, place);
                writer.string_member("arguments", &tool.input);
            });
        }
        self.item_done(place, out);
    }

    /// Adds an item to the output.
    fn begin(&mut self, kind: Kind, out: &mut BytesMut) {
        self.start(out);
        let place = self.items.len();
        let item = Item::new(&self.heading, place, kind);
        emit(&mut self.sequence, "response.output_item.added", out, |writer| {
            writer.number_member("output_index", number(place));
            writer.key("item");
            item.write(writer, "in_progress");
        });
        self.items.push(item);
    }

    /// Ends the message or the reasoning that is open.
    fn close(&mut self, out: &mut BytesMut) {
        if self.open.is_some() {
            self.close_part(out);
            self.open = None;
            self.item_done(self.items.len().saturating_sub(1), out);
        }
    }

    fn close_part(&mut self, out: &mut BytesMut) {
        let (Some(open), Some(item)) = (self.open, self.items.last()) else { return };
        let place = self.items.len().saturating_sub(1);
        let (event, member, text) = match (open, &item.kind) {
            (Open::Refusal { .. }, Kind::Message { refusal, .. }) => {
                ("response.refusal.done", "refusal", refusal)
            }
            (Open::Text, Kind::Message { text, .. }) => ("response.output_text.done", "text", text),
            (_, Kind::Reasoning { text }) => ("response.reasoning_summary_text.done", "text", text),
            (_, Kind::Message { .. } | Kind::Tool(_) | Kind::Raw(_)) => return,
        };
        emit(&mut self.sequence, event, out, |writer| {
            locate(writer, item, place);
            open.locate(writer);
            writer.string_member(member, text);
            if open == Open::Text {
                writer.raw_member("logprobs", "[]");
            }
        });
        let done = if open == Open::Reasoning {
            "response.reasoning_summary_part.done"
        } else {
            "response.content_part.done"
        };
        self.part(done, out);
    }

    /// Writes an event about the part that is open, with what it holds.
    fn part(&mut self, event: &str, out: &mut BytesMut) {
        let (Some(open), Some(item)) = (self.open, self.items.last()) else { return };
        let place = self.items.len().saturating_sub(1);
        emit(&mut self.sequence, event, out, |writer| {
            locate(writer, item, place);
            open.locate(writer);
            writer.key("part");
            match (open, &item.kind) {
                (Open::Refusal { .. }, Kind::Message { refusal, .. }) => {
                    write_refusal(writer, refusal);
                }
                (_, Kind::Message { text, .. }) => write_text(writer, text),
                (_, Kind::Reasoning { text }) => write_summary(writer, text),
                (_, Kind::Tool(_) | Kind::Raw(_)) => writer.raw("null"),
            }
        });
    }

    fn delta(&mut self, event: &str, text: &str, out: &mut BytesMut) {
        let (Some(open), Some(item)) = (self.open, self.items.last()) else { return };
        let place = self.items.len().saturating_sub(1);
        emit(&mut self.sequence, event, out, |writer| {
            locate(writer, item, place);
            open.locate(writer);
            writer.string_member("delta", text);
            if open == Open::Text {
                writer.raw_member("logprobs", "[]");
            }
        });
    }

    fn item_done(&mut self, place: usize, out: &mut BytesMut) {
        let Some(item) = self.items.get(place) else { return };
        let last = place.saturating_add(1) == self.items.len();
        let status = if self.cut && last { "incomplete" } else { "completed" };
        emit(&mut self.sequence, "response.output_item.done", out, |writer| {
            writer.number_member("output_index", number(place));
            writer.key("item");
            item.write(writer, status);
        });
    }

    fn start(&mut self, out: &mut BytesMut) {
        if self.sequence > 0 {
            return;
        }
        for event in ["response.created", "response.in_progress"] {
            emit(&mut self.sequence, event, out, |writer| {
                writer.key("response");
                write_response(writer, &self.heading, &[], None);
            });
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        self.start(out);
        let end = End { stop: self.stop.as_ref(), usage: self.usage.as_ref() };
        self.cut = end.incomplete().is_some();
        self.close(out);
        let open: Vec<usize> = self.calls.iter().map(|(call, _)| *call).collect();
        for call in open {
            self.tool_end(call, out);
        }
        let end = End { stop: self.stop.as_ref(), usage: self.usage.as_ref() };
        let event = if self.cut { "response.incomplete" } else { "response.completed" };
        emit(&mut self.sequence, event, out, |writer| {
            writer.key("response");
            write_response(writer, &self.heading, &self.items, Some(&end));
        });
    }
}

impl Open {
    /// Writes where in its item the part stands.
    fn locate(self, writer: &mut Writer) {
        match self {
            Self::Text => writer.number_member("content_index", 0),
            Self::Refusal { part } => writer.number_member("content_index", part),
            Self::Reasoning => writer.number_member("summary_index", 0),
        }
    }
}

fn locate(writer: &mut Writer, item: &Item, place: usize) {
    writer.string_member("item_id", &item.id);
    writer.number_member("output_index", number(place));
}

fn number(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}

fn emit(sequence: &mut u64, event: &str, out: &mut BytesMut, members: impl FnOnce(&mut Writer)) {
    let mut writer = Writer::with_capacity(256);
    writer.begin_object();
    writer.string_member("type", event);
    writer.number_member("sequence_number", *sequence);
    members(&mut writer);
    writer.end_object();
    *sequence = sequence.saturating_add(1);
    for part in ["event: ", event, "\ndata: ", &writer.finish(), "\n\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
