//! The three decoders and the three encoders, chosen by the API.

use bytes::BytesMut;

use crate::dialect::{
    Dialect,
    answer::{AnswerFault, Heading, read},
    chat,
    ir::answer::{Delta, Whole},
    json::Node,
    messages, responses,
};

/// Reads a whole answer as deltas.
pub(super) fn decode(
    dialect: Dialect,
    root: &Node<'_>,
    source: &str,
    sink: read::Sink<'_>,
) -> Result<(), AnswerFault> {
    if root.as_object().is_none() {
        return Err(read::malformed("an answer that is not an object"));
    }
    match dialect {
        Dialect::Chat => chat::answer::decode(root, source, sink),
        Dialect::Responses => responses::answer::decode(root, source, sink),
        Dialect::Messages => messages::answer::decode(root, source, sink),
    }
}

/// Writes a whole answer.
pub(super) fn encode(
    dialect: Dialect,
    whole: &Whole,
    heading: &Heading,
) -> Result<String, AnswerFault> {
    Ok(match dialect {
        Dialect::Chat => chat::answer::encode(whole, heading),
        Dialect::Responses => responses::answer::encode(whole, heading),
        Dialect::Messages => messages::answer::encode(whole, heading)?,
    })
}

/// Reads the events of a stream.
#[derive(Debug)]
pub(super) enum Decoder {
    Chat(chat::stream::Decoder),
    Responses(responses::stream::Decoder),
    Messages(messages::stream::Decoder),
}

impl Decoder {
    pub(super) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Chat => Self::Chat(chat::stream::Decoder::default()),
            Dialect::Responses => Self::Responses(responses::stream::Decoder::default()),
            Dialect::Messages => Self::Messages(messages::stream::Decoder::default()),
        }
    }

    /// Reads one event: its name, where the frame has one, and its data.
    pub(super) fn read(
        &mut self,
        event: Option<&[u8]>,
        root: &Node<'_>,
        source: &str,
        sink: read::Sink<'_>,
    ) -> Result<(), AnswerFault> {
        if root.as_object().is_none() {
            return Err(read::malformed("an event that is not an object"));
        }
        let named = event.and_then(|event| std::str::from_utf8(event).ok()).unwrap_or_default();
        let kind = read::text(root, "type").unwrap_or(named);
        match self {
            Self::Chat(_) if named == "error" => Err(read::in_band(root)),
            Self::Chat(decoder) => decoder.read(root, source, sink),
            Self::Responses(decoder) => decoder.read(kind, root, source, sink),
            Self::Messages(decoder) => decoder.read(kind, root, source, sink),
        }
    }

    /// Whether the answer is whole although its API's last event has not come.
    pub(super) fn finished(&self) -> bool {
        match self {
            Self::Chat(decoder) => decoder.finished(),
            Self::Responses(_) | Self::Messages(_) => false,
        }
    }
}

/// Writes the events of a stream.
#[derive(Debug)]
pub(super) enum Encoder {
    Chat(chat::stream::encode::Encoder),
    Responses(responses::stream::encode::Encoder),
    Messages(messages::stream::encode::Encoder),
}

impl Encoder {
    pub(super) fn new(dialect: Dialect, heading: Heading) -> Self {
        match dialect {
            Dialect::Chat => Self::Chat(chat::stream::encode::Encoder::new(&heading)),
            Dialect::Responses => Self::Responses(responses::stream::encode::Encoder::new(heading)),
            Dialect::Messages => Self::Messages(messages::stream::encode::Encoder::new(heading)),
        }
    }

    pub(super) fn write(&mut self, delta: &Delta<'_>, out: &mut BytesMut) {
        match self {
            Self::Chat(encoder) => encoder.write(delta, out),
            Self::Responses(encoder) => encoder.write(delta, out),
            Self::Messages(encoder) => encoder.write(delta, out),
        }
    }

    /// The number that the next Responses event has.
    pub(super) const fn sequence(&self) -> u64 {
        match self {
            Self::Responses(encoder) => encoder.sequence(),
            Self::Chat(_) | Self::Messages(_) => 0,
        }
    }
}
