//! How much a tree holds: counted as it is read, so that it ends before it is too much.

use crate::config::raw::{Node, Shape};

/// The most values of one file, aliases expanded.
const MOST_VALUES: usize = 200_000;

/// The most text of one file, aliases expanded, in bytes.
const MOST_TEXT: usize = 16 << 20;

/// How much a value holds.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    /// Values, itself among them.
    pub(super) values: usize,
    /// Bytes of text.
    pub(super) text: usize,
}

impl Size {
    /// Both together, or why that is too much.
    pub(super) fn with(self, more: Self) -> Result<Self, String> {
        let values = self.values.saturating_add(more.values);
        let text = self.text.saturating_add(more.text);
        if values > MOST_VALUES {
            return Err(format!("more than {MOST_VALUES} values, aliases expanded"));
        }
        if text > MOST_TEXT {
            return Err(format!("more than {MOST_TEXT} bytes of text, aliases expanded"));
        }
        Ok(Self { values, text })
    }

    /// What came after `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            values: self.values.saturating_sub(before.values),
            text: self.text.saturating_sub(before.text),
        }
    }
}

/// How many lists and mappings stand inside of each other.
pub(super) fn height(node: &Node) -> usize {
    let inside = match &node.shape {
        Shape::Null | Shape::Scalar { .. } => return 0,
        Shape::List(items) => items.iter().map(height).max(),
        Shape::Map(entries) => entries.iter().map(|entry| height(&entry.value)).max(),
    };
    inside.unwrap_or_default().saturating_add(1)
}
