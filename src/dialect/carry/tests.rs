//! The table, line by line.

use super::carry;
use crate::dialect::{
    Dialect::{self, Chat, Messages, Responses},
    request::read_request,
};

/// What becomes of a field.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// The target is ruled out, for a reason that holds these words.
    Out(&'static str),
    /// The field is dropped under this name.
    Lost(&'static str),
    /// Nothing is lost.
    Kept,
}
use Fate::{Kept, Lost, Out};

/// Members of a request, and what becomes of them on the way to two other APIs.
type Line = (&'static str, [(Dialect, Fate); 2]);

fn check(from: Dialect, lines: &[Line]) {
    let conversation = match from {
        Responses => r#""input":"hi""#,
        Chat | Messages => r#""messages":[{"role":"user","content":"hi"}]"#,
    };
    for (members, fates) in lines {
        let own = members.contains("\"messages\"") || members.contains("\"input\"");
        let separator = if own { String::new() } else { format!(",{conversation}") };
        let body = format!("{{\"model\":\"m\",{members}{separator}}}");
        let request = read_request(from, body.as_bytes()).unwrap();
        assert_eq!(carry(&request, from).unwrap().losses, Vec::<String>::new());
        for (to, fate) in fates {
            let carried = carry(&request, *to);
            let holds = match fate {
                Out(words) => carried.as_ref().is_err_and(|reason| reason.contains(words)),
                Lost(field) => carried.as_ref().is_ok_and(|carried| carried.losses == [*field]),
                Kept => carried.as_ref().is_ok_and(|carried| carried.losses.is_empty()),
            };
            assert!(holds, "{members} to {to:?}: {fate:?}, not {carried:?}");
        }
    }
}

#[test]
fn from_chat() {
    let both = |fate| [(Responses, fate), (Messages, fate)];
    check(
        Chat,
        &[
            (r#""n":1"#, both(Kept)),
            (r#""n":2"#, both(Out("`n`"))),
            (r#""modalities":["text"]"#, both(Kept)),
            (r#""modalities":["text","audio"]"#, both(Out("`modalities`"))),
            (r#""audio":{"voice":"x"}"#, both(Out("`audio`"))),
            (r#""web_search_options":{}"#, both(Out("`web_search_options`"))),
            (r#""functions":[{"name":"f"}]"#, both(Out("`functions`"))),
            (
                r#""tools":[{"type":"custom","custom":{"name":"f"}}]"#,
                [(Responses, Kept), (Messages, Out("custom"))],
            ),
            (r#""stop":"END""#, [(Responses, Out("`stop`")), (Messages, Kept)]),
            (r#""stop":["\n"]"#, both(Out("`stop`"))),
            (r#""top_k":5"#, [(Responses, Lost("top_k")), (Messages, Kept)]),
            (r#""temperature":1.5"#, [(Responses, Kept), (Messages, Lost("temperature"))]),
            (r#""seed":1"#, both(Lost("seed"))),
            (r#""frequency_penalty":1"#, both(Lost("frequency_penalty"))),
            (r#""presence_penalty":1"#, both(Lost("presence_penalty"))),
            (r#""logprobs":true"#, both(Lost("logprobs"))),
            (r#""logprobs":false"#, both(Kept)),
            (r#""logit_bias":{"1":1}"#, both(Lost("logit_bias"))),
            (r#""prediction":{"type":"content"}"#, both(Lost("prediction"))),
            (r#""verbosity":"low""#, [(Responses, Kept), (Messages, Lost("verbosity"))]),
            (r#""prompt_cache_key":"k","prompt_cache_retention":"24h""#, both(Kept)),
            (r#""metadata":{"a":"b"}"#, [(Responses, Kept), (Messages, Lost("metadata"))]),
            (r#""user":"u","safety_identifier":"s""#, both(Kept)),
            (r#""service_tier":"auto""#, both(Kept)),
            (r#""service_tier":"flex""#, [(Responses, Kept), (Messages, Lost("service_tier"))]),
            (r#""store":true"#, [(Responses, Kept), (Messages, Lost("store"))]),
            (r#""store":false"#, both(Kept)),
            (r#""reasoning_effort":"xhigh""#, both(Kept)),
            (r#""anything":1"#, both(Lost("anything"))),
            (r#""tools":"x""#, both(Out("`tools` cannot be read"))),
        ],
    );
}

#[test]
fn from_the_messages_of_chat() {
    let both = |fate| [(Responses, fate), (Messages, fate)];
    check(
        Chat,
        &[
            (
                r#""messages":[{"role":"assistant","content":"a","reasoning_content":"b"}]"#,
                both(Lost("reasoning_content")),
            ),
            (
                r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]"#,
                both(Out("`file_id`")),
            ),
            (
                r#""messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"x"}}]}]"#,
                both(Out("system")),
            ),
            (
                r#""messages":[{"role":"user","content":[{"type":"hologram"}]}]"#,
                both(Out("`hologram`")),
            ),
            (
                r#""messages":[{"role":"user","content":"a","tool_calls":[{"id":"1"}]}]"#,
                both(Out("outside")),
            ),
            (
                r#""messages":[{"role":"assistant","content":"a","audio":{"id":"x"}}]"#,
                both(Out("`audio`")),
            ),
            (
                r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x","detail":"low"}}]}]"#,
                [(Responses, Kept), (Messages, Lost("detail"))],
            ),
            (
                r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/csv;base64,AA=="}}]}]"#,
                [(Responses, Kept), (Messages, Out("`text/csv`"))],
            ),
            (
                r#""messages":[{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"[]"}}]}]"#,
                [(Responses, Kept), (Messages, Out("`arguments`"))],
            ),
        ],
    );
}

#[test]
fn from_responses() {
    let both = |fate| [(Chat, fate), (Messages, fate)];
    check(
        Responses,
        &[
            (r#""previous_response_id":"r""#, both(Out("`previous_response_id`"))),
            (r#""conversation":"c""#, both(Out("`conversation`"))),
            (r#""prompt":{"id":"p"}"#, both(Out("`prompt`"))),
            (r#""background":true"#, both(Out("`background`"))),
            (r#""background":false"#, both(Kept)),
            (r#""truncation":"disabled""#, both(Kept)),
            (r#""truncation":"auto""#, both(Lost("truncation"))),
            (r#""include":["reasoning.encrypted_content"]"#, both(Lost("include"))),
            (
                r#""reasoning":{"summary":"auto"}"#,
                [(Chat, Lost("reasoning.summary")), (Messages, Kept)],
            ),
            (r#""metadata":{"a":"b"}"#, both(Lost("metadata"))),
            (r#""store":true"#, both(Lost("store"))),
            (r#""tools":[{"type":"mcp","server_label":"x"}]"#, both(Out("`mcp`"))),
            (r#""input":[{"type":"item_reference","id":"x"}]"#, both(Out("`item_reference`"))),
            (r#""input":[{"id":"x"}]"#, both(Out("`item_reference`"))),
            (
                r#""input":[{"type":"reasoning","summary":[],"encrypted_content":"x"}]"#,
                both(Lost("reasoning")),
            ),
            (r#""input":[{"type":"reasoning","summary":[]}]"#, both(Kept)),
            (r#""input":[{"type":"web_search_call","id":"x"}]"#, both(Out("`web_search_call`"))),
            (
                r#""input":[{"role":"user","content":[{"type":"input_file","file_url":"https://x"}]}]"#,
                [(Chat, Out("URL")), (Messages, Kept)],
            ),
        ],
    );
}

#[test]
fn from_messages() {
    let both = |fate| [(Chat, fate), (Responses, fate)];
    check(
        Messages,
        &[
            (r#""mcp_servers":[{"url":"https://x"}]"#, both(Out("`mcp_servers`"))),
            (r#""container":"c""#, both(Out("`container`"))),
            (r#""inference_geo":"eu""#, both(Out("`inference_geo`"))),
            (r#""stop_sequences":["1","2","3","4","5"]"#, both(Out("`stop_sequences`"))),
            (r#""stop_sequences":["1"]"#, [(Chat, Kept), (Responses, Out("`stop_sequences`"))]),
            (r#""top_k":5"#, both(Lost("top_k"))),
            (r#""cache_control":{"type":"ephemeral"}"#, both(Lost("cache_control"))),
            (r#""output_config":{"effort":"max"}"#, both(Lost("effort"))),
            (r#""output_config":{"effort":"high"},"thinking":{"type":"adaptive"}"#, both(Kept)),
            (r#""service_tier":"standard_only""#, both(Kept)),
            (r#""metadata":{"user_id":"u"}"#, both(Kept)),
            (r#""tools":[{"name":"f","input_schema":{},"strict":true}]"#, both(Kept)),
            (r#""tools":[{"type":"bash_20250124","name":"bash"}]"#, both(Out("`bash_20250124`"))),
            (
                r#""messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"b"}]}]"#,
                both(Lost("thinking")),
            ),
            (
                r#""messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]"#,
                both(Lost("cache_control")),
            ),
            (
                r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]"#,
                both(Out("`file_id`")),
            ),
            (
                r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"x"}}]}]"#,
                [(Chat, Out("URL")), (Responses, Kept)],
            ),
            (
                r#""messages":[{"role":"assistant","content":[{"type":"server_tool_use","id":"1"}]}]"#,
                both(Out("`server_tool_use`")),
            ),
            (
                r#""messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"tool_result"}]}]}]"#,
                both(Out("inside another")),
            ),
        ],
    );
}
