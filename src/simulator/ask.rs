//! What a request asks, read from any of the three APIs into one shape: only what an answer depends on.
//!
//! Lenient as a provider is: unknown fields are ignored, known ones must have their type.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

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
struct Turn {
    #[serde(default)]
    role: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    output: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    content: Option<Box<Content>>,
}

#[derive(Debug, Deserialize)]
struct Tool {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    function: Option<Function>,
    #[serde(default)]
    parameters: Option<Schema>,
    #[serde(default)]
    input_schema: Option<Schema>,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    parameters: Option<Schema>,
}

/// Of a tool's JSON schema: what is needed to make up arguments.
#[derive(Debug, Default, Deserialize)]
struct Schema {
    #[serde(default)]
    properties: BTreeMap<String, Property>,
}

#[derive(Debug, Deserialize)]
struct Property {
    #[serde(default, rename = "type")]
    kind: Option<Kind>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Kind {
    Name(String),
    Other(IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ToolChoice {
    Word(String),
    Named {
        #[serde(default, rename = "type")]
        kind: Option<String>,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        function: Option<Function>,
    },
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
}

/// A tool that the answer calls, with arguments made up from its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The tool's name.
    pub(super) name: String,
    /// Its arguments, a JSON object.
    pub(super) arguments: String,
}

/// What the last turn says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// A user's words.
    User(String),
    /// What a tool gave.
    Tool(String),
    /// Neither.
    Other,
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
        let text = self.text.as_ref().and_then(|text| text.format.as_ref());
        let format = self.response_format.as_ref().or(text);
        format.is_some_and(|format| format.kind.starts_with("json"))
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

    /// The tools that the answer calls: those that the user's last words name, or that `tool_choice` forces.
    pub(super) fn wanted(&self) -> Vec<Wanted> {
        let Last::User(words) = self.last() else { return Vec::new() };
        let forced = match &self.tool_choice {
            Some(ToolChoice::Word(word)) if word == "none" => return Vec::new(),
            Some(ToolChoice::Word(word)) => (word == "required").then_some(None),
            Some(ToolChoice::Named { kind, name, function }) => {
                let name = name.as_deref().or(function.as_ref().map(|function| &*function.name));
                match kind.as_deref() {
                    Some("none") => return Vec::new(),
                    Some("any") => Some(None),
                    _ => name.map(Some),
                }
            }
            None => None,
        };
        let named: Vec<Wanted> = self
            .tools
            .iter()
            .filter(|tool| match forced {
                Some(Some(name)) => tool.name() == Some(name),
                _ => tool.name().is_some_and(|name| words.contains(name)),
            })
            .filter_map(Tool::call)
            .collect();
        if named.is_empty() && forced.is_some() {
            return self.tools.iter().take(1).filter_map(Tool::call).collect();
        }
        named
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

impl Turn {
    fn last(&self) -> Last {
        let said = self.content.as_ref().map(Content::words).unwrap_or_default();
        match (self.role.as_deref(), self.kind.as_deref()) {
            (_, Some("function_call_output")) => {
                Last::Tool(self.output.as_ref().map(Content::words).unwrap_or_default())
            }
            (Some("tool"), _) => Last::Tool(said),
            (Some("user"), _) => {
                self.content.as_ref().and_then(Content::tool_result).unwrap_or(Last::User(said))
            }
            _ => Last::Other,
        }
    }

    fn bytes(&self) -> usize {
        let content = self.content.as_ref().map_or(0, Content::bytes);
        content.saturating_add(self.output.as_ref().map_or(0, Content::bytes))
    }
}

impl Content {
    /// The text of it, parts joined by spaces.
    fn words(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => {
                let texts: Vec<&str> =
                    parts.iter().filter_map(|part| part.text.as_deref()).collect();
                texts.join(" ")
            }
        }
    }

    /// What a tool gave, where this is nothing but tools' results.
    fn tool_result(&self) -> Option<Last> {
        let Self::Parts(parts) = self else { return None };
        let mut results = parts.iter().filter(|part| part.kind == "tool_result").peekable();
        results.peek()?;
        if parts.iter().any(|part| part.kind == "text") {
            return None;
        }
        let given: Vec<String> = results
            .filter_map(|part| part.content.as_ref())
            .map(|content| content.words())
            .collect();
        Some(Last::Tool(given.join(" ")))
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Parts(parts) => parts.iter().fold(0, |bytes, part| {
                let text = part.text.as_ref().map_or(0, String::len);
                let inner = part.content.as_ref().map_or(0, |content| content.bytes());
                bytes.saturating_add(text).saturating_add(inner)
            }),
        }
    }
}

impl Tool {
    fn name(&self) -> Option<&str> {
        self.name.as_deref().or(self.function.as_ref().map(|function| &*function.name))
    }

    fn call(&self) -> Option<Wanted> {
        let name = self.name()?.to_owned();
        let function = self.function.as_ref().and_then(|function| function.parameters.as_ref());
        let schema = function.or(self.parameters.as_ref()).or(self.input_schema.as_ref());
        let members: Vec<String> = schema
            .iter()
            .flat_map(|schema| &schema.properties)
            .map(|(name, property)| format!("{}:{}", quote(name), property.made_up()))
            .collect();
        Some(Wanted { name, arguments: format!("{{{}}}", members.join(",")) })
    }
}

impl Property {
    fn made_up(&self) -> &'static str {
        match &self.kind {
            Some(Kind::Name(kind)) => match kind.as_str() {
                "number" | "integer" => "1",
                "boolean" => "true",
                "array" => "[]",
                "object" => "{}",
                _ => "\"simulated\"",
            },
            Some(Kind::Other(_)) | None => "\"simulated\"",
        }
    }
}

/// `text` as a JSON string.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
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
        assert_eq!(wanted[0].arguments, r#"{"city":"simulated","days":"simulated","metric":true}"#);
        assert_eq!(asked("weather and clock", "").len(), 2);
        assert!(asked("hello", "").is_empty());
        assert!(asked("weather", r#""tool_choice":"none","#).is_empty());
        assert_eq!(asked("hello", r#""tool_choice":"required","#).len(), 1);
        let forced = asked("hello", r#""tool_choice":{"type":"tool","name":"clock"},"#);
        assert_eq!(forced[0].name, "clock");
    }
}
