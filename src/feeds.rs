//! What is fetched from outside while requests are served: live prices, and priors for the time to first token.
//!
//! A fetch that fails changes nothing: what was last good stays, with its age. Nothing here is on a request's path.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use url::Url;

use crate::{
    catalog::settings::{LatencySource, PriceFeed},
    ids::ModelId,
    prices::format::{self, Parsed},
    upstream::fetch::{self, FetchFault},
};

/// How long a fetch may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The most bytes of an answer of Prometheus.
const MAX_PRIORS: usize = 4 << 20;

/// Why a feed brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum FeedFault {
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchFault),
    /// It is not what it should be.
    #[error(transparent)]
    Format(#[from] format::Fault),
    /// The answer of Prometheus cannot be read.
    #[error("not an answer of Prometheus: {0}")]
    Prometheus(String),
}

/// Fetches a price feed once.
pub async fn prices(feed: &PriceFeed) -> Result<Parsed, FeedFault> {
    let client = fetch::client(feed.allow_private, LIMIT)?;
    let mut request = client.get(feed.url.clone());
    if let Some(key) = &feed.api_key {
        request = request.bearer_auth(key.expose());
    }
    let bytes = fetch::fetch(request, feed.allow_private, format::MAX_BYTES).await?;
    Ok(format::parse(feed.format, &bytes)?)
}

#[derive(Deserialize)]
struct PrometheusAnswer {
    data: PrometheusData,
}

#[derive(Deserialize)]
struct PrometheusData {
    result: Vec<PrometheusSample>,
}

#[derive(Deserialize)]
struct PrometheusSample {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

/// Asks Prometheus once: how long each model takes to its first token.
pub async fn latencies(source: &LatencySource) -> Result<Vec<(ModelId, Duration)>, FeedFault> {
    let client = fetch::client(source.allow_private, LIMIT)?;
    let base = source.prometheus.as_str().trim_end_matches('/');
    let url = Url::parse_with_params(&format!("{base}/api/v1/query"), [("query", &source.query)])
        .map_err(|error| FeedFault::Prometheus(error.to_string()))?;
    let request = client.get(url);
    let bytes = fetch::fetch(request, source.allow_private, MAX_PRIORS).await?;
    let text =
        std::str::from_utf8(&bytes).map_err(|error| FeedFault::Prometheus(error.to_string()))?;
    let answer: PrometheusAnswer =
        serde_json::from_str(text).map_err(|error| FeedFault::Prometheus(error.to_string()))?;
    Ok(answer.data.result.iter().filter_map(|sample| prior(sample, &source.label)).collect())
}

fn prior(sample: &PrometheusSample, label: &str) -> Option<(ModelId, Duration)> {
    let model = ModelId::parse(sample.metric.get(label)?).ok()?;
    let seconds: f64 = sample.value.1.parse().ok()?;
    let sensible = seconds.is_finite() && seconds > 0.0 && seconds < 3600.0;
    sensible.then(|| (model, Duration::from_secs_f64(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sensible_priors_are_taken() {
        let sample = |model: &str, value: &str| PrometheusSample {
            metric: BTreeMap::from([("model".to_owned(), model.to_owned())]),
            value: (0.0, value.to_owned()),
        };
        let taken = prior(&sample("glm-5", "0.25"), "model").unwrap();
        assert_eq!((taken.0.as_str(), taken.1), ("glm-5", Duration::from_millis(250)));
        for bad in ["NaN", "+Inf", "-1", "0", "fast"] {
            assert!(prior(&sample("glm-5", bad), "model").is_none(), "{bad}");
        }
        assert!(prior(&sample("glm-5", "1"), "instance").is_none());
    }
}
