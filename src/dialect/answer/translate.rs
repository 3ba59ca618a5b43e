//! Between a decoder and an encoder: what is not the API's doing, but that of the request that was sent.
//!
//! A tool that was sent under another name gets the caller's back; a tool that stood for a structured answer becomes the
//! text that it was to be; every tool call gets an id that is the answer's only one, an input that is JSON even when it
//! is empty, and an end.

use std::collections::HashSet;

use crate::dialect::{
    Dialect,
    answer::{Heading, Terms, read},
    ir::answer::{Delta, Stop},
};

/// Turns a decoder's deltas into those that the caller is to see.
#[derive(Debug)]
pub(super) struct Adapter {
    structured_tool: Option<String>,
    tool_names: Vec<(String, String)>,
    calls: Vec<Call>,
    ids: HashSet<String>,
    losses: Vec<String>,
    heading: Heading,
    prefix: &'static str,
}

#[derive(Debug)]
struct Call {
    number: usize,
    /// Whether it is the structured answer.
    structured: bool,
    fed: bool,
    ended: bool,
}

impl Adapter {
    pub(super) fn new(terms: &Terms<'_>) -> Self {
        Self {
            structured_tool: terms.structured_tool.map(str::to_owned),
            tool_names: terms.tool_names.to_vec(),
            calls: Vec::new(),
            ids: HashSet::new(),
            losses: Vec::new(),
            heading: Heading::new(terms),
            prefix: match terms.caller {
                Dialect::Chat | Dialect::Responses => "call_",
                Dialect::Messages => "toolu_",
            },
        }
    }

    /// Passes on what a delta becomes.
    pub(super) fn adapt(&mut self, delta: Delta<'_>, sink: read::Sink<'_>) {
        match delta {
            Delta::ToolStart { call, id, name } => self.start(call, id, name, sink),
            Delta::ToolInput { call, json } => self.input(call, json, sink),
            Delta::ToolEnd { call } => self.finish(call, sink),
            Delta::Stop(Stop::ToolUse) if self.only_structured() => sink(Delta::Stop(Stop::End)),
            Delta::Lost { what, .. } => {
                if !self.losses.iter().any(|known| known == what) {
                    self.losses.push(what.to_owned());
                }
            }
            Delta::End => {
                let open: Vec<usize> = self.calls.iter().map(|call| call.number).collect();
                for call in open {
                    self.finish(call, sink);
                }
                sink(Delta::End);
            }
            Delta::Id(_) => {}
            Delta::Text(_)
            | Delta::Reasoning(_)
            | Delta::Refusal(_)
            | Delta::Usage(_)
            | Delta::Stop(_) => {
                sink(delta);
            }
        }
    }

    /// What was left out so far.
    pub(super) fn losses(&self) -> &[String] {
        &self.losses
    }

    /// What was left out.
    pub(super) fn into_losses(self) -> Vec<String> {
        self.losses
    }

    fn only_structured(&self) -> bool {
        !self.calls.is_empty() && self.calls.iter().all(|call| call.structured)
    }

    fn start(&mut self, number: usize, id: Option<&str>, name: &str, sink: read::Sink<'_>) {
        let structured = self.structured_tool.as_deref() == Some(name);
        self.calls.push(Call { number, structured, fed: false, ended: false });
        if structured {
            return;
        }
        let own = id.filter(|id| !self.ids.contains(*id)).map(str::to_owned);
        let id = own.unwrap_or_else(|| self.heading.item_id(self.prefix, number));
        let name =
            self.tool_names.iter().find(|(sent, _)| sent == name).map_or(name, |(_, own)| own);
        sink(Delta::ToolStart { call: number, id: Some(&id), name });
        self.ids.insert(id);
    }

    fn find(&mut self, number: usize) -> Option<&mut Call> {
        self.calls.iter_mut().rev().find(|call| call.number == number && !call.ended)
    }

    fn input(&mut self, number: usize, json: &str, sink: read::Sink<'_>) {
        let Some(call) = self.find(number) else { return };
        call.fed |= !json.trim_ascii().is_empty();
        sink(if call.structured {
            Delta::Text(json)
        } else {
            Delta::ToolInput { call: number, json }
        });
    }

    fn finish(&mut self, number: usize, sink: read::Sink<'_>) {
        let Some(call) = self.find(number) else { return };
        call.ended = true;
        let (fed, structured) = (call.fed, call.structured);
        if !fed {
            sink(if structured {
                Delta::Text("{}")
            } else {
                Delta::ToolInput { call: number, json: "{}" }
            });
        }
        if !structured {
            sink(Delta::ToolEnd { call: number });
        }
    }
}
