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

/// How long all pages of a list may take.
const LIMIT_OF_ALL: Duration = Duration::from_mins(2);

/// The most pages of a price list.
const MAX_PAGES: usize = 50;

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
    /// Its pages take too long.
    #[error("timed out after {} s", LIMIT_OF_ALL.as_secs())]
    Late,
    /// It has more pages than are read.
    #[error("the list has more than {MAX_PAGES} pages")]
    Pages,
    /// The next page is no page of this list.
    #[error("the address of the next page is not one on the same server")]
    NextPage,
    /// The answer of Prometheus cannot be read.
    #[error("not an answer of Prometheus: {0}")]
    Prometheus(String),
}

/// Fetches a price feed once, with all its pages: a list of which a page is missing is no list.
pub async fn prices(feed: &PriceFeed) -> Result<Parsed, FeedFault> {
    tokio::time::timeout(LIMIT_OF_ALL, pages(feed)).await.map_err(|_| FeedFault::Late)?
}

async fn pages(feed: &PriceFeed) -> Result<Parsed, FeedFault> {
    let client = fetch::client(feed.allow_private, LIMIT)?;
    let (mut all, mut address, mut left) = (Parsed::default(), feed.url.clone(), format::MAX_BYTES);
    for _ in 0..MAX_PAGES {
        let mut request = client.get(address.clone());
        if let Some(key) = &feed.api_key {
            request = request.bearer_auth(key.expose());
        }
        let bytes = fetch::fetch(request, feed.allow_private, left).await?;
        left = left.saturating_sub(bytes.len());
        let page = format::page(feed.format, &bytes)?;
        all.extend(page.parsed);
        match page.next {
            Some(next) => address = follow(&address, &next)?,
            None => return Ok(all.usable()?),
        }
    }
    Err(FeedFault::Pages)
}

/// Where the next page is: on the same server, because the key goes along.
fn follow(page: &Url, next: &str) -> Result<Url, FeedFault> {
    let address = page.join(next).map_err(|_| FeedFault::NextPage)?;
    let same = address.origin() == page.origin() && address.username().is_empty();
    if same && address != *page { Ok(address) } else { Err(FeedFault::NextPage) }
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
    let priors = answer.data.result.iter().filter_map(|sample| prior(sample, &source.label));
    Ok(means(priors))
}

/// One prior for each model: the mean of its series, of which an instance each is usual.
fn means(priors: impl Iterator<Item = (ModelId, Duration)>) -> Vec<(ModelId, Duration)> {
    let mut sums: BTreeMap<ModelId, (Duration, u32)> = BTreeMap::new();
    for (model, prior) in priors {
        let (sum, count) = sums.entry(model).or_default();
        *sum = sum.saturating_add(prior);
        *count = count.saturating_add(1);
    }
    let mean = |(sum, count): (Duration, u32)| sum.checked_div(count).unwrap_or(sum);
    sums.into_iter().map(|(model, series)| (model, mean(series))).collect()
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
    fn the_next_page_is_on_the_same_server() {
        let page = Url::parse("https://api.example.com/v2/catalog").unwrap();
        let next = |text: &str| follow(&page, text).ok().map(|url| url.to_string());
        let second = "https://api.example.com/v2/catalog?page=2".to_owned();
        assert_eq!(next(&second), Some(second.clone()));
        assert_eq!(next("?page=2"), Some(second));
        for elsewhere in [
            "https://evil.example.com/v2/catalog?page=2",
            "http://api.example.com/v2/catalog?page=2",
            "https://api.example.com:444/v2/catalog?page=2",
            "//evil.example.com/",
            "https://api.example.com@evil.example.com/",
            "https://evil@api.example.com/v2/catalog?page=2",
            "file:///etc/passwd",
            "https://[",
            "",
        ] {
            assert_eq!(next(elsewhere), None, "{elsewhere}");
        }
    }

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
        let both = [sample("glm-5", "1"), sample("glm-5", "3"), sample("other", "0.5")];
        let found = means(both.iter().filter_map(|sample| prior(sample, "model")));
        let found: Vec<_> = found.iter().map(|(id, prior)| (id.as_str(), *prior)).collect();
        let expected = [("glm-5", Duration::from_secs(2)), ("other", Duration::from_millis(500))];
        assert_eq!(found, expected);
    }
}
