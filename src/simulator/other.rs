//! The endpoints besides the three dialects: embeddings, text completions, images, speech, counting, the model list.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    catalog::provider::Api,
    simulator::{
        Model,
        answer::hash,
        chat::CREATED,
        pace::{Event, Wire, frame},
    },
};

const DIMENSIONS: usize = 8;
const MOST_DIMENSIONS: usize = 4096;
/// One transparent pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// What these endpoints read of a body.
#[derive(Debug, Deserialize)]
pub(super) struct Plain {
    /// The model that is named.
    pub(super) model: String,
    #[serde(default)]
    input: Option<Texts>,
    #[serde(default)]
    prompt: Option<Texts>,
    #[serde(default)]
    dimensions: Option<usize>,
    /// Whether a stream is wanted.
    #[serde(default)]
    pub(super) stream: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
    Tokens(Vec<Value>),
}

impl Plain {
    /// Reads a body; the error is the parser's text.
    #[expect(
        clippy::disallowed_methods,
        reason = "a simulated provider reads JSON as leniently as a real one"
    )]
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|fault| fault.to_string())
    }

    fn texts(&self) -> Vec<String> {
        match self.input.as_ref().or(self.prompt.as_ref()) {
            Some(Texts::One(text)) => vec![text.clone()],
            Some(Texts::Many(texts)) => texts.clone(),
            Some(Texts::Tokens(tokens)) => vec![Value::from(tokens.clone()).to_string()],
            None => Vec::new(),
        }
    }

    fn tokens(&self) -> usize {
        let bytes = self.texts().iter().fold(0_usize, |sum, text| sum.saturating_add(text.len()));
        bytes.div_ceil(4)
    }
}

/// Embeddings: a made-up vector for each text, the same for the same text.
pub(super) fn embeddings(plain: &Plain) -> String {
    let width = plain.dimensions.unwrap_or(DIMENSIONS).min(MOST_DIMENSIONS);
    let data: Vec<Value> = plain
        .texts()
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let mut dice = fastrand::Rng::with_seed(hash(text.as_bytes()));
            let vector: Vec<f64> = (0..width).map(|_| dice.f64() - 0.5).collect();
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    let tokens = plain.tokens();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    json!({"object": "list", "data": data, "model": plain.model, "usage": usage}).to_string()
}

fn completion(plain: &Plain, number: u64, text: &str, finish: Option<&str>) -> Value {
    json!({
        "id": format!("cmpl-simulated{number:08x}"), "object": "text_completion", "created": CREATED,
        "model": plain.model,
        "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": finish}],
    })
}

/// A text completion, whole.
pub(super) fn completed(plain: &Plain, number: u64) -> String {
    let text = format!("[simulated {}] goes on from there.", plain.model);
    let mut body = completion(plain, number, &text, Some("stop"));
    let tokens = plain.tokens();
    if let Some(body) = body.as_object_mut() {
        let usage = json!({
            "prompt_tokens": tokens, "completion_tokens": 6, "total_tokens": tokens.saturating_add(6),
        });
        body.insert("usage".to_owned(), usage);
    }
    body.to_string()
}

/// A text completion as events.
pub(super) fn completing(plain: &Plain, number: u64) -> Wire {
    let text = format!("[simulated {}] goes on from there.", plain.model);
    let mut events: Vec<Event> = text
        .split_inclusive(' ')
        .map(|token| Event::Token(frame(None, &completion(plain, number, token, None).to_string())))
        .collect();
    let last = completion(plain, number, "", Some("stop"));
    events.push(Event::Coda(frame(None, &last.to_string())));
    events.push(Event::Done(frame(None, "[DONE]")));
    Wire { events, error: Bytes::new() }
}

/// An image of one pixel.
pub(super) fn image() -> String {
    let usage = json!({"input_tokens": 1, "output_tokens": 1, "total_tokens": 2});
    json!({"created": CREATED, "data": [{"b64_json": PIXEL}], "usage": usage}).to_string()
}

/// A tenth of a second of silence, as a WAV file.
pub(super) fn speech() -> Bytes {
    const SAMPLES: usize = 800;
    let mut wave = Vec::with_capacity(SAMPLES.saturating_add(44));
    wave.extend_from_slice(b"RIFF\x44\x03\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00");
    wave.extend_from_slice(b"\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x20\x03\x00\x00");
    wave.resize(wave.len().saturating_add(SAMPLES), 0x80);
    wave.into()
}

/// The count of a prompt's tokens, as Anthropic answers it.
pub(super) fn counted(tokens: u64) -> String {
    json!({"input_tokens": tokens}).to_string()
}

/// The list of models in the API's shape.
pub(super) fn models(api: Api, name: &str, models: &[Model]) -> String {
    let data: Vec<Value> = models.iter().map(|model| described(api, name, &model.id)).collect();
    match api {
        Api::Anthropic => {
            let first = models.first().map(|model| &model.id);
            let last = models.last().map(|model| &model.id);
            json!({"data": data, "has_more": false, "first_id": first, "last_id": last}).to_string()
        }
        Api::OpenAi | Api::OpenAiChat => json!({"object": "list", "data": data}).to_string(),
    }
}

/// One model in the API's shape.
pub(super) fn described(api: Api, name: &str, id: &str) -> Value {
    match api {
        Api::Anthropic => json!({
            "type": "model", "id": id, "display_name": format!("{id} (simulated)"),
            "created_at": "2026-01-01T00:00:00Z",
        }),
        Api::OpenAi | Api::OpenAiChat => {
            json!({"id": id, "object": "model", "created": CREATED, "owned_by": format!("simulated-{name}")})
        }
    }
}
