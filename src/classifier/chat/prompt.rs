//! What a generative router is asked, in the published forms: routes and conversation as JSON inside elements of those
//! names, then what is wanted, then the form of the answer. Only the form is fixed; the words are ours.
//!
//! JSON has a space after each colon and comma, as Python writes it, because the models were trained on that.

use crate::{
    catalog::router::Router,
    conversation::{Conversation, Speaker},
    dialect::json,
};

/// Arch-Router: the routes are one JSON array, the answer is one name.
pub(super) fn arch_router(conversation: &Conversation, router: &Router) -> String {
    let listed = format!("[{}]", routes(router).join(", "));
    let said = turns(conversation);
    format!(
        r#"
You are a helpful assistant that finds the route that suits a conversation best.
The routes and their descriptions are given within <routes></routes> XML tags:
<routes>

{listed}

</routes>

<conversation>

{said}

</conversation>

Your task is to decide which route fits what the user wants in the conversation within <conversation></conversation> XML tags. Follow these instructions:
1. If the latest intent of the user fits no route, or is already fulfilled, respond with the other route {{"route": "other"}}.
2. Analyze the descriptions of the routes and find the one that fits the latest intent of the user best.
3. Respond only with the name of that route, exactly as it is written within <routes></routes>.

Give your answer in this JSON format:
{{"route": "route_name"}}
"#
    )
}

/// Plano-Orchestrator: the routes are one JSON object a line, the answer is a list of names.
pub(super) fn plano_orchestrator(conversation: &Conversation, router: &Router) -> String {
    let listed = routes(router).join("\n");
    let said = turns(conversation);
    format!(
        r#"
You are a helpful assistant that selects the routes that suit what the user wants.
The available routes are given within <routes></routes> XML tags:
<routes>
{listed}
</routes>

The conversation is given within <conversation></conversation> XML tags:
<conversation>
{said}
</conversation>

## Instructions
1. Find the latest intent of the user in the conversation.
2. Compare it with the routes and select those that help to fulfill it, the most fitting first.
3. Respond only with names of routes, exactly as they are written in <routes>.
4. If no route helps, or the intent is already fulfilled, give an empty list.

## Response Format
Answer strictly in this JSON format:
{{"route": ["route_name_1", "route_name_2", "..."]}}
If no route is needed, `route` is an empty list.
"#
    )
}

fn routes(router: &Router) -> Vec<String> {
    let tasks = router.policies.iter().map(|policy| &policy.task);
    tasks
        .map(|task| {
            let name = element(task.name.as_str());
            let description =
                if task.description.is_empty() { name.clone() } else { element(&task.description) };
            format!(r#"{{"name": {name}, "description": {description}}}"#)
        })
        .collect()
}

fn turns(conversation: &Conversation) -> String {
    let turns: Vec<String> = conversation
        .turns
        .iter()
        .map(|turn| {
            let role = match turn.speaker {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
            };
            format!(r#"{{"role": "{role}", "content": {}}}"#, element(&turn.text))
        })
        .collect();
    format!("[{}]", turns.join(", "))
}

/// A JSON string that cannot close the element that it stands in.
fn element(text: &str) -> String {
    json::quote(text).replace("</", "<\\/")
}
