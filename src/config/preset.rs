//! Routers that ship: texts to copy, to name, or to offer.

/// A router that ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The router's name.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
}

/// All of them, by name.
pub const PRESETS: [Preset; 4] = [
    Preset { name: "general", text: include_str!("../../policies/general.yaml") },
    Preset {
        name: "knowledge-base-document",
        text: include_str!("../../policies/knowledge-base-document.yaml"),
    },
    Preset {
        name: "software-engineering",
        text: include_str!("../../policies/software-engineering.yaml"),
    },
    Preset { name: "writing", text: include_str!("../../policies/writing.yaml") },
];

/// The task library that ships.
pub const TASKS: &str = crate::config::task::BUILT_IN;
