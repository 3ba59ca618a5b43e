//! The one rule of what is read, against `tests/golden/window`: the same tokens by every way in. Traffic and dry runs of
//! the three APIs read a request, the command line a text or turns, and training reads with the Python that made the
//! vectors.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    conversation,
    dialect::{Dialect, request::read_request},
};

use super::*;

#[derive(Deserialize)]
struct Vectors {
    conversations: Vec<Case>,
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    messages: Vec<Said>,
    ids: Vec<i64>,
    /// How many of the tokens, at the end, are not of the current turn.
    earlier: usize,
}

#[derive(Deserialize)]
struct Said {
    role: String,
    /// Texts, each of pieces and how often.
    parts: Vec<Vec<(String, usize)>>,
}

#[derive(Deserialize)]
struct Task {
    name: String,
    text: Vec<(String, usize)>,
    ids: Vec<i64>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/golden/window/window.json")).unwrap()
}

fn tokenizer() -> Tokenizer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("router-models/default");
    Tokenizer::load(&folder).unwrap_or_else(|fault| panic!("{fault}"))
}

fn whole(pieces: &[(String, usize)]) -> String {
    pieces.iter().map(|(piece, often)| piece.repeat(*often)).collect()
}

impl Said {
    fn texts(&self) -> Vec<String> {
        self.parts.iter().map(|part| whole(part)).collect()
    }

    /// The message in an API, its texts in parts of the kind that its role has there.
    fn message(&self, api: Dialect) -> Value {
        let kind = match (api, self.role.as_str()) {
            (Dialect::Chat | Dialect::Messages, _) => "text",
            (Dialect::Responses, "assistant") => "output_text",
            (Dialect::Responses, _) => "input_text",
        };
        let parts: Vec<Value> =
            self.texts().into_iter().map(|text| json!({"type": kind, "text": text})).collect();
        json!({"role": self.role, "content": parts})
    }
}

impl Case {
    /// What is read of the case as a request of `api`.
    fn read_from(&self, api: Dialect) -> Conversation {
        let mut messages: Vec<Value> = self.messages.iter().map(|said| said.message(api)).collect();
        let body = match api {
            Dialect::Chat => json!({"model": "router:x", "messages": messages}),
            Dialect::Responses => json!({"model": "router:x", "input": messages}),
            Dialect::Messages => {
                let system = messages.extract_if(.., |message| message["role"] == "system");
                let system: Vec<Value> = system
                    .flat_map(|message| message["content"].as_array().unwrap().clone())
                    .collect();
                json!({"model": "router:x", "max_tokens": 9, "system": system, "messages": messages})
            }
        };
        let body = body.to_string();
        let request = read_request(api, body.as_bytes())
            .unwrap_or_else(|fault| panic!("{}: {}: {fault}", self.name, api.as_str()));
        conversation::read(&request)
    }

    fn expected(&self) -> (&[i64], Vec<i64>) {
        let earlier = self.ids.len().saturating_sub(self.earlier);
        let types = (0..self.ids.len()).map(|index| i64::from(index >= earlier));
        (&self.ids, types.collect())
    }

    #[track_caller]
    fn check(&self, way: &str, conversation: &Conversation, tokenizer: &Tokenizer) {
        let found = window::conversation(conversation, tokenizer)
            .unwrap_or_else(|fault| panic!("{}, {way}: {fault}", self.name));
        let (ids, types) = self.expected();
        assert_eq!((found.ids.as_slice(), found.types), (ids, types), "{}, {way}", self.name);
    }
}

#[test]
fn the_same_tokens_are_read_by_every_way_in() {
    let (tokenizer, cases) = (tokenizer(), vectors().conversations);
    assert!(cases.len() >= 180, "only {} cases", cases.len());
    for case in &cases {
        for api in Dialect::ALL {
            case.check(api.as_str(), &case.read_from(api), &tokenizer);
        }
        let turns = case.messages.iter().map(|said| (said.role.as_str(), said.texts()));
        case.check("the command line", &Conversation::from_turns(turns), &tokenizer);
        if let [said] = case.messages.as_slice()
            && let [text] = said.texts().as_slice()
        {
            case.check("one text", &Conversation::from_text(text), &tokenizer);
        }
    }
}

#[test]
fn the_same_tokens_are_read_of_a_task() {
    let tokenizer = tokenizer();
    for task in vectors().tasks {
        let found = window::task(&whole(&task.text), &tokenizer).unwrap();
        assert_eq!(found.ids, task.ids, "{}", task.name);
    }
}
