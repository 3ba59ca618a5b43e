//! The tools of a request, in any of the three APIs, and which of them may or must be called.

use std::iter;

use serde::Deserialize;
use serde_json::Value;

use crate::simulator::schema;

/// The most calls of one tool in one answer.
const MOST_CALLS: usize = 4;

/// A tool on offer.
#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    function: Option<Function>,
    #[serde(default)]
    parameters: Option<Value>,
    #[serde(default)]
    input_schema: Option<Value>,
}

/// What chat says of a tool.
#[derive(Debug, Deserialize)]
pub(super) struct Function {
    name: String,
    #[serde(default)]
    parameters: Option<Value>,
}

/// `tool_choice`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ToolChoice {
    /// In a word.
    Word(String),
    /// By name, or in Anthropic's form.
    Named {
        /// `auto`, `any`, `tool`, `function`, `none`.
        #[serde(default, rename = "type")]
        kind: Option<String>,
        /// The tool, but in chat.
        #[serde(default)]
        name: Option<String>,
        /// The tool, in chat.
        #[serde(default)]
        function: Option<Function>,
        /// At most one call.
        #[serde(default)]
        disable_parallel_tool_use: bool,
    },
}

/// What `tool_choice` leaves to the model.
pub(super) enum Choice<'a> {
    /// Everything.
    Free,
    /// No call.
    None,
    /// A call: of this tool, or of any.
    Forced(Option<&'a str>),
}

/// A tool that the answer calls, with arguments made up from its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::simulator) struct Wanted {
    /// The tool's name.
    pub(in crate::simulator) name: String,
    /// Its arguments, a JSON object.
    pub(in crate::simulator) arguments: String,
}

impl<'a> Choice<'a> {
    /// What `choice` leaves to the model.
    pub(super) fn of(choice: Option<&'a ToolChoice>) -> Self {
        match choice {
            Some(ToolChoice::Word(word)) if word == "none" => Self::None,
            Some(ToolChoice::Word(word)) if word == "required" => Self::Forced(None),
            Some(ToolChoice::Named { kind, name, function, .. }) => {
                let name = name.as_deref().or(function.as_ref().map(|function| &*function.name));
                match kind.as_deref() {
                    Some("none") => Self::None,
                    Some("any") => Self::Forced(None),
                    _ => name.map_or(Self::Free, |name| Self::Forced(Some(name))),
                }
            }
            Some(ToolChoice::Word(_)) | None => Self::Free,
        }
    }
}

impl ToolChoice {
    /// Whether there may be one call at most.
    pub(super) fn one_at_a_time(&self) -> bool {
        match self {
            Self::Named { disable_parallel_tool_use, .. } => *disable_parallel_tool_use,
            Self::Word(_) => false,
        }
    }
}

impl Tool {
    /// Its name.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref().or(self.function.as_ref().map(|function| &*function.name))
    }

    /// A call of it.
    pub(super) fn call(&self) -> Option<Wanted> {
        let name = self.name()?.to_owned();
        let function = self.function.as_ref().and_then(|function| function.parameters.as_ref());
        let schema = function.or(self.parameters.as_ref()).or(self.input_schema.as_ref());
        let arguments = schema.map(schema::made_up).filter(Value::is_object);
        let arguments =
            arguments.map_or_else(|| "{}".to_owned(), |arguments| arguments.to_string());
        Some(Wanted { name, arguments })
    }

    /// One call for each time that `words` name it.
    pub(super) fn calls(&self, words: &str) -> impl Iterator<Item = Wanted> {
        let inside = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
        let named = words.split(|letter| !inside(letter)).filter(|word| Some(*word) == self.name());
        let times = named.count().min(MOST_CALLS);
        iter::repeat_with(|| self.call()).take(times).flatten()
    }
}
