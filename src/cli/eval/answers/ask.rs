//! One question to one model, through the proxy.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use crate::upstream::fetch;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 8 << 20;

/// What is allowed beyond the time that the configuration gives a request.
const GRACE: Duration = Duration::from_secs(10);

/// The proxy on its loopback port.
pub(super) struct Proxy {
    client: reqwest::Client,
    url: String,
}

impl Proxy {
    /// The proxy at `address`, whose requests end within `limit`.
    pub(super) fn new(address: SocketAddr, limit: Duration) -> anyhow::Result<Self> {
        let client = fetch::client(true, limit.saturating_add(GRACE))?;
        Ok(Self { client, url: format!("http://{address}/v1/chat/completions") })
    }

    /// What `model` answers to `messages`; an error where it answers nothing.
    pub(super) async fn ask(&self, model: &str, messages: &Value) -> anyhow::Result<String> {
        let request =
            self.client.post(&self.url).json(&json!({"model": model, "messages": messages}));
        let bytes = fetch::fetch(request, true, MAX_ANSWER).await?;
        let text = std::str::from_utf8(&bytes).context("the answer is not text")?;
        let answer: Value = serde_json::from_str(text).context("the answer is not JSON")?;
        let said = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
        said.map(str::to_owned).ok_or_else(|| anyhow!("the answer holds no text"))
    }
}
