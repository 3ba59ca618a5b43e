//! Golden vectors: what the exporter's own run made of known texts, and what this program must make of them too.
//!
//! Token ids must be equal. Vectors may differ by what another processor rounds otherwise: the graph's products are
//! integers that come out the same everywhere (its weights have seven bits, so that nothing saturates), which leaves
//! float32 sums. A cosine distance of a thousandth is far above that, and far below what a wrong tokenizer, a wrong
//! layer or another model's weights make of it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{
    classifier::{
        ClassifierFault,
        onnx::{
            encoder::{Encoder, Kind},
            manifest::{fault, read_text},
            tokenize::Tokenizer,
            window::{self, Tokens},
        },
    },
    classify::Unclassified,
    conversation::Conversation,
};

/// The longest `golden.json`, in bytes.
const MAX_GOLDEN: u64 = 4 << 20;
/// How far a vector may be from its golden one: 1 − cosine.
const MAX_DISTANCE: f64 = 1e-3;
/// How far the logit of *none* may be from its golden one.
const MAX_NONE: f64 = 0.1;

/// The content of `golden.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Golden {
    #[serde(skip)]
    path: PathBuf,
    /// How many of each kind run through the encoder at every start.
    pub(super) load_checked: usize,
    conversations: Vec<GoldenConversation>,
    tasks: Vec<GoldenTask>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenConversation {
    messages: Vec<Message>,
    ids: Vec<i64>,
    types: Vec<i64>,
    vector: Vec<f32>,
    none: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenTask {
    text: String,
    ids: Vec<i64>,
    types: Vec<i64>,
    vector: Vec<f32>,
    #[serde(rename = "none")]
    _none: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    role: String,
    content: String,
}

impl Golden {
    /// Reads `golden.json`.
    pub(super) fn read(folder: &Path) -> Result<Self, ClassifierFault> {
        let path = folder.join("golden.json");
        let text = read_text(&path, MAX_GOLDEN)?;
        let golden: Self =
            serde_json::from_str(&text).map_err(|error| fault(&path, error.to_string()))?;
        if golden.conversations.is_empty() || golden.tasks.is_empty() || golden.load_checked == 0 {
            return Err(fault(&path, "holds nothing to check".to_owned()));
        }
        Ok(Self { path, ..golden })
    }

    /// Every token of every case.
    pub(super) fn check_tokens(&self, tokenizer: &Tokenizer) -> Result<(), ClassifierFault> {
        for (index, case) in self.conversations.iter().enumerate() {
            let found = window::conversation(&case.conversation(), tokenizer);
            self.same_tokens(&format!("conversation {index}"), found, (&case.ids, &case.types))?;
        }
        for (index, case) in self.tasks.iter().enumerate() {
            let found = window::task(&case.text, tokenizer);
            self.same_tokens(&format!("task {index}"), found, (&case.ids, &case.types))?;
        }
        Ok(())
    }

    /// The vectors of the first `count` cases of each kind.
    pub(super) fn check_vectors(
        &self,
        encoder: &mut Encoder,
        count: usize,
    ) -> Result<(), ClassifierFault> {
        for (index, case) in self.conversations.iter().take(count).enumerate() {
            let what = format!("conversation {index}");
            let none = self.same_vector(
                &what,
                encoder,
                (case.tokens(), Kind::Conversation),
                &case.vector,
            )?;
            if (none - case.none).abs() > MAX_NONE {
                return Err(self.wrong(&what, "another logit of none"));
            }
        }
        for (index, case) in self.tasks.iter().take(count).enumerate() {
            let what = format!("task {index}");
            self.same_vector(&what, encoder, (case.tokens(), Kind::Task), &case.vector)?;
        }
        Ok(())
    }

    fn same_tokens(
        &self,
        what: &str,
        found: Result<Tokens, Unclassified>,
        (ids, types): (&[i64], &[i64]),
    ) -> Result<(), ClassifierFault> {
        match found {
            Ok(found) if found.ids == ids && found.types == types => Ok(()),
            Ok(_) => Err(self.wrong(what, "other tokens")),
            Err(error) => Err(self.wrong(what, &error.to_string())),
        }
    }

    fn same_vector(
        &self,
        what: &str,
        encoder: &mut Encoder,
        (tokens, kind): (Tokens, Kind),
        golden: &[f32],
    ) -> Result<f64, ClassifierFault> {
        let found =
            encoder.run(&tokens, kind).map_err(|error| self.wrong(what, &error.to_string()))?;
        if distance(&found.vector, golden) <= MAX_DISTANCE {
            Ok(f64::from(found.none))
        } else {
            Err(self.wrong(what, "another vector"))
        }
    }

    fn wrong(&self, what: &str, how: &str) -> ClassifierFault {
        fault(&self.path, format!("the model does not reproduce {what}: {how}"))
    }
}

impl GoldenConversation {
    fn conversation(&self) -> Conversation {
        let turns =
            self.messages.iter().map(|said| (said.role.as_str(), vec![said.content.clone()]));
        Conversation::from_turns(turns)
    }

    fn tokens(&self) -> Tokens {
        Tokens { ids: self.ids.clone(), types: self.types.clone(), truncated: false }
    }
}

impl GoldenTask {
    fn tokens(&self) -> Tokens {
        Tokens { ids: self.ids.clone(), types: self.types.clone(), truncated: false }
    }
}

/// 1 − cosine; more than any limit where the two cannot be compared.
fn distance(one: &[f32], other: &[f32]) -> f64 {
    if one.len() != other.len() {
        return f64::INFINITY;
    }
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let lengths = product(one, one).sqrt() * product(other, other).sqrt();
    if lengths > 0.0 { 1.0 - product(one, other) / lengths } else { f64::INFINITY }
}
