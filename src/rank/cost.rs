//! What one request is expected to cost at one endpoint.
//!
//! `cost = fresh · input + written · cache_write + cached · cache_read + output · output_rate`, where with `n` the input
//! tokens as this model's provider counts them (our estimate times a learned factor):
//!
//! - `cached = P(alive) · h · min(prefix, n)`: the tokens of the session's last request that this endpoint answered; `P`
//!   falls with the age of the cache entry, `h` is the share that the provider has actually reported as read;
//! - `written = w · (n − cached)`: all of it where the request asks for caching, else the share that the provider has
//!   reported;
//! - `fresh = n − cached − written`;
//! - `output`: the length learned for the task and model, at most what the request and the model allow.
//!
//! The *least* that it may cost is the same with token counts, of input and of output, that nine of ten models of which
//! as little is known exceed: that is what says whether finding out more could change the order
//! ([`mod@crate::rank::explore`]).
//!
//! Cache rates that are absent are charged as input. The expectation is linear in every rate, so a dearer price never
//! makes a candidate cheaper. A price whose input or output rate is unknown gives no cost: unknown is not free.

use crate::{
    catalog::model::{Model, Target},
    money::Usd,
    prices::Quote,
    rank::Query,
    stats::{Length, Reader, real},
};

/// The share of uncached input that is written where the request asks for caching.
const WRITTEN_WHEN_ASKED: f64 = 1.0;

/// The tokens that a request is expected to be charged for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tokens {
    /// Input that is neither read from nor written to a cache.
    pub fresh: f64,
    /// Input read from the provider's cache.
    pub cached: f64,
    /// Input written to the provider's cache.
    pub written: f64,
    /// Output.
    pub output: f64,
    /// The shares of input and of output that the true counts are above nine times out of ten, as far as is known.
    pub low: (f64, f64),
}

/// The expected cost of a request, and its parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// For input neither read from nor written to a cache.
    pub input: Usd,
    /// For input read from the provider's cache.
    pub cache_read: Usd,
    /// For input written to the provider's cache.
    pub cache_write: Usd,
    /// For output.
    pub output: Usd,
    /// The whole, where its tokens are as few as they may be.
    pub least: Usd,
    /// The tokens that it is for.
    pub tokens: Tokens,
    /// How often this model was tried for this task.
    pub attempts: u32,
}

impl Tokens {
    /// What `query` is expected to be charged for at an endpoint whose answers get as long as `length` says.
    pub fn expect(
        (model, target): (&Model, &Target),
        query: &Query<'_>,
        length: &Length,
        stats: &Reader<'_>,
    ) -> Self {
        let input = stats.tokens(&model.id, query.input_tokens);
        let rates = stats.cache(&target.id);
        let warm = query.session.and_then(|session| session.warm(&target.id));
        let cached = warm.map_or(0.0, |warm| {
            stats.tokens(&model.id, warm.prefix_tokens).min(input) * rates.hit * warm.alive()
        });
        let share = if query.caching { WRITTEN_WHEN_ASKED } else { rates.write };
        let written = (input - cached).max(0.0) * share;
        let allowed = [query.max_output, model.max_output].into_iter().flatten().min();
        let allowed = allowed.map_or(f64::MAX, real);
        let output = length.expected.min(allowed);
        Self {
            fresh: (input - cached - written).max(0.0),
            cached,
            written,
            output,
            low: (stats.tokens_low(&model.id), length.low.min(allowed) / output.max(1.0)),
        }
    }

    /// All input tokens.
    pub fn input(&self) -> f64 {
        self.fresh + self.cached + self.written
    }
}

impl Cost {
    /// What `tokens` cost at the rates of `quote`; absent where the input or the output rate is unknown.
    pub fn of(tokens: &Tokens, quote: &Quote<'_>, attempts: u32) -> Option<Self> {
        let (input, output) = quote.known()?;
        let fresh = input.cost(tokens.fresh);
        let cache_read = quote.rates.cache_read.unwrap_or(input).cost(tokens.cached);
        let cache_write = quote.rates.cache_write.unwrap_or(input).cost(tokens.written);
        let answer = output.cost(tokens.output);
        let (few, short) = tokens.low;
        let prompt = fresh.plus(cache_read).plus(cache_write);
        Some(Self {
            input: fresh,
            cache_read,
            cache_write,
            output: answer,
            least: prompt.times(few).plus(answer.times(short)),
            tokens: *tokens,
            attempts,
        })
    }

    /// The sum of the parts.
    pub fn total(&self) -> Usd {
        self.input.plus(self.cache_read).plus(self.cache_write).plus(self.output)
    }
}
