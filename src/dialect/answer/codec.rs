//! The three decoders and the three encoders, chosen by the API.

use bytes::BytesMut;

use crate::dialect::{
    Dialect,
    answer::{
        AnswerFault, Heading, read,
        trace::{Block, Identity, Place},
    },
    chat,
    ir::answer::{Delta, Whole},
    json::Node,
    messages,
    responses::{
        self,
        item::{Item, Kind},
    },
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
        let named = name(event);
        let kind = kind(event, root);
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

/// The name of an event, where its frame has one.
fn name(event: Option<&[u8]>) -> &str {
    event.and_then(|event| std::str::from_utf8(event).ok()).unwrap_or_default()
}

/// What an event is: its type, else the frame's name for it.
pub(super) fn kind<'e>(event: Option<&'e [u8]>, root: &'e Node<'_>) -> &'e str {
    read::text(root, "type").unwrap_or_else(|| name(event))
}

/// What ends a stream that says why it ended; a response says both in one event.
pub(super) const fn last_event(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::Chat => b"data: [DONE]\n\n",
        Dialect::Messages => b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        Dialect::Responses => b"",
    }
}

/// Writes the events of a stream.
#[derive(Debug, Clone)]
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

    /// Goes on with a stream that was relayed up to `place`, in which `said` was said and `sequence` comes next.
    pub(super) fn resumed(heading: Heading, place: &Place, said: &str, sequence: u64) -> Self {
        match place {
            Place::Chat(identity) => {
                let heading = known_as(heading, identity);
                Self::Chat(chat::stream::encode::Encoder::resumed(&heading))
            }
            Place::Messages(blocks) => {
                let open = blocks.open == Some(Block::Text);
                Self::Messages(messages::stream::encode::Encoder::resumed(
                    heading,
                    blocks.next,
                    open,
                ))
            }
            Place::Responses(output) => {
                let heading = known_as(heading, &output.identity);
                let mut items: Vec<Item> = output.done.iter().map(|json| Item::raw(json)).collect();
                let open = output.open.as_ref();
                items.extend(open.map(|open| {
                    let text = said.get(open.from..).unwrap_or_default();
                    Item { id: open.id.clone(), kind: Kind::message(text, "") }
                }));
                Self::Responses(responses::stream::encode::Encoder::resumed(
                    heading,
                    sequence,
                    items,
                    open.is_some(),
                ))
            }
        }
    }

    /// From here on the model goes by this name.
    pub(super) fn rename(&mut self, model: &str) {
        match self {
            Self::Chat(encoder) => encoder.rename(model),
            Self::Responses(encoder) => encoder.rename(model),
            // The name stands in the first event only.
            Self::Messages(_) => {}
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

fn known_as(mut heading: Heading, identity: &Identity) -> Heading {
    heading.own_id.clone_from(&identity.id);
    heading.created = identity.created.unwrap_or(heading.created);
    heading
}
