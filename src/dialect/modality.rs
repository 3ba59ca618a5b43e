//! The kinds of content that a message may hold and a model may read.

/// The kinds of content that a model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a set of named kinds; each is asked for by name"
)]
pub struct Modalities {
    /// Text.
    pub text: bool,
    /// Images.
    pub image: bool,
    /// Audio.
    pub audio: bool,
    /// Documents, such as PDF files.
    pub document: bool,
}

impl Modalities {
    /// Text alone.
    pub const TEXT: Self = Self { text: true, image: false, audio: false, document: false };
}
