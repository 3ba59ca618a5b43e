//! Tools: what the model may call, and whether it must.

use std::borrow::Cow;

use super::Marker;

/// The tools and how they may be used.
#[derive(Debug, Clone, Default)]
pub struct Tools<'a> {
    /// The tools, in order.
    pub list: Vec<Tool<'a>>,
    /// Which of them the model must or may call.
    pub choice: Option<ToolChoice<'a>>,
    /// Whether several may be called at once; `None` when the caller did not say.
    pub parallel: Option<bool>,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool<'a> {
    /// What kind of tool it is.
    pub kind: ToolKind<'a>,
    /// Its name; for a built-in one that has none, its type.
    pub name: Cow<'a, str>,
    /// What it does.
    pub description: Option<Cow<'a, str>>,
    /// The JSON schema of its arguments, as the caller wrote it.
    pub schema: Option<&'a str>,
    /// Whether the arguments must follow the schema to the letter.
    pub strict: Option<bool>,
    /// A cache marker on it.
    pub cache: Option<Marker>,
}

/// What kind of tool it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolKind<'a> {
    /// The caller runs it; its arguments are a JSON object.
    Function,
    /// The caller runs it; its input is free text, which may be bound to a grammar.
    Custom(Option<Grammar<'a>>),
    /// The provider runs it or defines it: of this type, and of this API only.
    BuiltIn(Cow<'a, str>),
}

/// A grammar that a custom tool's input follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grammar<'a> {
    /// The language that it is written in: `lark`, `regex`.
    pub syntax: Cow<'a, str>,
    /// The grammar.
    pub definition: Cow<'a, str>,
}

/// Which tools the model must or may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    /// It decides.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(Cow<'a, str>),
    /// Any of these, at least one of them where `required`.
    Allowed {
        /// Whether one must be called.
        required: bool,
        /// Their names.
        names: Vec<Cow<'a, str>>,
    },
}
