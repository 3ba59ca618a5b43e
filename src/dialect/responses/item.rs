//! Output items of a response, as they are written.

use crate::dialect::{answer::Heading, ir::answer::ToolCall, json::Writer};

/// One item of the output.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A message: text, then a refusal, either of which may be missing.
    Message { text: String, refusal: String },
    /// A reasoning item with one summary.
    Reasoning { text: String },
    /// A function call.
    Tool(ToolCall),
    /// A whole item of any type, as a provider wrote it.
    Raw(String),
}

impl Kind {
    pub(crate) fn message(text: &str, refusal: &str) -> Self {
        Self::Message { text: text.to_owned(), refusal: refusal.to_owned() }
    }
}

impl Item {
    /// The item at `place` of the output, with an id of its kind.
    pub(crate) fn new(heading: &Heading, place: usize, kind: Kind) -> Self {
        let prefix = match kind {
            Kind::Message { .. } => "msg_",
            Kind::Reasoning { .. } => "rs_",
            Kind::Tool(_) => "fc_",
            Kind::Raw(_) => "item_",
        };
        Self { id: heading.item_id(prefix, place), kind }
    }

    /// A whole item as a provider wrote it.
    pub(crate) fn raw(json: &str) -> Self {
        Self { id: String::new(), kind: Kind::Raw(json.to_owned()) }
    }

    /// Writes the item; without content where it has only begun (`in_progress`).
    pub(crate) fn write(&self, writer: &mut Writer, status: &str) {
        let begun = status == "in_progress";
        if let Kind::Raw(json) = &self.kind {
            return writer.raw(json);
        }
        writer.begin_object();
        writer.string_member("id", &self.id);
        match &self.kind {
            Kind::Message { text, refusal } => {
                writer.string_member("type", "message");
                writer.string_member("status", status);
                writer.array_member("content");
                if !begun {
                    write_parts(writer, text, refusal);
                }
                writer.end_array();
                writer.string_member("role", "assistant");
            }
            Kind::Reasoning { text } => {
                writer.string_member("type", "reasoning");
                writer.array_member("summary");
                if !begun {
                    write_summary(writer, text);
                }
                writer.end_array();
            }
            Kind::Tool(tool) => {
                writer.string_member("type", "function_call");
                writer.string_member("status", status);
                writer.string_member("arguments", if begun { "" } else { &tool.input });
                writer.string_member("call_id", &tool.id);
                writer.string_member("name", &tool.name);
            }
            Kind::Raw(_) => {}
        }
        writer.end_object();
    }
}

fn write_parts(writer: &mut Writer, text: &str, refusal: &str) {
    if !text.is_empty() {
        write_text(writer, text);
    }
    if !refusal.is_empty() {
        write_refusal(writer, refusal);
    }
}

/// Writes a content part of text.
pub(crate) fn write_text(writer: &mut Writer, text: &str) {
    writer.begin_object();
    writer.string_member("type", "output_text");
    writer.raw_member("annotations", "[]");
    writer.raw_member("logprobs", "[]");
    writer.string_member("text", text);
    writer.end_object();
}

/// Writes a content part that refuses.
pub(crate) fn write_refusal(writer: &mut Writer, refusal: &str) {
    writer.begin_object();
    writer.string_member("type", "refusal");
    writer.string_member("refusal", refusal);
    writer.end_object();
}

/// Writes a part of a reasoning item's summary.
pub(crate) fn write_summary(writer: &mut Writer, text: &str) {
    writer.begin_object();
    writer.string_member("type", "summary_text");
    writer.string_member("text", text);
    writer.end_object();
}
