//! `model.json`: what the folder of a model holds, and the numbers that turn its output into probabilities.
//!
//! Every file is pinned by size and digest, because a model that is half copied or half replaced still runs, and is
//! wrong in ways that nobody sees.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    thread,
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::classifier::{
    ClassifierFault,
    onnx::{encoder::WIDTH, window},
};

/// The version of the folder's form that this program reads.
const FORMAT: u32 = 1;
/// The manifest's own name.
const NAME: &str = "model.json";
/// The longest manifest, in bytes.
const MAX_MANIFEST: u64 = 64 << 10;
/// The files of a model.
const FILES: [&str; 5] =
    ["encoder.onnx", "words.bin", "pieces.bin", "tokenizer.json", "golden.json"];
/// The largest of them, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// What `model.json` says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    /// For people.
    #[serde(rename = "name")]
    _name: String,
    token_rule: u32,
    window_tokens: usize,
    task_tokens: usize,
    width: usize,
    /// What the product of two unit vectors is multiplied by.
    pub(super) scale: f64,
    /// The most that examples weigh against a task's own text.
    pub(super) examples_weight: f64,
    /// Added to the logit of *none*.
    pub(super) none_offset: f64,
    /// What the logits are divided by.
    pub(super) temperature: f64,
    /// `none_offset` for a router all of whose tasks have examples, where that is another.
    examples_none_offset: Option<f64>,
    /// `temperature` for a router all of whose tasks have examples, where that is another.
    examples_temperature: Option<f64>,
    /// The least probability of a match.
    pub(super) threshold: f64,
    files: BTreeMap<String, Pinned>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    bytes: u64,
    sha256: String,
}

/// What makes probabilities of logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Calibration {
    /// Added to the logit of *none*.
    pub(super) none_offset: f64,
    /// What the logits are divided by.
    pub(super) temperature: f64,
}

impl Manifest {
    /// The calibration of a router of whose tasks this share, from 0 to 1, has examples: they bring a conversation and
    /// its task nearer, so what a logit means lies between what it means without any and with all of them.
    pub(super) fn calibration(&self, with_examples: f64) -> Calibration {
        let between = |without: f64, with: Option<f64>| {
            without + (with.unwrap_or(without) - without) * with_examples
        };
        Calibration {
            none_offset: between(self.none_offset, self.examples_none_offset),
            temperature: between(self.temperature, self.examples_temperature),
        }
    }

    /// Reads and judges the manifest in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, ClassifierFault> {
        let path = folder.join(NAME);
        let text = read_text(&path, MAX_MANIFEST)?;
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| fault(&path, error.to_string()))?;
        match manifest.mistake() {
            Some(text) => Err(fault(&path, text)),
            None => Ok(manifest),
        }
    }

    fn mistake(&self) -> Option<String> {
        let expected = [
            ("format", u64::from(self.format), u64::from(FORMAT)),
            ("token_rule", u64::from(self.token_rule), u64::from(window::VERSION)),
            ("window_tokens", as_u64(self.window_tokens), as_u64(window::WINDOW)),
            ("task_tokens", as_u64(self.task_tokens), as_u64(window::TASK)),
            ("width", as_u64(self.width), as_u64(WIDTH)),
        ];
        for (name, found, known) in expected {
            if found != known {
                return Some(format!("{name} is {found}; this program knows {known}"));
            }
        }
        let all_examples = self.calibration(1.0);
        let offsets = [self.scale, self.none_offset, all_examples.none_offset];
        let temperatures = [self.temperature, all_examples.temperature];
        let sound = offsets.iter().all(|number| number.is_finite())
            && temperatures.iter().all(|number| number.is_finite() && *number > 0.0)
            && (0.0..=1.0).contains(&self.threshold)
            && (0.0..=1.0).contains(&self.examples_weight);
        if !sound {
            return Some(
                "scale, an offset, a temperature, threshold or examples_weight is out of range"
                    .to_owned(),
            );
        }
        if !self.files.keys().map(String::as_str).eq(sorted(FILES)) {
            return Some(format!("files must be {}", FILES.join(", ")));
        }
        None
    }

    /// Verifies every file, each on a thread of its own. The first that is wrong is named.
    pub(super) fn verify(&self, folder: &Path) -> Result<(), ClassifierFault> {
        thread::scope(|scope| {
            let threads: Vec<_> = self
                .files
                .iter()
                .map(|(name, pinned)| scope.spawn(move || verify(&folder.join(name), pinned)))
                .collect();
            threads.into_iter().try_for_each(|thread| {
                let panicked = |_| ClassifierFault::Thread("a digest panicked".to_owned());
                thread.join().map_err(panicked)?
            })
        })
    }
}

fn verify(path: &Path, pinned: &Pinned) -> Result<(), ClassifierFault> {
    let unreadable = |error: std::io::Error| fault(path, error.to_string());
    let mut file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    if bytes != pinned.bytes {
        return Err(fault(path, format!("has {bytes} bytes, model.json says {}", pinned.bytes)));
    }
    let mut digest = Sha256::new();
    let mut buffer = vec![0_u8; 256 << 10];
    loop {
        let read = file.read(&mut buffer).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        digest.update(buffer.get(..read).unwrap_or_default());
    }
    let found = digest.finalize();
    if hexadecimal(&found) == pinned.sha256 {
        Ok(())
    } else {
        Err(fault(path, "its SHA-256 is not the one in model.json".to_owned()))
    }
}

/// The bytes of a file of the model.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, ClassifierFault> {
    let unreadable = |error: std::io::Error| fault(path, error.to_string());
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_FILE {
        return Err(fault(path, format!("has {bytes} bytes, more than {MAX_FILE}")));
    }
    fs::read(path).map_err(unreadable)
}

/// The text of a file of the model, of at most `limit` bytes.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String, ClassifierFault> {
    let bytes = read_file(path)?;
    if as_u64(bytes.len()) > limit {
        return Err(fault(path, format!("is longer than {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| fault(path, "is not UTF-8".to_owned()))
}

/// A fault of the file at `path`.
pub(super) fn fault(path: &Path, text: String) -> ClassifierFault {
    ClassifierFault::Model { path: PathBuf::from(path), text }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn sorted(mut names: [&'static str; 5]) -> [&'static str; 5] {
    names.sort_unstable();
    names
}
