//! The turns of a conversation, in any of the three APIs: what was said last, and what came with it.

use serde::Deserialize;

/// A message, or an item of Responses.
#[derive(Debug, Deserialize)]
pub(super) struct Turn {
    #[serde(default)]
    role: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    output: Option<Content>,
}

/// What a turn holds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    /// Words.
    Text(String),
    /// Words and other things.
    Parts(Vec<Part>),
}

/// A piece of a turn.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    content: Option<Box<Content>>,
}

/// What the last turn says.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Last {
    /// A user's words.
    User(String),
    /// What a tool gave.
    Tool(String),
    /// Neither.
    Other,
}

/// What a conversation has besides words.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) struct Enclosed {
    /// Pictures.
    pub(in crate::simulator) images: usize,
    /// Documents and other files.
    pub(in crate::simulator) files: usize,
}

impl Turn {
    /// What it says, were it the last one.
    pub(super) fn last(&self) -> Last {
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

    /// Counts what comes with it.
    pub(super) fn enclosed(&self, enclosed: &mut Enclosed) {
        for content in [&self.content, &self.output].into_iter().flatten() {
            content.enclosed(enclosed);
        }
    }

    /// Bytes of its text.
    pub(super) fn bytes(&self) -> usize {
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

    fn enclosed(&self, enclosed: &mut Enclosed) {
        let Self::Parts(parts) = self else { return };
        for part in parts {
            match part.kind.as_str() {
                "image" | "image_url" | "input_image" => {
                    enclosed.images = enclosed.images.saturating_add(1);
                }
                "document" | "file" | "input_file" => {
                    enclosed.files = enclosed.files.saturating_add(1);
                }
                _ => {}
            }
            if let Some(content) = &part.content {
                content.enclosed(enclosed);
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

    /// Bytes of its text.
    pub(super) fn bytes(&self) -> usize {
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
