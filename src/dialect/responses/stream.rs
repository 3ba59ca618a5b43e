//! Streamed answers of Responses: reading.
//!
//! Every piece of content comes as deltas and once more whole, in `….done` events and in the last event. The deltas are
//! read; what came whole is used where a server sent no deltas for it.

pub(crate) mod encode;

use crate::dialect::{
    answer::{AnswerFault, read},
    ir::answer::Delta,
    json::Node,
    responses::answer::{
        call_id, call_input, decode_call, decode_end, decode_output, decode_reasoning,
    },
};

/// Reads events.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    identified: bool,
    calls: Vec<Call>,
    reasoning: Option<Reasoning>,
    /// Whether the item that began last has had text, a refusal or reasoning.
    spoken: bool,
    /// Whether anything has been read that is content.
    content: bool,
}

/// A function call that has begun.
#[derive(Debug)]
struct Call {
    output_index: u64,
    fed: bool,
    ended: bool,
}

/// Reasoning comes as a summary or as the text itself; where a server sends both, the first kind is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reasoning {
    Summary,
    Text,
}

impl Decoder {
    /// Reads the event `kind`.
    pub(crate) fn read(
        &mut self,
        kind: &str,
        root: &Node<'_>,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<(), AnswerFault> {
        let mut content = false;
        let result = self.event(kind, root, source, &mut |delta| {
            content |= delta.is_content();
            sink(delta);
        });
        self.content |= content;
        result
    }

    fn event(
        &mut self,
        kind: &str,
        root: &Node<'_>,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<(), AnswerFault> {
        let response = root.member("response");
        match kind {
            "error" => return Err(read::in_band(root)),
            "response.failed" | "response.cancelled" => {
                return Err(read::in_band(response.unwrap_or(root)));
            }
            "response.completed" | "response.incomplete" => {
                self.end(response.unwrap_or(root), source, sink)?;
            }
            "response.output_item.added" => self.item_added(root, sink)?,
            "response.output_item.done" => self.item_done(root, source, sink)?,
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                self.input_done(root, source, sink);
            }
            "response.output_text.annotation.added" => {
                sink(Delta::Lost { what: "annotations", content: false });
            }
            _ if response.is_some() => {}
            _ if read::says(root, "error") => return Err(read::in_band(root)),
            _ => self.delta(kind, root, sink),
        }
        if let Some(id) = response.and_then(|response| read::text(response, "id"))
            && !std::mem::replace(&mut self.identified, true)
        {
            sink(Delta::Id(id));
        }
        Ok(())
    }

    fn delta(&mut self, kind: &str, root: &Node<'_>, sink: read::Sink<'_>) {
        let delta = read::text(root, "delta");
        match (kind, delta) {
            ("response.output_text.delta", Some(text)) => self.speak(Delta::Text(text), sink),
            ("response.refusal.delta", Some(text)) => self.speak(Delta::Refusal(text), sink),
            ("response.reasoning_summary_text.delta", Some(text)) => {
                self.reason(Reasoning::Summary, text, sink);
            }
            ("response.reasoning_text.delta", Some(text)) => {
                self.reason(Reasoning::Text, text, sink);
            }
            (
                "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta",
                Some(json),
            ) => {
                self.input(root, json, sink);
            }
            ("response.output_text.done", _) if !self.spoken => {
                if let Some(text) = read::text(root, "text") {
                    self.speak(Delta::Text(text), sink);
                }
            }
            ("response.refusal.done", _) if !self.spoken => {
                if let Some(text) = read::text(root, "refusal") {
                    self.speak(Delta::Refusal(text), sink);
                }
            }
            ("response.reasoning_summary_part.added", _) => {
                let index = root.member("summary_index").and_then(Node::as_u64);
                if index.is_some_and(|index| index > 0) && self.spoken {
                    self.reason(Reasoning::Summary, "\n\n", sink);
                }
            }
            // Audio, and the output of tools that the provider runs.
            (kind, Some(_)) if kind.strip_suffix(".delta").is_some() => {
                sink(Delta::Lost { what: "server_tools", content: true });
            }
            _ => {}
        }
    }

    fn speak(&mut self, delta: Delta<'_>, sink: read::Sink<'_>) {
        self.spoken = true;
        sink(delta);
    }

    fn reason(&mut self, kind: Reasoning, text: &str, sink: read::Sink<'_>) {
        if *self.reasoning.get_or_insert(kind) == kind {
            self.speak(Delta::Reasoning(text), sink);
        }
    }

    fn item_added(&mut self, root: &Node<'_>, sink: read::Sink<'_>) -> Result<(), AnswerFault> {
        self.spoken = false;
        let Some(item) = root.member("item") else { return Ok(()) };
        match read::text(item, "type").unwrap_or_default() {
            "message" | "reasoning" => {}
            "function_call" | "custom_tool_call" => {
                if let Some(name) = read::text(item, "name") {
                    let call = self.open(output_index(root))?;
                    sink(Delta::ToolStart { call, id: call_id(item), name });
                }
            }
            _ => sink(Delta::Lost { what: "server_tools", content: true }),
        }
        Ok(())
    }

    fn item_done(
        &mut self,
        root: &Node<'_>,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<(), AnswerFault> {
        let Some(item) = root.member("item") else { return Ok(()) };
        match read::text(item, "type").unwrap_or_default() {
            "function_call" | "custom_tool_call" => {
                let index = output_index(root);
                if let Some(call) = self.find(index) {
                    self.finish(call, call_input(item, source), sink);
                } else {
                    let call = self.open(index)?;
                    decode_call(item, call, source, sink)?;
                    self.finish(call, "", &mut |_| {});
                }
            }
            "reasoning" => self.reasoning_done(item, sink),
            _ => {}
        }
        Ok(())
    }

    fn reasoning_done(&mut self, item: &Node<'_>, sink: read::Sink<'_>) {
        if !std::mem::replace(&mut self.spoken, true) {
            decode_reasoning(item, sink);
        } else if read::says(item, "encrypted_content") {
            sink(Delta::Lost { what: "reasoning", content: false });
        }
    }

    fn input(&mut self, root: &Node<'_>, json: &str, sink: read::Sink<'_>) {
        let Some(call) = self.find(output_index(root)) else { return };
        if let Some(state) = self.calls.get_mut(call).filter(|state| !state.ended) {
            state.fed = true;
            sink(Delta::ToolInput { call, json });
        }
    }

    fn input_done(&mut self, root: &Node<'_>, source: &str, sink: read::Sink<'_>) {
        if let Some(call) = self.find(output_index(root)) {
            self.finish(call, call_input(root, source), sink);
        }
    }

    fn open(&mut self, output_index: u64) -> Result<usize, AnswerFault> {
        if self.calls.len() >= read::MAX_CALLS {
            return Err(read::malformed("too many tool calls"));
        }
        self.calls.push(Call { output_index, fed: false, ended: false });
        Ok(self.calls.len().saturating_sub(1))
    }

    fn find(&self, output_index: u64) -> Option<usize> {
        self.calls.iter().rposition(|call| call.output_index == output_index)
    }

    /// Ends a call, with its `whole` input where no delta brought any.
    fn finish(&mut self, call: usize, whole: &str, sink: read::Sink<'_>) {
        let Some(state) = self.calls.get_mut(call).filter(|state| !state.ended) else { return };
        state.ended = true;
        if !std::mem::replace(&mut state.fed, true) && !whole.is_empty() {
            sink(Delta::ToolInput { call, json: whole });
        }
        sink(Delta::ToolEnd { call });
    }

    fn end(
        &mut self,
        response: &Node<'_>,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<(), AnswerFault> {
        let mut calls = self.calls.len();
        if !self.content {
            calls = decode_output(response, source, sink)?;
        }
        decode_end(response, calls > 0, sink);
        Ok(())
    }
}

fn output_index(root: &Node<'_>) -> u64 {
    root.member("output_index").and_then(Node::as_u64).unwrap_or_default()
}
