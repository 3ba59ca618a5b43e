//! Streamed answers of Messages: reading.

pub(crate) mod encode;

use crate::dialect::{
    answer::{AnswerFault, read},
    ir::answer::Delta,
    json::Node,
    messages::answer::{Counts, stop},
};

/// Reads events.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    blocks: Vec<Block>,
    counts: Counts,
    calls: usize,
}

/// A content block that has begun.
#[derive(Debug)]
struct Block {
    index: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Text or thinking: its deltas say which.
    Plain,
    /// A tool call; `whole` is input that came with its beginning, used if no delta follows.
    Tool { call: usize, whole: Option<String> },
    /// A tool that the provider runs, its result, or a kind that is new.
    Foreign,
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
        let index = root.member("index").and_then(Node::as_u64).unwrap_or_default();
        match kind {
            "error" => return Err(read::in_band(root)),
            "message_start" => self.start(root, sink),
            "content_block_start" => {
                if let Some(block) = root.member("content_block") {
                    self.block(index, block, source, sink)?;
                }
            }
            "content_block_delta" => {
                if let Some(delta) = root.member("delta") {
                    self.delta(index, delta, sink);
                }
            }
            "content_block_stop" => self.block_stop(index, sink),
            "message_delta" => self.message_delta(root, sink),
            "message_stop" => sink(Delta::End),
            _ if read::says(root, "error") => return Err(read::in_band(root)),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, root: &Node<'_>, sink: read::Sink<'_>) {
        let Some(message) = root.member("message") else { return };
        if let Some(id) = read::text(message, "id") {
            sink(Delta::Id(id));
        }
        self.count(message, sink);
    }

    fn count(&mut self, node: &Node<'_>, sink: read::Sink<'_>) {
        if let Some(usage) = node.member("usage") {
            self.counts.merge(usage);
            if let Some(usage) = self.counts.usage() {
                sink(Delta::Usage(usage));
            }
        }
    }

    /// Reads the beginning of a block, or all of one.
    pub(crate) fn block(
        &mut self,
        index: u64,
        block: &Node<'_>,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<(), AnswerFault> {
        let kind = match read::text(block, "type").unwrap_or_default() {
            "text" => {
                text(block, sink);
                Kind::Plain
            }
            "thinking" => {
                thinking(block, sink);
                Kind::Plain
            }
            "redacted_thinking" => {
                sink(Delta::Lost { what: "reasoning", content: true });
                Kind::Plain
            }
            "tool_use" => self.tool(block, source, sink)?,
            _ => {
                sink(Delta::Lost { what: "server_tools", content: true });
                Kind::Foreign
            }
        };
        self.blocks.retain(|block| block.index != index);
        self.blocks.push(Block { index, kind });
        Ok(())
    }

    fn tool(
        &mut self,
        block: &Node<'_>,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<Kind, AnswerFault> {
        let call = self.calls;
        if call >= read::MAX_CALLS {
            return Err(read::malformed("too many tool calls"));
        }
        let name = read::tool_name(block)?;
        self.calls = call.saturating_add(1);
        sink(Delta::ToolStart { call, id: read::text(block, "id"), name });
        let input = block.member("input").filter(|input| read_input(input));
        Ok(Kind::Tool { call, whole: input.map(|input| input.raw_text(source).to_owned()) })
    }

    fn delta(&mut self, index: u64, delta: &Node<'_>, sink: read::Sink<'_>) {
        match read::text(delta, "type").unwrap_or_default() {
            "text_delta" => text(delta, sink),
            "thinking_delta" => thinking(delta, sink),
            "signature_delta" => sink(Delta::Lost { what: "reasoning", content: false }),
            "citations_delta" => sink(Delta::Lost { what: "citations", content: false }),
            "input_json_delta" => {
                if let Some(json) = read::text(delta, "partial_json") {
                    self.input(index, json, sink);
                }
            }
            _ => sink(Delta::Lost { what: "server_tools", content: false }),
        }
    }

    fn input(&mut self, index: u64, json: &str, sink: read::Sink<'_>) {
        let block = self.blocks.iter_mut().rev().find(|block| block.index == index);
        if let Some(Block { kind: Kind::Tool { call, whole }, .. }) = block {
            *whole = None;
            sink(Delta::ToolInput { call: *call, json });
        }
    }

    /// Reads the end of a block.
    pub(crate) fn block_stop(&mut self, index: u64, sink: read::Sink<'_>) {
        let Some(at) = self.blocks.iter().rposition(|block| block.index == index) else { return };
        if let Kind::Tool { call, whole } = self.blocks.swap_remove(at).kind {
            if let Some(json) = &whole {
                sink(Delta::ToolInput { call, json });
            }
            sink(Delta::ToolEnd { call });
        }
    }

    fn message_delta(&mut self, root: &Node<'_>, sink: read::Sink<'_>) {
        self.count(root, sink);
        if let Some(delta) = root.member("delta")
            && let Some(reason) = read::text(delta, "stop_reason")
        {
            sink(Delta::Stop(stop(reason, read::text(delta, "stop_sequence"))));
        }
    }
}

/// Whether the input that came with a tool call's beginning says anything.
fn read_input(input: &Node<'_>) -> bool {
    input.as_object().is_some_and(|members| !members.is_empty())
}

fn text(node: &Node<'_>, sink: read::Sink<'_>) {
    if let Some(text) = read::text(node, "text") {
        sink(Delta::Text(text));
    }
    if read::says(node, "citations") {
        sink(Delta::Lost { what: "citations", content: false });
    }
}

fn thinking(node: &Node<'_>, sink: read::Sink<'_>) {
    if let Some(text) = read::text(node, "thinking") {
        sink(Delta::Reasoning(text));
    }
    // What a provider signed is worth nothing to another one, and the caller's API has no place for it.
    if read::says(node, "signature") {
        sink(Delta::Lost { what: "reasoning", content: false });
    }
}
