//! Streamed answers of Chat Completions: reading.
//!
//! Reading is lenient where servers differ and nothing is lost by it: a tool call without an index, an index used again
//! with another id, a name that comes late, `reasoning` for `reasoning_content`, content as a list of parts, usage inside
//! a choice. Only choice 0 is translated; the others count as content.

pub(crate) mod encode;

use crate::dialect::{
    answer::{AnswerFault, read},
    chat::answer::{stop, usage},
    ir::answer::Delta,
    json::Node,
};

/// More choices than any API gives.
const MAX_CHOICES: usize = 128;

/// Reads chunks, or a whole answer as one chunk.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    choices: Vec<Choice>,
    calls: Vec<Call>,
    identified: bool,
    /// Whether it reads a whole answer, in which every tool call is another one.
    whole: bool,
}

#[derive(Debug)]
struct Choice {
    index: u64,
    finished: bool,
}

/// A tool call of choice 0.
#[derive(Debug)]
struct Call {
    index: Option<u64>,
    id: Option<String>,
    named: bool,
    /// Input that came before the name.
    held: String,
}

impl Decoder {
    /// A decoder of a whole answer.
    pub(crate) fn whole() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// Whether every choice has its reason to stop.
    pub(crate) fn finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finished)
    }

    /// Reads one chunk.
    pub(crate) fn read(
        &mut self,
        root: &Node<'_>,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<(), AnswerFault> {
        if root.as_object().is_none() {
            return Err(read::malformed("a chunk is not an object"));
        }
        let kind = |name, what| root.member(name).and_then(Node::as_str) == Some(what);
        if read::says(root, "error") || kind("object", "error") || kind("type", "error") {
            return Err(read::in_band(root));
        }
        if !self.identified
            && let Some(id) = read::text(root, "id")
        {
            self.identified = true;
            sink(Delta::Id(id));
        }
        for choice in read::items(root, "choices") {
            self.choice(choice, source, sink)?;
        }
        let counts = root.member("usage").filter(|usage| !usage.is_null());
        let counts = counts.or_else(|| root.member("x_groq")?.member("usage"));
        if let Some(usage) = counts.and_then(usage) {
            sink(Delta::Usage(usage));
        }
        Ok(())
    }

    fn choice(
        &mut self,
        choice: &Node<'_>,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<(), AnswerFault> {
        let index = choice.member("index").and_then(Node::as_u64).unwrap_or_default();
        let message = choice.member("delta").or_else(|| choice.member("message"));
        let mut content = false;
        if let Some(message) = message {
            if index == 0 {
                self.message(message, source, sink)?;
            } else {
                let mut other = Self { whole: self.whole, ..Self::default() };
                other.message(message, source, &mut |delta| content |= delta.is_content())?;
            }
        }
        if content {
            sink(Delta::Lost { what: "n", content });
        }
        if let Some(usage) = choice.member("usage").and_then(usage) {
            sink(Delta::Usage(usage));
        }
        let reason = read::text(choice, "finish_reason");
        if reason == Some("error") {
            return Err(read::in_band(choice));
        }
        self.register(index, reason.is_some());
        if let Some(reason) = reason
            && index == 0
        {
            sink(Delta::Stop(stop(reason, choice)));
        }
        Ok(())
    }

    fn register(&mut self, index: u64, finished: bool) {
        if let Some(choice) = self.choices.iter_mut().find(|choice| choice.index == index) {
            choice.finished |= finished;
        } else if self.choices.len() < MAX_CHOICES {
            self.choices.push(Choice { index, finished });
        }
    }

    /// Reads a delta, or the message of a whole answer.
    fn message(
        &mut self,
        message: &Node<'_>,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<(), AnswerFault> {
        let reasoning = ["reasoning_content", "reasoning"];
        if let Some(text) = reasoning.iter().find_map(|name| read::text(message, name)) {
            sink(Delta::Reasoning(text));
        }
        if let Some(text) = read::text(message, "content") {
            sink(Delta::Text(text));
        }
        for part in read::items(message, "content") {
            content_part(part, sink);
        }
        if let Some(text) = read::text(message, "refusal") {
            sink(Delta::Refusal(text));
        }
        for (place, entry) in read::items(message, "tool_calls").iter().enumerate() {
            self.tool(entry, place, source, sink)?;
        }
        if let Some(function) = message.member("function_call").filter(|call| !call.is_null()) {
            let call = self.locate(Some(u64::MAX), None, false)?;
            self.function(call, function, source, sink);
        }
        if read::says(message, "audio") {
            sink(Delta::Lost { what: "audio", content: true });
        }
        if read::says(message, "annotations") {
            sink(Delta::Lost { what: "annotations", content: false });
        }
        Ok(())
    }

    fn tool(
        &mut self,
        entry: &Node<'_>,
        place: usize,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<(), AnswerFault> {
        let id = read::text(entry, "id");
        let function = entry.member("function").or_else(|| entry.member("custom"));
        let named = function.is_some_and(|function| read::text(function, "name").is_some());
        let index = if self.whole {
            u64::try_from(place).ok()
        } else {
            entry.member("index").and_then(Node::as_u64)
        };
        let call = self.locate(index, id, named)?;
        if let Some(function) = function {
            self.function(call, function, source, sink);
        }
        Ok(())
    }

    /// The number of the call that a piece belongs to.
    fn locate(
        &mut self,
        index: Option<u64>,
        id: Option<&str>,
        named: bool,
    ) -> Result<usize, AnswerFault> {
        let known = match (index, id) {
            (Some(_), _) => self.calls.iter().rposition(|call| call.index == index),
            (None, Some(_)) => self.calls.iter().rposition(|call| call.id.as_deref() == id),
            (None, None) if named => None,
            (None, None) => self.calls.len().checked_sub(1),
        };
        // An index that is used again, with another id and a name, is another call.
        let known = known.filter(|at| {
            let before = self.calls.get(*at).and_then(|call| call.id.as_deref());
            !(named && id.is_some() && before.is_some() && before != id)
        });
        if let Some(known) = known {
            if let Some(call) = self.calls.get_mut(known).filter(|call| call.id.is_none()) {
                call.id = id.map(str::to_owned);
            }
            return Ok(known);
        }
        if self.calls.len() >= read::MAX_CALLS {
            return Err(read::malformed("too many tool calls"));
        }
        self.calls.push(Call {
            index,
            id: id.map(str::to_owned),
            named: false,
            held: String::new(),
        });
        Ok(self.calls.len().saturating_sub(1))
    }

    /// Reads a name and a piece of the input of the call of this number.
    fn function(&mut self, number: usize, function: &Node<'_>, source: &str, sink: read::Sink<'_>) {
        let Some(call) = self.calls.get_mut(number) else { return };
        if let Some(name) = read::text(function, "name")
            && !call.named
        {
            call.named = true;
            sink(Delta::ToolStart { call: number, id: call.id.as_deref(), name });
            if !call.held.is_empty() {
                sink(Delta::ToolInput { call: number, json: &std::mem::take(&mut call.held) });
            }
        }
        let input = function.member("arguments").or_else(|| function.member("input"));
        let json = match input {
            Some(node) if node.as_object().is_some() => node.raw_text(source),
            Some(node) => node.as_str().unwrap_or_default(),
            None => "",
        };
        if json.is_empty() {
        } else if call.named {
            sink(Delta::ToolInput { call: number, json });
        } else {
            call.held.push_str(json);
        }
    }
}

/// A part of content that is a list, as Mistral's models write it.
fn content_part(part: &Node<'_>, sink: read::Sink<'_>) {
    if let Some(text) = read::text(part, "text") {
        sink(Delta::Text(text));
    }
    if let Some(text) = read::text(part, "thinking") {
        sink(Delta::Reasoning(text));
    }
    for inner in read::items(part, "thinking") {
        if let Some(text) = read::text(inner, "text") {
            sink(Delta::Reasoning(text));
        }
    }
}
