//! What can be named: models with their prices, routers with their tasks.

use serde::Serialize;

use crate::{
    catalog::{
        model::Model,
        provider::Provider,
        router::{Policy, Router},
        settings::Classifier,
    },
    dialect::modality::Modalities,
    engine::World,
    ids::ModelId,
    prices::PriceTable,
    server::{
        admin::{
            About,
            answer::Answer,
            figure,
            prices::{self, Price},
            routers,
        },
        reload::Reload,
    },
    telemetry::clock,
};

#[derive(Serialize)]
struct Catalog<'a> {
    generation: u64,
    version: &'static str,
    simulated: bool,
    data_plane: &'a str,
    classifier: Option<ShownClassifier>,
    models: Vec<ShownModel<'a>>,
    routers: Vec<ShownRouter<'a>>,
}

#[derive(Serialize)]
struct ShownClassifier {
    name: String,
    threshold: f64,
    kind: &'static str,
}

#[derive(Serialize)]
struct ShownModel<'a> {
    name: &'a str,
    providers: Vec<&'a str>,
    price: Option<Price>,
    context_window: Option<u64>,
    max_output: Option<u64>,
    modalities: Vec<&'static str>,
}

#[derive(Serialize)]
struct ShownRouter<'a> {
    name: &'a str,
    uuid: String,
    description: &'a str,
    editable: bool,
    threshold: Option<f64>,
    tasks: Vec<ShownTask<'a>>,
    fallback_models: Vec<&'a str>,
}

#[derive(Serialize)]
struct ShownTask<'a> {
    name: &'a str,
    description: &'a str,
    examples: usize,
    prefer: &'static str,
    models: Vec<&'a str>,
}

/// The catalog that serves now.
pub fn show(reload: &Reload, about: &About) -> Answer {
    let world = reload.engine.world();
    let prices = reload.engine.prices.load();
    let origins = reload.origins();
    let editable = |router: &Router| {
        origins
            .named(&router.name)
            .is_some_and(|origin| reload.store.check_writable(&origin.path).is_ok())
    };
    let catalog = &world.catalog;
    Answer::json(&Catalog {
        generation: catalog.generation,
        version: env!("CARGO_PKG_VERSION"),
        simulated: about.simulated,
        data_plane: &about.data_plane,
        classifier: classifier(&world),
        models: catalog.models.values().map(|model| ShownModel::of(model, &prices)).collect(),
        routers: shown_routers(&world, editable),
    })
}

fn shown_routers(world: &World, editable: impl Fn(&Router) -> bool) -> Vec<ShownRouter<'_>> {
    let routers = world.catalog.routers.values();
    routers.map(|router| ShownRouter::of(router, editable(router))).collect()
}

fn classifier(world: &World) -> Option<ShownClassifier> {
    let (running, settings) =
        world.classifier.as_ref().zip(world.catalog.settings.classifier.as_ref())?;
    let (name, kind) = match settings {
        Classifier::Onnx(onnx) => {
            let name = onnx.folder.file_name().unwrap_or_default().to_string_lossy();
            (name.into_owned(), "onnx")
        }
        Classifier::Chat(chat) => (chat.model.clone(), "chat"),
    };
    Some(ShownClassifier { name, threshold: figure::share(running.threshold()), kind })
}

impl<'a> ShownModel<'a> {
    fn of(model: &'a Model, prices: &PriceTable) -> Self {
        let mut providers: Vec<&Provider> =
            model.targets.iter().map(|target| &*target.provider).collect();
        providers.dedup_by(|one, other| one.id == other.id);
        Self {
            name: model.id.as_str(),
            providers: providers.into_iter().map(|provider| provider.id.as_str()).collect(),
            price: prices::of(model, prices, clock::wall()),
            context_window: model.context_window,
            max_output: model.max_output,
            modalities: named(model.modalities),
        }
    }
}

fn named(modalities: Modalities) -> Vec<&'static str> {
    let Modalities { text, image, audio, document } = modalities;
    [(text, "text"), (image, "image"), (audio, "audio"), (document, "document")]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
        .collect()
}

impl<'a> ShownRouter<'a> {
    fn of(router: &'a Router, editable: bool) -> Self {
        Self {
            name: router.name.as_str(),
            uuid: routers::id_of(&router.name).to_string(),
            description: &router.description,
            editable,
            threshold: router.threshold.map(figure::share),
            tasks: router.policies.iter().map(ShownTask::of).collect(),
            fallback_models: ids(&router.fallbacks).collect(),
        }
    }
}

impl<'a> ShownTask<'a> {
    fn of(policy: &'a Policy) -> Self {
        Self {
            name: policy.task.name.as_str(),
            description: &policy.task.description,
            examples: policy.task.examples.len(),
            prefer: policy.prefer.as_str(),
            models: ids(&policy.models).collect(),
        }
    }
}

fn ids(models: &[std::sync::Arc<Model>]) -> impl Iterator<Item = &str> {
    models.iter().map(|model| &model.id).map(ModelId::as_str)
}
