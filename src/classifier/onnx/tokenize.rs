//! Text to token ids, as the encoder was trained on.
//!
//! Normalizer and pre-tokenizer are the published ones, run by the `tokenizers` crate. Its vocabulary is not used: it
//! takes 250 MB (see `pieces`). Special tokens cannot be written: a user's `</s>` is four ordinary characters.

use std::path::Path;

use serde::Deserialize;
use tokenizers::{
    NormalizedString, Normalizer as _, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper,
};

use crate::{
    classifier::{
        ClassifierFault,
        onnx::{
            manifest::{fault, read_text},
            pieces::Pieces,
        },
    },
    classify::Unclassified,
};

/// The longest `tokenizer.json`, in bytes.
const MAX_TOKENIZER: u64 = 4 << 20;

/// Text to token ids.
pub(super) struct Tokenizer {
    normalizer: NormalizerWrapper,
    splitter: PreTokenizerWrapper,
    pieces: Pieces,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    normalizer: NormalizerWrapper,
    #[serde(rename = "pre_tokenizer")]
    splitter: PreTokenizerWrapper,
}

impl Tokenizer {
    /// Reads `tokenizer.json` and `pieces.bin`.
    pub(super) fn load(folder: &Path) -> Result<Self, ClassifierFault> {
        let path = folder.join("tokenizer.json");
        let text = read_text(&path, MAX_TOKENIZER)?;
        let Published { normalizer, splitter } =
            serde_json::from_str(&text).map_err(|error| fault(&path, error.to_string()))?;
        let pieces = Pieces::load(&folder.join("pieces.bin"))?;
        Ok(Self { normalizer, splitter, pieces })
    }

    /// The token ids of `text`, without any special ones.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, Unclassified> {
        let down = |error: tokenizers::Error| Unclassified::Down(format!("tokenizer: {error}"));
        let mut normalized = NormalizedString::from(text);
        self.normalizer.normalize(&mut normalized).map_err(down)?;
        let mut words = PreTokenizedString::from(normalized);
        self.splitter.pre_tokenize(&mut words).map_err(down)?;
        let mut ids = Vec::new();
        for (word, _, _) in words.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            self.pieces.split(word, &mut ids);
        }
        Ok(ids)
    }
}
