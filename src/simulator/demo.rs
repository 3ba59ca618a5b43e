//! Which providers are simulated: those of the demo, and one for each that a catalog names.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr, time::Duration};

use crate::{
    catalog::{Catalog, model::Target, provider::Api},
    simulator::{Model, Provider, Running},
};

const DEMO_MODELS: &str = "
models:
  gpt-5.2:
    endpoints: [{provider: openai}]
    price: {input: 1.75, cache_read: 0.175, output: 14.00}
    context_window: 400000
    modalities: [text, image]
    max_output: 128000
  gpt-5.2-mini:
    endpoints: [{provider: openai}]
    price: {input: 0.25, cache_read: 0.025, output: 2.00}
    context_window: 400000
    modalities: [text, image]
    max_output: 128000
  claude-sonnet-4-6:
    endpoints: [{provider: anthropic}]
    price: {input: 3.00, cache_read: 0.30, cache_write: 3.75, output: 15.00}
    context_window: 200000
    modalities: [text, image, document]
    max_output: 64000
  glm-5:
    endpoints: [{provider: zhipu}]
    price: {input: 0.30, output: 1.00}
    context_window: 200000
    max_output: 32000
";

/// The demo's providers: models that are slow and dear, fast and cheap, and between, over both makers' APIs.
pub fn demo() -> Vec<Provider> {
    let model = |id: &str, first_token, tokens_per_second, answer_tokens, window| Model {
        id: id.to_owned(),
        first_token: Duration::from_millis(first_token),
        tokens_per_second,
        answer_tokens,
        context_window: Some(window),
        fault: None,
    };
    let provider =
        |name: &str, api, models| Provider { name: name.to_owned(), api, key: None, models };
    vec![
        provider(
            "openai",
            Api::OpenAi,
            vec![
                model("gpt-5.2", 900, 60.0, 90, 400_000),
                model("gpt-5.2-mini", 250, 180.0, 70, 400_000),
            ],
        ),
        provider(
            "anthropic",
            Api::Anthropic,
            vec![model("claude-sonnet-4-6", 600, 80.0, 90, 200_000)],
        ),
        provider("zhipu", Api::OpenAiChat, vec![model("glm-5", 400, 110.0, 80, 200_000)]),
    ]
}

/// The demo's main file, for the providers as they run. `classifier` is the folder of the model, if there is one.
pub fn demo_config(
    running: &[Running],
    listen: SocketAddr,
    admin: SocketAddr,
    classifier: Option<&str>,
) -> String {
    let mut text = format!("listen: {listen}\nadmin: {admin}\n");
    if let Some(folder) = classifier {
        let _infallible = writeln!(text, "classifier: {{model: {folder:?}}}");
    }
    text.push_str("\nproviders:\n");
    for provider in running {
        let (name, api, url) = (provider.name(), provider.api().as_str(), provider.base_url());
        let _infallible =
            writeln!(text, "  {name}: {{api: {api}, base_url: \"{url}\", allow_private: true}}");
    }
    text.push_str(DEMO_MODELS);
    text
}

/// One simulated provider for each of the catalog that serves a model, with a pace guessed from what a model costs.
pub fn for_catalog(catalog: &Catalog) -> Vec<Provider> {
    let mut providers: BTreeMap<&str, Provider> = BTreeMap::new();
    for model in catalog.models.values() {
        let output = model.pricing.base.output.map_or(2.0, crate::money::PerMillion::dollars);
        for target in &model.targets {
            let provider =
                providers.entry(target.provider.id.as_str()).or_insert_with(|| simulated(target));
            if provider.models.iter().all(|known| *known.id != *target.upstream_id) {
                provider.models.push(Model {
                    context_window: model.context_window,
                    ..plausible(&target.upstream_id, output)
                });
            }
        }
    }
    providers.into_values().collect()
}

fn simulated(target: &Target) -> Provider {
    let provider = &target.provider;
    Provider { name: provider.id.to_string(), api: provider.api, key: None, models: Vec::new() }
}

/// Dearer is slower: from 250 ms and 200 tokens a second to 1.2 s and 40.
fn plausible(id: &str, dollars_per_million: f64) -> Model {
    let weight = (dollars_per_million.max(0.0) / 15.0).min(1.0);
    Model {
        id: id.to_owned(),
        first_token: Duration::from_millis(250)
            .saturating_add(Duration::from_millis(950).mul_f64(weight)),
        tokens_per_second: 200.0 - 160.0 * weight,
        answer_tokens: 80,
        context_window: None,
        fault: None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::simulator::start;

    #[test]
    fn the_demos_configuration_names_every_simulated_model_and_address() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let models: Vec<String> =
            demo().into_iter().flat_map(|provider| provider.models).map(|model| model.id).collect();
        let running: Vec<Running> = demo()
            .into_iter()
            .map(|provider| start(TcpListener::bind(any).unwrap(), provider).unwrap())
            .collect();
        let text = demo_config(&running, any, any, None);
        for model in models {
            assert!(text.contains(&format!("  {model}:\n")), "{model}");
        }
        for provider in &running {
            assert!(text.contains(&provider.base_url()));
        }
        assert!(!text.contains("classifier"));
    }

    #[test]
    fn a_dearer_model_is_slower() {
        let (cheap, dear) = (plausible("a", 0.5), plausible("b", 15.0));
        assert!(cheap.first_token < dear.first_token);
        assert!(cheap.tokens_per_second > dear.tokens_per_second);
    }
}
