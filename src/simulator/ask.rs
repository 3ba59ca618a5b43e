//! What a request asks, read from any of the three APIs into one shape: only what an answer depends on.
//!
//! Lenient as a provider is: unknown fields are ignored, known ones must have their type.

use serde::Deserialize;
use serde_json::Value;

mod tool;
mod turn;

pub(super) use self::{
    tool::Wanted,
    turn::{Enclosed, Last},
};
use self::{
    tool::{Choice, Tool, ToolChoice},
    turn::{Content, Turn},
};
use crate::simulator::schema;

/// What a tool's result says before the names of tools that are to be called next.
const NEXT: &str = "next call:";

/// A request of any of the three APIs.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Ask {
    /// The model that it names.
    pub(super) model: String,
    /// Whether it wants a stream.
    #[serde(default)]
    pub(super) stream: bool,
    #[serde(default)]
    messages: Vec<Turn>,
    #[serde(default)]
    input: Option<Input>,
    #[serde(default)]
    system: Option<Content>,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default)]
    tools: Vec<Tool>,
    #[serde(default)]
    tool_choice: Option<ToolChoice>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    #[serde(default)]
    n: Option<u8>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    response_format: Option<Format>,
    #[serde(default)]
    text: Option<TextOptions>,
    #[serde(default)]
    output_config: Option<TextOptions>,
    #[serde(default)]
    stop: Option<Stops>,
    #[serde(default)]
    stop_sequences: Vec<String>,
    #[serde(default)]
    parallel_tool_calls: Option<bool>,
    #[serde(default)]
    reasoning_effort: Option<String>,
    #[serde(default)]
    reasoning: Option<Reasoning>,
    #[serde(default)]
    thinking: Option<Thinking>,
    #[serde(default)]
    include: Vec<String>,
    /// The answer that this request goes on from (Responses).
    #[serde(default)]
    pub(super) previous_response_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Turns(Vec<Turn>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stops {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Reasoning {
    #[serde(default)]
    effort: Option<String>,
    #[serde(default)]
    summary: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Thinking {
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct TextOptions {
    #[serde(default)]
    format: Option<Format>,
}

#[derive(Debug, Deserialize)]
struct Format {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    schema: Option<Value>,
    #[serde(default)]
    json_schema: Option<NamedSchema>,
}

#[derive(Debug, Deserialize)]
struct NamedSchema {
    #[serde(default)]
    schema: Option<Value>,
}

impl Ask {
    /// Reads a body; the error is the parser's text.
    #[expect(
        clippy::disallowed_methods,
        reason = "a simulated provider reads JSON as leniently as a real one"
    )]
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let ask: Self = serde_json::from_slice(body).map_err(|fault| fault.to_string())?;
        if ask.model.is_empty() {
            return Err("you must provide a model parameter".to_owned());
        }
        Ok(ask)
    }

    /// Whether it has a conversation to answer.
    pub(super) fn has_turns(&self) -> bool {
        !self.messages.is_empty() || self.input.is_some() || self.previous_response_id.is_some()
    }

    /// The most tokens that the answer may have.
    pub(super) fn max_output(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_output_tokens).or(self.max_tokens)
    }

    /// Whether `max_tokens` is set, which Anthropic demands.
    pub(super) fn has_max_tokens(&self) -> bool {
        self.max_tokens.is_some()
    }

    /// How many answers it wants, 1 to 8.
    pub(super) fn choices(&self) -> u8 {
        self.n.unwrap_or(1).clamp(1, 8)
    }

    /// Whether a chat stream ends with a chunk that says the usage.
    pub(super) fn include_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    /// Whether the answer must be JSON.
    pub(super) fn wants_json(&self) -> bool {
        self.format().is_some_and(|format| format.kind.starts_with("json"))
    }

    /// A JSON answer that fits the schema that was asked for, if there is one.
    pub(super) fn structured(&self) -> Option<String> {
        let format = self.format()?;
        let named = || format.json_schema.as_ref().and_then(|named| named.schema.as_ref());
        let schema = format.schema.as_ref().or_else(named)?;
        Some(schema::made_up(schema).to_string())
    }

    fn format(&self) -> Option<&Format> {
        let options = self.text.as_ref().or(self.output_config.as_ref());
        self.response_format
            .as_ref()
            .or_else(|| options.and_then(|options| options.format.as_ref()))
    }

    /// Whether it wants the model to think before it answers.
    pub(super) fn thinks(&self) -> bool {
        let effort = self.reasoning.as_ref().and_then(|reasoning| reasoning.effort.as_deref());
        let effort = effort.or(self.reasoning_effort.as_deref());
        effort.is_some_and(|effort| !matches!(effort, "none" | "minimal"))
            || self.thinking.as_ref().is_some_and(|thinking| thinking.kind != "disabled")
    }

    /// Whether it wants to read a summary of what was thought (Responses).
    pub(super) fn wants_summary(&self) -> bool {
        self.reasoning.as_ref().is_some_and(|reasoning| reasoning.summary.is_some())
    }

    /// Whether it wants what was thought sealed, to give it back later (Responses).
    pub(super) fn wants_sealed(&self) -> bool {
        self.include.iter().any(|field| field == "reasoning.encrypted_content")
    }

    /// The words at which the answer ends.
    pub(super) fn stops(&self) -> impl Iterator<Item = &str> {
        let own = match &self.stop {
            Some(Stops::One(stop)) => std::slice::from_ref(stop),
            Some(Stops::Several(stops)) => stops,
            None => &[],
        };
        own.iter().chain(&self.stop_sequences).map(String::as_str).filter(|stop| !stop.is_empty())
    }

    /// Pictures and files in the whole conversation.
    pub(super) fn enclosed(&self) -> Enclosed {
        let turns = match &self.input {
            Some(Input::Turns(turns)) => turns,
            Some(Input::Text(_)) | None => &self.messages,
        };
        let mut enclosed = Enclosed::default();
        for turn in turns {
            turn.enclosed(&mut enclosed);
        }
        enclosed
    }

    /// What the last turn says.
    pub(super) fn last(&self) -> Last {
        let turn = match &self.input {
            Some(Input::Text(text)) => return Last::User(text.clone()),
            Some(Input::Turns(turns)) => turns.last(),
            None => self.messages.last(),
        };
        turn.map_or(Last::Other, Turn::last)
    }

    /// The tools that the answer calls: those that the user's last words name, each as often as they do, or that
    /// `tool_choice` forces. A tool's result says after `next call:` which ones are next.
    pub(super) fn wanted(&self) -> Vec<Wanted> {
        let words = match self.last() {
            Last::User(words) => words,
            Last::Tool(given) => match given.split_once(NEXT) {
                Some((_, next)) => next.to_owned(),
                None => return Vec::new(),
            },
            Last::Other => return Vec::new(),
        };
        let forced = match Choice::of(self.tool_choice.as_ref()) {
            Choice::None => return Vec::new(),
            Choice::Free => None,
            Choice::Forced(name) => Some(name),
        };
        let mut calls: Vec<Wanted> = match forced {
            Some(Some(name)) => self
                .tools
                .iter()
                .filter(|tool| tool.name() == Some(name))
                .filter_map(Tool::call)
                .collect(),
            _ => self.tools.iter().flat_map(|tool| tool.calls(&words)).collect(),
        };
        if calls.is_empty() && forced.is_some() {
            calls.extend(self.tools.iter().find_map(Tool::call));
        }
        let alone = self.tool_choice.as_ref().is_some_and(ToolChoice::one_at_a_time);
        if alone || self.parallel_tool_calls == Some(false) {
            calls.truncate(1);
        }
        calls
    }

    /// Bytes of everything that the model reads.
    pub(super) fn bytes(&self) -> usize {
        let mut bytes = self.instructions.as_ref().map_or(0, String::len);
        bytes = bytes.saturating_add(self.system.as_ref().map_or(0, Content::bytes));
        let turns: &[Turn] = match &self.input {
            Some(Input::Text(text)) => return bytes.saturating_add(text.len()),
            Some(Input::Turns(turns)) => turns,
            None => &self.messages,
        };
        turns.iter().fold(bytes, |bytes, turn| bytes.saturating_add(turn.bytes()))
    }
}

/// `text` as a JSON string.
pub(super) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Ask {
        Ask::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn the_last_words_are_found_in_each_api() {
        let chat = read(r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#);
        let parts = read(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]}"#,
        );
        let plain = read(r#"{"model":"m","input":"hello"}"#);
        let items = read(
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"hello"}]}]}"#,
        );
        for ask in [chat, parts, plain, items] {
            assert_eq!(ask.last(), Last::User("hello".to_owned()));
            assert_eq!(ask.bytes(), 5);
        }
    }

    #[test]
    fn a_tools_result_is_not_a_users_words() {
        let chat = read(r#"{"model":"m","messages":[{"role":"tool","content":"42"}]}"#);
        let item = read(
            r#"{"model":"m","input":[{"type":"function_call_output","call_id":"c","output":"42"}]}"#,
        );
        let part = read(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"42"}]}]}"#,
        );
        for ask in [chat, item, part] {
            assert_eq!(ask.last(), Last::Tool("42".to_owned()));
        }
    }

    #[test]
    fn a_tool_is_called_when_it_is_named() {
        let tools = r#""tools":[{"type":"function","function":{"name":"weather","parameters":
            {"properties":{"city":{"type":"string"},"days":{"type":["integer","null"]},"metric":{"type":"boolean"}}}}},
            {"name":"clock","input_schema":{}}]"#;
        let asked = |words: &str, more: &str| {
            read(&format!(
                r#"{{"model":"m",{more}{tools},"messages":[{{"role":"user","content":"{words}"}}]}}"#
            ))
            .wanted()
        };
        let wanted = asked("use weather please", "");
        assert_eq!(wanted.len(), 1);
        assert_eq!(wanted[0].name, "weather");
        assert_eq!(wanted[0].arguments, r#"{"city":"simulated","days":1,"metric":true}"#);
        assert_eq!(asked("weather and clock", "").len(), 2);
        assert_eq!(asked("weather here, weather there", "").len(), 2);
        assert_eq!(asked("weather and clock", r#""parallel_tool_calls":false,"#).len(), 1);
        let one = r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true},"#;
        assert_eq!(asked("weather and clock", one).len(), 1);
        assert!(asked("hello", "").is_empty());
        assert!(asked("weather", r#""tool_choice":"none","#).is_empty());
        assert_eq!(asked("hello", r#""tool_choice":"required","#).len(), 1);
        let forced = asked("hello", r#""tool_choice":{"type":"tool","name":"clock"},"#);
        assert_eq!(forced[0].name, "clock");
    }

    #[test]
    fn a_tools_result_names_the_next_call() {
        let result = |text: &str| {
            let tools = r#""tools":[{"name":"clock","input_schema":{"type":"object"}}]"#;
            read(&format!(
                r#"{{"model":"m",{tools},"messages":[{{"role":"tool","content":"{text}"}}]}}"#
            ))
            .wanted()
        };
        assert!(result("the clock is slow").is_empty());
        assert_eq!(result("it is slow; next call: clock").len(), 1);
    }

    #[test]
    fn thinking_schemas_stops_and_pictures_are_found_in_each_api() {
        let thinks = |more: &str| read(&format!(r#"{{"model":"m",{more}}}"#)).thinks();
        assert!(thinks(r#""reasoning_effort":"low""#));
        assert!(thinks(r#""reasoning":{"effort":"high"}"#));
        assert!(thinks(r#""thinking":{"type":"enabled","budget_tokens":1024}"#));
        assert!(!thinks(r#""reasoning_effort":"none""#));
        assert!(!thinks(r#""thinking":{"type":"disabled"}"#));
        let schema = r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#;
        for more in [
            format!(
                r#""response_format":{{"type":"json_schema","json_schema":{{"schema":{schema}}}}}"#
            ),
            format!(r#""text":{{"format":{{"type":"json_schema","schema":{schema}}}}}"#),
            format!(r#""output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}"#),
        ] {
            let ask = read(&format!(r#"{{"model":"m",{more}}}"#));
            assert_eq!(ask.structured().as_deref(), Some(r#"{"a":1}"#));
        }
        let ask = read(
            r#"{"model":"m","stop":["a"],"stop_sequences":["b"],"messages":[{"role":"user","content":[
                {"type":"image"},{"type":"tool_result","content":[{"type":"image"},{"type":"document"}]}]}]}"#,
        );
        assert_eq!(ask.stops().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(ask.enclosed(), Enclosed { images: 2, files: 1 });
    }
}
