//! `/v1/models`: what the caller's key may name, in the list shape of the API that the caller speaks.

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;

use crate::{
    engine::{
        Stop, World, admit::Admitted, exchange::Exchange, ledger::Ledger, refusal::Refusal,
        send_json,
    },
    telemetry::usage::Ended,
};

/// One entry in OpenAI's shape.
#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
}

/// One entry in Anthropic's shape.
#[derive(Serialize)]
struct AnthropicModel<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
}

#[derive(Serialize)]
struct OpenAiList<'a> {
    object: &'static str,
    data: Vec<OpenAiModel<'a>>,
}

#[derive(Serialize)]
struct AnthropicList<'a> {
    data: Vec<AnthropicModel<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

/// A name and who owns what it names.
struct Named {
    id: String,
    owner: String,
}

/// Answers with everything that the caller may name.
pub(super) async fn list(
    world: &World,
    admitted: &Admitted,
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
) -> Result<(), Stop> {
    let named = usable(world, admitted);
    let body = if admitted.anthropic {
        let data: Vec<_> = named.iter().map(Named::anthropic).collect();
        let first_id = named.first().map(|named| named.id.as_str());
        let last_id = named.last().map(|named| named.id.as_str());
        json(&AnthropicList { data, has_more: false, first_id, last_id })
    } else {
        let data = named.iter().map(Named::openai).collect();
        json(&OpenAiList { object: "list", data })
    };
    send(exchange, ledger, body).await
}

/// Answers with one entry. What the caller may not use is not there.
pub(super) async fn one(
    world: &World,
    admitted: &Admitted,
    name: &str,
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
) -> Result<(), Stop> {
    let named = usable(world, admitted).into_iter().find(|named| named.id == name);
    let named = named.ok_or_else(|| Refusal::not_found(name))?;
    let body = if admitted.anthropic { json(&named.anthropic()) } else { json(&named.openai()) };
    send(exchange, ledger, body).await
}

async fn send(
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
    body: Result<Bytes, Refusal>,
) -> Result<(), Stop> {
    let headers: HeaderMap = ledger.headers();
    send_json(exchange, 200, headers, body?).await?;
    ledger.end(Ended::Answered, 200, None);
    Ok(())
}

fn usable(world: &World, admitted: &Admitted) -> Vec<Named> {
    let catalog = &world.catalog;
    let routers = catalog
        .routers
        .keys()
        .filter(|name| admitted.caller.may_use_router(name))
        .map(|name| Named { id: format!("router:{name}"), owner: "pointsman".to_owned() });
    let models =
        catalog.models.values().filter(|model| admitted.caller.may_name_model(&model.id)).map(
            |model| Named {
                id: model.id.to_string(),
                owner: model
                    .targets
                    .first()
                    .map_or_else(String::new, |target| target.provider.id.to_string()),
            },
        );
    routers.chain(models).collect()
}

impl Named {
    fn openai(&self) -> OpenAiModel<'_> {
        OpenAiModel { id: &self.id, object: "model", created: 0, owned_by: &self.owner }
    }

    fn anthropic(&self) -> AnthropicModel<'_> {
        AnthropicModel {
            r#type: "model",
            id: &self.id,
            display_name: &self.id,
            created_at: "1970-01-01T00:00:00Z",
        }
    }
}

fn json(value: &impl Serialize) -> Result<Bytes, Refusal> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|_| Refusal::new(500, "internal_error", "the list cannot be written"))
}
