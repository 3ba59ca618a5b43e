//! A configuration of the program, and the folder that it lies in.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// What every provider's credential begins with, and with it every other secret of a test: seen outside, a leak.
pub(crate) const CANARY: &str = "sk-CANARY-";

/// A configuration that grows by what a test needs.
#[derive(Clone)]
pub(crate) struct Setup {
    providers: String,
    models: String,
    head: String,
    files: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    descriptors: Option<u32>,
}

impl Setup {
    /// Free ports, nothing else.
    pub(crate) fn new() -> Self {
        Self {
            providers: String::new(),
            models: String::new(),
            head: "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n".to_owned(),
            files: Vec::new(),
            environment: Vec::new(),
            descriptors: None,
        }
    }

    /// One provider `one` of `api` at `address`, and its model `alpha`.
    pub(crate) fn one(api: &str, address: SocketAddr) -> Self {
        Self::new().provider("one", api, address).model("alpha", "one", "")
    }

    /// Models `alpha` and `beta` of two chat providers, and a router `both` that falls back on them in this order.
    pub(crate) fn two(first: SocketAddr, second: SocketAddr) -> Self {
        Self::new()
            .provider("one", "openai-chat", first)
            .provider("two", "openai-chat", second)
            .model("alpha", "one", "")
            .model("beta", "two", "")
            .router("both", &["alpha", "beta"])
    }

    /// Classifies with a generative router at `address`, whose key is a canary too.
    pub(crate) fn classified(self, address: SocketAddr, timeout: &str) -> Self {
        self.provider("gpu", "openai-chat", address).with(&format!(
            "classifier: {{chat: {{provider: gpu, model: arch-router-1.5b, timeout: {timeout}}}}}"
        ))
    }

    /// Adds a line or block at the top level.
    pub(crate) fn with(mut self, text: &str) -> Self {
        self.head.push_str(text);
        self.head.push('\n');
        self
    }

    /// Replaces `from` at the top level, where it must be.
    #[track_caller]
    pub(crate) fn replace(mut self, from: &str, to: &str) -> Self {
        assert!(self.head.contains(from), "{from:?}");
        self.head = self.head.replace(from, to);
        self
    }

    /// Adds a provider with a canary for its key.
    pub(crate) fn provider(self, name: &str, api: &str, address: SocketAddr) -> Self {
        let variable = format!("KEY_{}", name.to_ascii_uppercase());
        let key = format!("api_key: \"env:{variable}\", ");
        self.environment(&variable, &format!("{CANARY}provider-{name}"))
            .raw_provider(name, &format!("api: {api}, {key}base_url: \"http://{address}/v1\""))
    }

    /// Adds a provider on a private address with these fields.
    pub(crate) fn raw_provider(mut self, name: &str, fields: &str) -> Self {
        let _infallible = writeln!(self.providers, "  {name}: {{{fields}, allow_private: true}}");
        self
    }

    /// Adds a model with one endpoint, whose upstream calls it `upstream-<name>`.
    pub(crate) fn model(self, name: &str, provider: &str, more: &str) -> Self {
        let more = if more.is_empty() { String::new() } else { format!(", {more}") };
        let endpoint = format!("{{provider: {provider}, id: upstream-{name}}}");
        self.raw_model(name, &format!("endpoints: [{endpoint}]{more}"))
    }

    /// Adds a model with these fields.
    pub(crate) fn raw_model(mut self, name: &str, fields: &str) -> Self {
        let _infallible = writeln!(self.models, "  {name}: {{{fields}}}");
        self
    }

    /// Adds a router with one task, `chores`, over `models`, which it falls back on too.
    pub(crate) fn router(self, name: &str, models: &[&str]) -> Self {
        let models = models.join(", ");
        self.file(
            &format!("policies/{name}.yaml"),
            &format!(
                "name: {name}\npolicies:\n  - custom_task: {{name: chores, description: Small everyday work.}}\n    \
                 models: [{models}]\nfallback_models: [{models}]\n"
            ),
        )
    }

    /// Adds a file below the configuration's folder.
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// Adds a variable to the program's environment.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The most file descriptors that the program may hold.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// The most file descriptors that the program may hold, if it is limited.
    pub(crate) fn most_descriptors(&self) -> Option<u32> {
        self.descriptors
    }

    /// The main file's text.
    pub(crate) fn text(&self) -> String {
        let Self { providers, models, head, .. } = self;
        format!("{head}\nproviders:\n{providers}\nmodels:\n{models}")
    }

    /// Writes everything into a fresh folder.
    pub(crate) fn write(&self) -> Folder {
        let folder = Folder::new();
        folder.write("pointsman.yaml", self.text());
        for (path, text) in &self.files {
            folder.write(path, text);
        }
        folder
    }

    /// The environment that the program needs.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.environment
    }
}

/// A folder that goes when this is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("pointsman-it-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The main file.
    pub(crate) fn main(&self) -> PathBuf {
        self.0.join("pointsman.yaml")
    }

    /// Writes a file, whole at once: a new one takes the place of the old.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let fresh = path.with_extension("fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(&fresh, &path).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}
