//! `classifier`: the encoder in this process, or a generative router behind an engine.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    catalog::{
        provider::Api,
        settings::{ChatClassifier, ChatFormat, Classifier, OnnxClassifier},
    },
    config::{
        provider::Providers,
        secret::Reader,
        source,
        value::{Times, Value},
    },
};

/// What the classifier is checked against.
pub(crate) struct World<'a> {
    /// Knows where relative paths start.
    pub(crate) secrets: &'a Reader<'a>,
    /// The providers that a generative router may be behind.
    pub(crate) providers: &'a Providers,
    /// Where a model is looked for that is not beside the main file.
    pub(crate) program_folders: &'a [PathBuf],
    /// Whether a model's folder must be there.
    pub(crate) must_exist: bool,
}

/// Reads `classifier`.
pub(crate) fn read(value: &Value<'_>, world: &World<'_>) -> Option<Classifier> {
    let mut fields = value.fields()?;
    let chat = fields.take("chat");
    let model = fields.take("model");
    let threads = fields.take("threads");
    let timeout = fields.take("timeout");
    fields.finish();
    if let Some(chat) = chat {
        for other in model.iter().chain(&threads).chain(&timeout) {
            other.fault("leave this out: `chat` is the classifier, with settings of its own");
        }
        return self::chat(&chat, world).map(Classifier::Chat);
    }
    let threads = threads.map_or(Some(1), |value| value.integer(&(1..=64)));
    let timeout = timeout.map_or(Some(Duration::from_millis(250)), |v| v.duration(Times::Positive));
    let folder = match &model {
        Some(model) => folder(model, model.filled_text()?, world),
        None => folder(value, "router-models/default", world),
    };
    Some(Classifier::Onnx(OnnxClassifier {
        folder: folder?,
        threads: usize::try_from(threads?).ok()?,
        timeout: timeout?,
    }))
}

/// The model's folder: beside the main file, else beside the program.
fn folder(value: &Value<'_>, raw: &str, world: &World<'_>) -> Option<PathBuf> {
    let beside = |base: &Path| source::join(base, Path::new(raw));
    let first = beside(world.secrets.base);
    let found = std::iter::once(first.clone())
        .chain(world.program_folders.iter().map(|folder| beside(folder)))
        .find(|folder| folder.is_dir());
    match found {
        Some(folder) => Some(folder),
        None if world.must_exist => value.wrong(format!(
            "there is no folder {raw}, neither beside this file nor beside the program"
        )),
        None => Some(first),
    }
}

fn chat(value: &Value<'_>, world: &World<'_>) -> Option<ChatClassifier> {
    const FORMATS: [(&str, ChatFormat); 2] = [
        ("arch-router", ChatFormat::ArchRouter),
        ("plano-orchestrator", ChatFormat::PlanoOrchestrator),
    ];
    let mut fields = value.fields()?;
    let provider = fields.require("provider");
    let model = fields.require("model").and_then(|value| value.filled_text());
    let timeout = fields.duration("timeout", Times::Positive, Duration::from_millis(500));
    let format = fields.take("format").and_then(|value| value.choice(&FORMATS));
    fields.finish();
    let provider_value = provider?;
    let provider = world.providers.find(provider_value.text()?, &provider_value.place)?;
    if provider.api == Api::Anthropic {
        provider_value.fault("must be a provider with `api: openai` or `api: openai-chat`");
    }
    let model = model?.to_owned();
    let format = format.unwrap_or_else(|| format_of(&model));
    Some(ChatClassifier { provider: provider.id.clone(), model, timeout, format })
}

fn format_of(model: &str) -> ChatFormat {
    if model.to_ascii_lowercase().contains("plano-orchestrator") {
        ChatFormat::PlanoOrchestrator
    } else {
        ChatFormat::ArchRouter
    }
}
